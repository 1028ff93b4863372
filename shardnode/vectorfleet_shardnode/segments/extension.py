"""A graph that is taken over into a new segment: which of its nodes stay, and what is inserted.

Nodes that are no vector of the new segment stay behind its vectors, as ghosts: walked through, never
returned.
"""

import dataclasses
from pathlib import Path

import numpy as np

from ..arrays import RowNumbers, Vectors
from ..engines import faiss_hnsw


@dataclasses.dataclass(frozen=True)
class Graph:
    """A graph's file, and the comparable vectors of its nodes."""

    path: Path
    nodes: Vectors


@dataclasses.dataclass(frozen=True)
class Taken:
    """What becomes of a graph: the node that each vector of the new segment was, -1 for new; its ghosts."""

    graph: Graph
    nodes: RowNumbers
    ghost_nodes: RowNumbers

    @classmethod
    def over(cls, graph: Graph, nodes: RowNumbers) -> "Taken":
        """Return what becomes of a graph whose nodes stand for these vectors."""
        return cls(graph, nodes, np.setdiff1d(np.arange(len(graph.nodes)), nodes))

    @property
    def ghosts(self) -> Vectors:
        """The comparable vectors of the nodes that are no vector any more."""
        return self.graph.nodes[self.ghost_nodes]

    def extension(self, stored: Vectors) -> faiss_hnsw.Extension:
        """Return what to insert, in the order of the vectors, and where every node then goes."""
        new = np.flatnonzero(self.nodes < 0)
        nodes = self.nodes.copy()
        nodes[new] = len(self.graph.nodes) + np.arange(len(new))
        order = np.concatenate([nodes, self.ghost_nodes])
        return faiss_hnsw.Extension(self.graph.path, self.graph.nodes, stored[new], order)

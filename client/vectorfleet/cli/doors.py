"""What `vectorfleet serve` was told of its door and its log, as its processes tell each other.

Imported only when it is needed, since the servers are extras.
"""

import dataclasses
import pathlib

from vectorfleet_gateway import app, audit

from . import guarding


@dataclasses.dataclass(frozen=True)
class Door:
    """Where requests come in, and what they may be.

    Attributes:
        guard: who is let in.
        metrics_port: of health and metrics; 0 is none.
        bounds: what requests may take, in each process.
        embedder_key_file: holds the embedder's key; None where it wants none.
        reranker_key_file: likewise.
        open_docs: whether the API's description needs no key.
        audited: which requests are.
    """

    host: str
    port: int
    guard: guarding.Guard
    metrics_port: int
    bounds: app.Bounds
    embedder_key_file: pathlib.Path | None = None
    reranker_key_file: pathlib.Path | None = None
    open_docs: bool = False
    audited: audit.Level = audit.Level.CHANGES


@dataclasses.dataclass(frozen=True)
class Logs:
    """What is logged, and how."""

    level: str
    as_json: bool

"""Measures what was just built, over the rows' values or a vector field, as the descriptor then tells it."""

import dataclasses

from ..engines import base, recall, registry
from . import descriptor


def measured(spec: base.Spec, stored: base.Stored, rows: int, home: base.Home) -> descriptor.Measured:
    """Return the recall@10 of the engine whose files are in `home`, with and without rescoring.

    Args:
        spec: what it was built from.
        stored: the comparable vectors that it was built over.
        rows: how many of them are returned; those behind are ghosts.
        home: where its files are.
    """
    sample = recall.sample_of(spec.metric, stored.vectors[:rows])
    engine = registry.open_engine(spec, stored, rows, home)
    effort = base.Effort(spec.hnsw.ef_search, spec.ivf.probes, spec.quantization.oversampling)
    return descriptor.Measured(
        queries=len(sample.rows),
        recall=sample.recall(engine, effort) if engine else 1,
        estimated=sample.recall(engine, dataclasses.replace(effort, rescore=False)) if engine else 1,
        oversampling=effort.oversampling,
    )

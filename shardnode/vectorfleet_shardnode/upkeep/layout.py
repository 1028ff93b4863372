"""What maintenance and checkpoints take from a state: sizes for the policy, rows for the writer."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ..segments import compaction, growing, sealed, writer


def growing_rows(views: Sequence[growing.GrowingView]) -> int:
    """Return how many live rows no segment holds."""
    return sum(view.live_rows for view in views)


def sizes(views: Sequence[sealed.SealedView]) -> list[compaction.Size]:
    """Return what the policy wants to know of segments."""
    return [
        compaction.Size(
            view.segment.name,
            view.segment.indexed,
            view.live_rows,
            view.dead_rows + view.segment.descriptor.ghosts,
            view.live_rows * view.segment.bytes_per_row,
        )
        for view in views
    ]


def source_of(view: growing.GrowingView) -> writer.Source:
    """Return the live rows of a growing segment for the writer."""
    rows, segment, columns = np.flatnonzero(view.live), view.segment, view.columns
    names = pa.array(segment.namespaces, pa.large_string()).take(pa.array(columns.codes[rows]))
    ids = pa.array([segment.ids[row] for row in rows], pa.large_string())
    metadata = pa.array([segment.metadata[row] for row in rows], pa.large_binary())
    table = writer.table_of(names, ids, metadata, pa.array(columns.seqs[rows]))
    fields = {name: view.stored(name) for name in segment.fields}
    return writer.Source(
        table,
        columns.hashes[rows],
        columns.vectors,
        rows,
        fields,
        lambda field: segment.texts[field].first(len(view.live)).postings(),
        segment.sparse.first(len(view.live)),
    )

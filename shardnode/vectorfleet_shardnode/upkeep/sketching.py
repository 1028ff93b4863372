"""Says which segments that wait for a graph get bits to be compared by, see `engines.sketch`.

Only those that somebody searches: a bulk load that nobody watches does not pay for them.
"""

from ..snapshot import Snapshot


def extend(state: Snapshot) -> None:
    """Make bits of the rows that have none, in parts of the state that are searched without a graph."""
    for view in state.growing:
        if view.segment.sketch.covers_too_few(len(view.live)):
            view.segment.sketch.extend(view.columns.comparable)
    for part in state.sealed:
        segment = part.segment
        if not segment.indexed and segment.sketch.covers_too_few(segment.rows):
            segment.sketch.extend(segment.compared.vectors)

"""A primary whose disk has no room: another member leads, where enough members have some.

It serves on, and refuses what makes it grow. A follower's disk matters as much once writes need it, so the
post moves only while a write quorum of members has room; else only more room, or fewer rows, helps.
"""

from ..actions import Refusal
from . import guards, repair, steps
from . import view as view_

Verdict = steps.Step | Refusal | None


def hand_over(view: view_.ShardView) -> Verdict:
    """Take the post from a primary whose disk has no room."""
    assert view.committed is not None
    name, count = view.committed.primary, len(view.committed.members)
    state = view.state(name)
    if state is None or not state.no_room or count == 1:
        return None
    why = f"the disk of the primary {name} has no room"
    return guards.quorum_has_room(view, why) or guards.primary_serves(view) or repair.hand_over(view, why)

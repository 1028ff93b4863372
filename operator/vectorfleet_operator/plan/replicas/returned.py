"""Disks that come back with what was given up when a person accepted a loss: each begins anew, and is filled.

Such a disk's log goes on from a record that the shard has no more, so it is no copy and can't become one. The
replica finds that out itself, as soon as its primary ships to it.
"""

from ... import replication
from ..actions import Refusal
from . import guards, steps
from . import view as view_

_WHY = "it came back with records that were given up when a loss was accepted"


def rebuild(view: view_.ShardView) -> steps.Step | Refusal | None:
    """Let a replica that has come back with what was given up begin anew."""
    assert view.committed is not None
    for name in dict.fromkeys((*view.wanted.names, *view.committed.names)):
        state = view.state(name)
        if state is None or not state.diverged:
            continue
        found = replication.Member(name, state.disk)
        refusal = guards.primary_leads(view)
        if found in view.committed.members:  # by a word of the operator before it was found out
            refusal = refusal or guards.one_member_at_a_time(view, name) or guards.quorum_survives(view, name)
        return refusal or steps.Rebuild(found, view.committed.epoch, _WHY)
    return None

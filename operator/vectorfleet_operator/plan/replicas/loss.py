"""Disks that are gone: when too few are left to know what was acknowledged, only a person may go on.

A person goes on by the annotation vectorfleet.io/accept-loss on the VectorShard, "<survivor>@<epoch>": the
replica whose data is kept, and the epoch of the configuration that is given up; "none@<epoch>" begins anew,
empty, once every disk is gone. It is good for that one epoch.
"""

from ... import replication
from ..actions import Refusal
from . import steps
from . import view as view_

NOTHING = "none"


def is_lost(view: view_.ShardView) -> bool:
    """Return whether so many disks are gone that acknowledged writes may be."""
    return view.committed is not None and len(view.survivors()) < view.committed.seal_quorum


def loss(view: view_.ShardView) -> steps.Step | Refusal | None:
    """Refuse everything while data is lost; carry out what a person has accepted."""
    assert view.committed is not None
    if not is_lost(view):
        return None
    survivor, at, epoch = view.wanted.accepted_loss.rpartition("@")
    if not at:
        return Refusal("ShardLost", _advice(view), stalls=True)
    if epoch != str(view.committed.epoch):
        message = (
            f"accept-loss names epoch {epoch!r}, and the shard is at {view.committed.epoch}: {_advice(view)}"
        )
        return Refusal("ShardLost", message, stalls=True)
    return _begin_anew(view) if survivor == NOTHING else _go_on_with(view, survivor)


def _go_on_with(view: view_.ShardView, name: str) -> steps.Step | Refusal:
    assert view.committed is not None
    state = view.state(name)
    if state is None or state.is_empty:
        message = f"accept-loss names {name}, which does not answer or holds nothing: {_advice(view)}"
        return Refusal("ShardLost", message, stalls=True)
    member = replication.Member(name, state.disk, view.address(name))
    return steps.Change(
        kind=steps.Kind.ACCEPT_LOSS,
        base=view.committed,
        members=(member,),
        sealers=(member,),
        needed=1,
        every=view.wanted.every,
        prefer=(name,),
        why=f"a person accepts what {name} does not hold as lost",
    )


def _begin_anew(view: view_.ShardView) -> steps.Step | Refusal:
    states = [view.state(name) for name in view.wanted.names]
    if view.survivors() or any(state is None or state.last.seq for state in states):
        message = f"accept-loss says that no replica is left, and one may be: {_advice(view)}"
        return Refusal("ShardLost", message, stalls=True)
    members = view.learners()
    return steps.Change(
        kind=steps.Kind.ACCEPT_LOSS,
        base=view.committed,
        members=members,
        sealers=members,
        needed=len(members),
        every=view.wanted.every,
        prefer=view.wanted.names,
        why="a person accepts that all rows are lost",
    )


def _advice(view: view_.ShardView) -> str:
    assert view.committed is not None
    gone = [one.name for one in view.committed.members if view.is_lost(one)]
    rest = [one.name for one in view.survivors()]
    choice = f"{rest[0]}@{view.committed.epoch}" if rest else f"{NOTHING}@{view.committed.epoch}"
    keeps = f"keep what {rest[0]} has" if rest else "begin with no rows"
    return (
        f"the disks of {', '.join(gone)} are gone, of {len(view.committed.members)} members; acknowledged "
        f"writes may be lost. Give the shard back one of these volumes, or {keeps} and accept the loss by "
        f"annotating the VectorShard with vectorfleet.io/accept-loss={choice}"
    )

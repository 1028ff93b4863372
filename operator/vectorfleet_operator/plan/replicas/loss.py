"""Disks that are gone or damaged: where too few are left to know what was acknowledged, a person goes on.

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
    return view.committed is not None and len(view.sound()) < view.committed.seal_quorum


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
    return f"{_known(view)}; acknowledged writes may be lost. {_choice(view)}"


def _known(view: view_.ShardView) -> str:
    """Say of each member what is known of its data, and what is not."""
    assert view.committed is not None
    members = view.committed.members
    gone = [one.name for one in members if view.is_lost(one)]
    damaged = [one.name for one in members if view.is_damaged(one)]
    here = [one.name for one in view.alive()]
    unable = [one.name for one in members if view.inability(one.name) and not view.is_lost(one)]
    told = {
        f"the disks of {', '.join(gone)} are gone": gone,
        f"the data of {', '.join(damaged)} is damaged": damaged,
        f"{', '.join(unable)} serves nothing, and may have all of its data": unable,
        f"{', '.join(here)} answers and has its disk": here,
        f"{', '.join(_silent(view))} does not answer, and whether it has its disk is not known": _silent(
            view
        ),
    }
    return f"of {len(members)} members " + "; ".join(what for what, names in told.items() if names)


def _choice(view: view_.ShardView) -> str:
    """Say what a person may do; only who is known to have its disk can be gone on with."""
    assert view.committed is not None
    best = max(view.alive(), key=lambda one: _last(view, one.name), default=None)
    annotation = "by annotating the VectorShard with vectorfleet.io/accept-loss="
    back = f"Bring {', '.join(silent)} back, or give" if (silent := _silent(view)) else "Give"
    restore = f"{back} the shard back a volume that is gone, or sound files"
    if best is not None:
        loss_ = f"or keep what {best.name} has and accept the loss"
        return f"{restore}; {loss_} {annotation}{best.name}@{view.committed.epoch}"
    if silent:
        return f"{restore}; a loss can be accepted once it is known who is left"
    if view.survivors():
        return f"{restore}; or delete the pods and volume claims of the damaged, and then begin with no rows"
    return (
        f"{restore}; or begin with no rows and accept the loss {annotation}{NOTHING}@{view.committed.epoch}"
    )


def _silent(view: view_.ShardView) -> list[str]:
    """Return the members of which nothing is known now."""
    return [one.name for one in view.sound() if not view.is_alive(one) and not view.refuses(one.name)]


def _last(view: view_.ShardView, name: str) -> replication.Position:
    state = view.state(name)
    return state.last if state is not None else replication.Position()

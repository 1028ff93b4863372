"""Replicas that serve nothing though they may have all of their data: said, and left as they are.

A disk that can't be read now may be read again: a volume comes back, a path to it is mended. And one that
really breaks takes no new copy either. So nothing is given up here, whoever else holds it: the replica tries
again by itself, and a person may give it another disk. Files of a newer format are whole; it is the program
that is wrong.
"""

from ... import replication
from ..actions import Refusal
from . import guards
from . import view as view_


def explain(view: view_.ShardView) -> Refusal | None:
    """Return which replicas serve nothing, why, and what to do; None where none says so."""
    members = view.committed.names if view.committed else ()
    names = dict.fromkeys((*members, *view.wanted.names))
    found = {name: told for name in names if (told := view.inability(name)) is not None}
    if not found:
        return None
    messages = (f"{name}: {told.reason}; {_advice(view, name, told.cause)}" for name, told in found.items())
    return Refusal(next(iter(found.values())).cause, "; ".join(messages))


def _advice(view: view_.ShardView, name: str, cause: str) -> str:
    known: dict[str, str] = {
        replication.Cause.DISK_FAILED: f"it tries again by itself; {_other_disk(view, name)}",
        replication.Cause.UNKNOWN_FORMAT: "run a version that reads its files, which stay as they are",
        replication.Cause.TOO_LARGE: "give the shard more memory",
    }
    return known.get(cause, "its log says more")


def _other_disk(view: view_.ShardView, name: str) -> str:
    if view.committed is None:
        return "see to its disk"
    if guards.sound_majority(view, name) is not None:
        return "see to its disk, since too few of the others hold all that it may hold"
    return "if its disk stays broken, delete its pod and its volume claim to have it filled on another one"

"""Replicas whose data is damaged: each is filled again, where the others hold all that was acknowledged.

What is left of a damaged disk is no copy, and still all that a person could repair. So it is given up only
while a majority of the members hold sound copies, one replica at a time; else a person decides.
"""

from collections.abc import Iterator

from ... import replication
from ..actions import Refusal
from . import guards, steps
from . import view as view_

Verdict = steps.Step | Refusal | None


def rebuild(view: view_.ShardView) -> Verdict:
    """Let a replica whose data is damaged give it up, where nothing depends on it any more."""
    verdicts = [judge(view, name) for name in damaged(view)]
    return next((one for one in verdicts if isinstance(one, steps.Rebuild)), next(iter(verdicts), None))


def damaged(view: view_.ShardView) -> Iterator[str]:
    """Yield the replicas that say so of themselves, members or not."""
    members = view.committed.names if view.committed else ()
    for name in dict.fromkeys((*members, *view.wanted.names)):
        if view.damage(name) is not None:
            yield name


def judge(view: view_.ShardView, name: str) -> steps.Rebuild | Refusal:
    """Return the step by which a damaged replica is filled again, or why it is not taken."""
    damage = view.damage(name)
    assert damage is not None
    if view.committed is None:
        return Refusal("Starting", "the shard has no configuration yet")
    if view.wanted.paused:
        return Refusal("Paused", "spec.paused is true, so that it is left as it is")
    if name not in view.wanted.names:
        return Refusal("NotWanted", "it is to be taken out")
    if not damage.disk:
        message = (
            "it does not tell whose data it is: delete its pod and its volume claim to have it filled again"
        )
        return Refusal("DiskUnknown", message)
    held = any((one.name, one.disk) == (name, damage.disk) for one in view.committed.members)
    refusal = (
        guards.primary_leads(view)
        or (guards.sound_majority(view, name) if held else None)
        or guards.nobody_else_is_filled(view, name)
    )
    if refusal is not None:
        return refusal
    return steps.Rebuild(
        replication.Member(name, damage.disk), view.committed.epoch, f"its data was damaged: {damage.reason}"
    )

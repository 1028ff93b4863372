"""The status of one shard: how its replicas stand, and what they report. PURE.

Its configuration and the epochs handed out are carried over as they were read: `register` alone changes them.
"""

import datetime

from . import register, troubles
from .api import condition, vector_shard
from .plan.replicas import standing
from .plan.replicas import view as view_

SILENT = "Silent"
DAMAGED = "Damaged"
UNABLE = "Unable"


def build(
    entry: register.Entry, stands: standing.Standing | None, serves: bool, now: datetime.datetime
) -> vector_shard.VectorShardStatus:
    """Return the status of a shard.

    Args:
        entry: its object as it was read.
        stands: what its replicas said; None where nobody was asked yet.
        serves: whether it does.
        now: the present moment.
    """
    before, generation = entry.status, entry.manifest["metadata"].get("generation", 0)
    reports = stands.reports if stands is not None else {}
    reason, message = ("Serving", "the shard serves") if serves else _why_not(stands)
    told = standing.conditions(stands) if stands is not None else ()
    fresh = (
        condition.build_condition(condition.READY, serves, reason, message),
        *troubles.of_shard(reports, told, before.conditions),
    )
    chief = stands.chief if stands is not None else None
    return before.model_copy(
        update={
            "ready_members": standing.ready_members(stands.view) if stands is not None else 0,
            "replicas": _replicas(stands.view) if stands is not None else before.replicas,
            "rows": chief.rows if chief is not None else before.rows,
            "seq": chief.seq if chief is not None else before.seq,
            "conditions": condition.stamp(fresh, before.conditions, generation, now),
        }
    )


def without_positions(status: vector_shard.VectorShardStatus) -> vector_shard.VectorShardStatus:
    """Return a status without what changes with every write."""
    replicas = tuple(one.model_copy(update={"seq": 0, "lag": 0}) for one in status.replicas)
    return status.model_copy(update={"rows": 0, "seq": 0, "replicas": replicas})


def _why_not(stands: standing.Standing | None) -> tuple[str, str]:
    if stands is None or not stands.view.speaks:
        return "NotReady", "too few replicas are ready"
    return standing.explain(stands)


def _replicas(view: view_.ShardView) -> tuple[vector_shard.ReplicaStatus, ...]:
    if not view.speaks:
        return ()
    members = view.committed.names if view.committed else ()
    names = [*view.wanted.names, *(name for name in members if name not in view.wanted.names)]
    return tuple(_replica(view, name) for name in names)


def _replica(view: view_.ShardView, name: str) -> vector_shard.ReplicaStatus:
    state = view.state(name)
    members = view.committed.members if view.committed else ()
    if state is None:
        known, damage = view.committed.member(name) if view.committed else None, view.damage(name)
        disk = damage.disk if damage is not None else known.disk if known else ""
        unable = view.inability(name) is not None
        role = DAMAGED if damage is not None else UNABLE if unable else SILENT
        return vector_shard.ReplicaStatus(name=name, disk=disk, role=role, member=known is not None)
    return vector_shard.ReplicaStatus(
        name=name,
        disk=state.disk,
        role=state.role.value,
        member=any((one.name, one.disk) == (name, state.disk) for one in members),
        seq=state.last.seq,
        lag=standing.lag(view, name),
    )

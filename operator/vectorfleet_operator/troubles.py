"""What shards report of themselves, as conditions: of each shard, and of the index as a whole. PURE.

A condition is True while a shard reports it. Once nobody does, it stays as False, so that its end can be seen
and waited for. A shard that does not answer keeps what it had: silence is no recovery.
"""

from collections.abc import Iterable, Mapping

from . import ports
from .api import condition

RESOLVED = "Resolved"


def of_shard(
    reports: Mapping[str, ports.ShardReport],
    standing: Iterable[condition.Condition],
    before: Iterable[condition.Condition],
) -> tuple[condition.Condition, ...]:
    """Return the conditions of a shard, by type, without their times.

    Args:
        reports: what its replicas say, by name; none where none answers.
        standing: what the operator says of them, those that hold.
        before: the shard's conditions until now.
    """
    known = {one.type: one for one in before if one.type not in condition.OWN}
    judged = {one.type: one for one in standing}
    if not reports:
        return tuple((known | judged)[kind] for kind in sorted(known | judged))
    found = {kind: _resolved(kind, "the shard does not report it any more") for kind in known}
    found |= _reported(reports) | judged
    return tuple(found[kind] for kind in sorted(found))


def _reported(reports: Mapping[str, ports.ShardReport]) -> dict[str, condition.Condition]:
    """Return what replicas report, those of the same type as one that names each replica."""
    told: dict[str, dict[str, ports.ShardCondition]] = {}
    for name, report in sorted(reports.items()):
        for one in report.conditions:
            if one.type not in condition.OWN:
                told.setdefault(one.type, {})[name] = one
    return {kind: _of_replicas(kind, by_name, len(reports)) for kind, by_name in told.items()}


def _of_replicas(
    kind: str, by_name: Mapping[str, ports.ShardCondition], replicas: int
) -> condition.Condition:
    reason = min(one.reason or kind for one in by_name.values())
    if replicas == 1:
        [message] = (one.message for one in by_name.values())
    else:
        message = "; ".join(f"{name}: {one.message}" for name, one in by_name.items())
    return condition.build_condition(kind, True, reason, message)


def of_index(shards: Mapping[int, Iterable[condition.Condition]]) -> tuple[condition.Condition, ...]:
    """Return one condition for each type that any shard has or had, naming the shards where it holds."""
    by_type: dict[str, dict[int, condition.Condition]] = {}
    for number, conditions in sorted(shards.items()):
        for one in conditions:
            if one.type not in condition.OWN:
                by_type.setdefault(one.type, {})[number] = one
    return tuple(_folded(kind, by_type[kind]) for kind in sorted(by_type))


def _folded(kind: str, shards: Mapping[int, condition.Condition]) -> condition.Condition:
    holding = {number: one for number, one in shards.items() if one.holds}
    if not holding:
        return _resolved(kind, "no shard reports it any more")
    reasons = {one.reason for one in holding.values()}
    message = "; ".join(f"shard {number}: {one.message}" for number, one in holding.items())
    return condition.build_condition(kind, True, min(reasons), message)


def _resolved(kind: str, message: str) -> condition.Condition:
    return condition.build_condition(kind, False, RESOLVED, message)

"""What shards report of themselves, as conditions: of each shard, and of the index as a whole. PURE.

A condition is True while a shard reports it. Once nobody does, it stays as False, so that its end can be seen
and waited for. A shard that does not answer keeps what it had: silence is no recovery.
"""

from collections.abc import Iterable, Mapping

from . import ports
from .api import condition

RESOLVED = "Resolved"


def of_shard(
    report: ports.ShardReport | None, before: Iterable[condition.Condition]
) -> tuple[condition.Condition, ...]:
    """Return the conditions that a shard reports or had reported, by type, without their times."""
    known = {one.type: one for one in before if one.type not in condition.OWN}
    if report is None:
        return tuple(known[kind] for kind in sorted(known))
    found = {kind: _resolved(kind, "the shard does not report it any more") for kind in known}
    for told in report.conditions:
        if told.type not in condition.OWN:
            found[told.type] = condition.build_condition(
                told.type, True, told.reason or told.type, told.message
            )
    return tuple(found[kind] for kind in sorted(found))


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

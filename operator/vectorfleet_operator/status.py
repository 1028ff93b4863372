"""The status: everything that a pass saw and did, folded into conditions once. PURE.

Ready: the index serves what the spec asks for. Reconciling: it is on its way there. Stalled: only a person
can get it there. No phase; programs read conditions.
"""

import dataclasses
import datetime
from collections.abc import Iterator, Mapping

from . import errors, execute, pods, ports, register, shard_status, troubles, viewing
from .api import condition, vector_index, vector_shard
from .desired import names
from .plan import actions, observed, volumes
from .plan.replicas import standing

VOLUMES_TOO_SMALL = "VolumesTooSmall"
"""The cluster does not let volumes grow to what the spec asks for."""


@dataclasses.dataclass(frozen=True)
class Pass:
    """What one pass found and did."""

    index: vector_index.VectorIndex
    seen: observed.Observed
    plan: actions.Plan
    executed: execute.Executed
    standings: Mapping[int, standing.Standing] = dataclasses.field(default_factory=dict)
    """How each shard's replicas stand, by number; none before its VectorShard is there."""


def fold(done: Pass, now: datetime.datetime) -> vector_index.VectorIndexStatus:
    """Return the status that a pass leads to."""
    index, spec, key = done.index, done.index.spec, names.key(done.index)
    ready = ready_shards(done)
    copies = [_ready_replicas(done.seen, key.name, number) for number in range(spec.shards)]
    generation = index.metadata.generation
    entries = viewing.find_entries(index, done.seen)
    shards = {number: of_shard(done, number, entry, now) for number, entry in entries.items()}
    reported = troubles.of_index({number: shard.conditions for number, shard in shards.items()})
    fresh = (*conditions(done), *reported, *_volumes(done))
    return vector_index.VectorIndexStatus(
        observed_generation=generation,
        conditions=condition.stamp(fresh, index.status.conditions, generation, now),
        replicas=min(_replicas(done.seen, key.name, number) for number in range(spec.shards)),
        ready_replicas=min(copies),
        selector=_selector(key.name),
        shards=spec.shards,
        ready_shards=len(ready),
        ready_gateways=_ready_gateways(done.seen, key.name),
        vectors=sum(shard.rows for shard in shards.values()),
        generation=names.GENERATION,
        endpoint=names.endpoint(index),
        api_key_secret=names.api_key_secret(index),
        volume_size=volumes.least(done.seen.of_kind(ports.STATEFUL_SET), done.seen),
    )


def invalid(
    manifest: ports.Manifest,
    before: vector_index.VectorIndexStatus,
    reason: errors.InvalidSpec,
    now: datetime.datetime,
) -> vector_index.VectorIndexStatus:
    """Return the status of an index whose spec can't be read: the numbers stay, the conditions tell."""
    generation = manifest["metadata"].get("generation", 0)
    stalled = _stalled(actions.Refusal("InvalidSpec", str(reason), stalls=True))
    fresh = (*stalled, *(one for one in before.conditions if one.type not in condition.OWN))
    stamped = condition.stamp(fresh, before.conditions, generation, now)
    return before.model_copy(update={"observed_generation": generation, "conditions": stamped})


def doubted(before: vector_index.VectorIndexStatus, now: datetime.datetime) -> vector_index.VectorIndexStatus:
    """Return the status of an index that nobody has looked at for a while: on its way, until a pass tells."""
    why = ("OperatorStarted", "the operator has just started, and looks at the index anew")
    fresh = (
        condition.build_condition(condition.RECONCILING, True, *why),
        condition.build_condition(condition.STALLED, False, *why),
    )
    stamped = condition.stamp(fresh, before.conditions, before.observed_generation, now)
    kept = (one for one in before.conditions if condition.find(fresh, one.type) is None)
    return before.model_copy(update={"conditions": (*kept, *stamped)})


def conditions(done: Pass) -> tuple[condition.Condition, ...]:
    """Return Ready, Reconciling and Stalled, without their times."""
    if stall := _stall(done):
        return _stalled(stall)
    reason, message = _unready(done)
    progress = _progress(done) or ((reason, message) if reason else None)
    paused = done.index.spec.paused
    return (
        condition.build_condition(
            condition.READY, not reason, reason or "Serving", message or "all shards and the gateway serve"
        ),
        condition.build_condition(
            condition.RECONCILING, progress is not None and not paused, *_told(progress, paused)
        ),
        condition.build_condition(condition.STALLED, False, "Progressing", "nothing stands in the way"),
    )


def of_shard(
    done: Pass, number: int, entry: register.Entry, now: datetime.datetime
) -> vector_shard.VectorShardStatus:
    """Return the status of one shard."""
    return shard_status.build(entry, done.standings.get(number), number in ready_shards(done), now)


def ready_shards(done: Pass) -> tuple[int, ...]:
    """Return the numbers of the shards that take writes."""
    return tuple(number for number in range(done.index.spec.shards) if _serves(done, number))


def _serves(done: Pass, number: int) -> bool:
    stands = done.standings.get(number)
    if stands is not None and stands.view.speaks:
        return standing.serves(stands)
    spec, name = done.index.spec, done.index.metadata.name
    return _ready_replicas(done.seen, name, number) >= spec.replicas // 2 + 1


def _stall(done: Pass) -> actions.Refusal | None:
    error = done.executed.error
    if isinstance(error, errors.Rejected):
        return actions.Refusal("Rejected", str(error), stalls=True)
    if done.plan.stall is not None:
        return done.plan.stall
    for number, stands in sorted(done.standings.items()):
        if (stall := standing.stall(stands)) is not None:
            message = f"shard {number}: {stall.message}"
            return actions.Refusal(stall.reason, message, stalls=True)
    return None


def _stalled(stall: actions.Refusal) -> tuple[condition.Condition, ...]:
    return (
        condition.build_condition(condition.READY, False, stall.reason, stall.message),
        condition.build_condition(condition.RECONCILING, False, stall.reason, "nothing is changed"),
        condition.build_condition(condition.STALLED, True, stall.reason, stall.message),
    )


def _unready(done: Pass) -> tuple[str, str]:
    """Return why the index does not serve, as reason and message; empty where it does."""
    name, shards = done.index.metadata.name, done.index.spec.shards
    ready = ready_shards(done)
    trouble = pods.explain(done.seen.of_kind(ports.POD))
    if len(ready) < shards:
        missing = ", ".join(str(number) for number in range(shards) if number not in ready)
        reason, why = _first_reason(done, ready)
        return reason, _join(f"shards not ready: {missing} (of {shards})", why, trouble)
    if not _ready_gateways(done.seen, name):
        return "GatewayNotReady", _join("no gateway is ready", _missing_keys(done), trouble)
    refusing = [
        f"shard {number}: {_join(chief.problem, standing.no_room(stands))}"
        for number, stands in sorted(done.standings.items())
        if (chief := stands.chief) is not None and chief.problem
    ]
    return ("WritesRefused", "; ".join(refusing)) if refusing else ("", "")


def _first_reason(done: Pass, ready: tuple[int, ...]) -> tuple[str, str]:
    """Return why the first shard that does not serve does not: what replicas know, where they speak."""
    for number, stands in sorted(done.standings.items()):
        if number not in ready and stands.view.speaks:
            lost = next(iter(standing.conditions(stands)), None)
            reason, message = standing.explain(stands)
            return lost.type if lost is not None and lost.type != standing.DEGRADED else reason, message
    return "ShardsNotReady", ""


def _missing_keys(done: Pass) -> str:
    secret = names.api_key_secret(done.index)
    if done.seen.find(ports.SECRET, secret) is not None:
        return ""
    return f"the Secret {secret}, which holds the API keys, does not exist"


def _progress(done: Pass) -> tuple[str, str] | None:
    """Return what is still going on, as reason and message, or None."""
    if done.executed.error is not None:
        return "Retrying", str(done.executed.error)
    trouble = pods.explain(done.seen.of_kind(ports.POD))
    refusals = [*done.executed.small, *done.plan.refusals, *_waiting(done)]
    if refusals:
        return refusals[0].reason, _join(*(refusal.message for refusal in refusals), trouble)
    if anew := [one for one in done.plan.actions if isinstance(one, actions.Delete) and one.orphan]:
        named = ", ".join(" ".join(observed.ref(one.manifest)) for one in anew)
        return "ExpandingVolumes", f"{named} is made anew: {anew[0].why}"
    workloads = (*done.seen.of_kind(ports.STATEFUL_SET), *done.seen.of_kind(ports.DEPLOYMENT))
    busy = [" ".join(observed.ref(one)) for one in workloads if not observed.is_rolled_out(one)]
    if busy:
        return "RollingOut", _join(f"waiting for {', '.join(busy)}", trouble)
    return None


def _waiting(done: Pass) -> Iterator[actions.Refusal]:
    """Yield what the replicas of shards still wait for on their way to what the spec asks for."""
    for number, stands in sorted(done.standings.items()):
        if not stands.view.speaks:
            continue
        if stands.decision.step is not None:
            yield actions.Refusal("Changing", f"shard {number}: {stands.decision.step.why}")
        for one in stands.decision.refusals:
            yield dataclasses.replace(one, message=f"shard {number}: {one.message}")


def _volumes(done: Pass) -> tuple[condition.Condition, ...]:
    """Return whether volumes that are too small can't grow; nothing where they always could."""
    before = condition.find(done.index.status.conditions, VOLUMES_TOO_SMALL)
    stuck = (one for one in done.plan.refusals if one.reason == volumes.DRIVER_CANNOT)
    if small := (*done.executed.small, *stuck):
        message = _join(*(one.message for one in small))
        return (condition.build_condition(VOLUMES_TOO_SMALL, True, small[0].reason, message),)
    if before is None:
        return ()
    if done.plan.stall is not None or done.executed.error is not None:
        return (before,)  # it was not tried
    return (condition.build_condition(VOLUMES_TOO_SMALL, False, "Resolved", "volumes are as large as asked"),)


def _told(progress: tuple[str, str] | None, paused: bool) -> tuple[str, str]:
    if paused:
        return "Paused", "spec.paused is true: nothing is changed"
    return progress or ("Settled", "everything is as the spec says")


def _join(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _selector(index: str) -> str:
    # Shard 0 stands for all: an autoscaler multiplies by the pods that it finds, and ids are spread evenly.
    chosen = names.selector(index, names.SHARD, 0)
    return ",".join(f"{label}={value}" for label, value in sorted(chosen.items()))


def _workload_status(seen: observed.Observed, kind: ports.Kind, name: str, field: str) -> int:
    return int(((seen.find(kind, name) or {}).get("status") or {}).get(field, 0))


def _ready_replicas(seen: observed.Observed, index: str, number: int) -> int:
    return _workload_status(seen, ports.STATEFUL_SET, names.shard(index, number), "readyReplicas")


def _replicas(seen: observed.Observed, index: str, number: int) -> int:
    return _workload_status(seen, ports.STATEFUL_SET, names.shard(index, number), "replicas")


def _ready_gateways(seen: observed.Observed, index: str) -> int:
    return _workload_status(seen, ports.DEPLOYMENT, names.gateway(index), "readyReplicas")

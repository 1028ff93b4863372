"""The status: everything that a pass saw and did, folded into conditions once. PURE.

Ready: the index serves what the spec asks for. Reconciling: it is on its way there. Stalled: only a person
can get it there. No phase; programs read conditions.
"""

import dataclasses
import datetime

from . import errors, execute, pods, ports, troubles
from .api import condition, vector_index, vector_shard
from .desired import names
from .desired import vector_shard as desired_shard
from .plan import actions, observed


@dataclasses.dataclass(frozen=True)
class Pass:
    """What one pass found and did."""

    index: vector_index.VectorIndex
    seen: observed.Observed
    plan: actions.Plan
    executed: execute.Executed


def fold(done: Pass, now: datetime.datetime) -> vector_index.VectorIndexStatus:
    """Return the status that a pass leads to."""
    index, spec, key = done.index, done.index.spec, names.key(done.index)
    ready = ready_shards(done)
    copies = [_ready_replicas(done.seen, key.name, number) for number in range(spec.shards)]
    generation = index.metadata.generation
    shards = {number: shard_status(done, number, now) for number in range(spec.shards)}
    reported = troubles.of_index({number: shard.conditions for number, shard in shards.items()})
    fresh = (*conditions(done), *reported)
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
        endpoint=names.endpoint(key),
        api_key_secret=names.api_key_secret(index),
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


def shard_status(done: Pass, number: int, now: datetime.datetime) -> vector_shard.VectorShardStatus:
    """Return the status of one shard; the configuration is the one in force, or a new shard's first."""
    name = done.index.metadata.name
    found = done.seen.find(ports.VECTOR_SHARD, names.shard(name, number)) or {}
    before = vector_shard.VectorShardStatus.model_validate(found.get("status") or {})
    first = desired_shard.build_first_configuration(name, number, done.index.spec.replicas)
    configuration, report = before.configuration or first, done.seen.reports.get(number)
    serves = number in ready_shards(done)
    reason, message = (
        ("Serving", "the shard serves") if serves else ("NotReady", "too few replicas are ready")
    )
    ready = condition.build_condition(condition.READY, serves, reason, message)
    fresh = (ready, *troubles.of_shard(report, before.conditions))
    generation = found.get("metadata", {}).get("generation", 0)
    return vector_shard.VectorShardStatus(
        configuration=configuration,
        reserved=max(before.reserved, configuration.epoch),
        rows=report.rows if report else before.rows,
        seq=report.seq if report else before.seq,
        conditions=condition.stamp(fresh, before.conditions, generation, now),
    )


def ready_shards(done: Pass) -> tuple[int, ...]:
    """Return the numbers of the shards that have a majority of their replicas ready."""
    spec, name = done.index.spec, done.index.metadata.name
    majority = spec.replicas // 2 + 1
    return tuple(n for n in range(spec.shards) if _ready_replicas(done.seen, name, n) >= majority)


def _stall(done: Pass) -> actions.Refusal | None:
    error = done.executed.error
    if isinstance(error, errors.Rejected):
        return actions.Refusal("Rejected", str(error), stalls=True)
    return done.plan.stall


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
        return "ShardsNotReady", _join(f"shards not ready: {missing} (of {shards})", trouble)
    if not _ready_gateways(done.seen, name):
        return "GatewayNotReady", _join("no gateway is ready", _missing_keys(done), trouble)
    refusing = [
        f"shard {n}: {report.problem}" for n, report in sorted(done.seen.reports.items()) if report.problem
    ]
    return ("WritesRefused", "; ".join(refusing)) if refusing else ("", "")


def _missing_keys(done: Pass) -> str:
    secret = names.api_key_secret(done.index)
    if done.seen.find(ports.SECRET, secret) is not None:
        return ""
    return f"the Secret {secret}, which holds the API keys, does not exist"


def _progress(done: Pass) -> tuple[str, str] | None:
    """Return what is still going on, as reason and message, or None."""
    if done.executed.error is not None:
        return "Retrying", str(done.executed.error)
    if done.plan.refusals:
        first = done.plan.refusals[0]
        return first.reason, "; ".join(refusal.message for refusal in done.plan.refusals)
    workloads = (*done.seen.of_kind(ports.STATEFUL_SET), *done.seen.of_kind(ports.DEPLOYMENT))
    busy = [" ".join(observed.ref(one)) for one in workloads if not observed.is_rolled_out(one)]
    if busy:
        return "RollingOut", _join(
            f"waiting for {', '.join(busy)}", pods.explain(done.seen.of_kind(ports.POD))
        )
    return None


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

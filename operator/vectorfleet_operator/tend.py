"""Tends the replicas of an index: look at each, decide for each shard, act on all at once.

The part of a pass that keeps shards serving; what fails here does not hold up the rest of the pass.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Mapping

from . import change, credentials, errors, lookout, metrics, ports, register, viewing
from .api import vector_index
from .desired import names
from .plan import observed
from .plan.replicas import decide, standing, steps, turns
from .plan.replicas import view as view_

_LOG = logging.getLogger(__name__)
_LOUD = frozenset({steps.Kind.PROMOTE, steps.Kind.ACCEPT_LOSS, steps.Kind.REPLACE})
"""Changes that the owner of the index should hear of."""


@dataclasses.dataclass(frozen=True)
class Tended:
    """What a pass found and did for the replicas."""

    seen: observed.Observed
    """With the VectorShards as they are now."""
    standings: Mapping[int, standing.Standing]


@dataclasses.dataclass(frozen=True)
class _Round:
    """What the acts of one pass share."""

    given: ports.Ports
    watch: lookout.Lookout
    index: vector_index.VectorIndex
    manifest: ports.Manifest
    token: str

    @property
    def key(self) -> ports.Key:
        return names.key(self.index)

    def site(self, entry: register.Entry) -> change.Site:
        return change.Site(self.given.cluster, self.given.shards, self.token, entry)


async def tend(
    given: ports.Ports,
    watch: lookout.Lookout,
    index: vector_index.VectorIndex,
    manifest: ports.Manifest,
    seen: observed.Observed,
) -> Tended:
    """Look after every shard of an index."""
    token = credentials.shown(seen, index.metadata.name)
    entries = viewing.find_entries(index, seen)
    if not token or not entries:
        return Tended(seen, {})
    now = _Round(given, watch, index, manifest, token)
    look = await _look(now, seen, entries)
    decisions = turns.admit(look.views, {view.number: decide.decide(view) for view in look.views})
    busy = [view for view in look.views if decisions[view.number].acts]
    if busy:
        acted = await asyncio.gather(
            *(_act(now, seen, (view, decisions[view.number]), entries[view.number]) for view in busy)
        )
        entries |= {view.number: entry for view, entry in zip(busy, acted, strict=True)}
        look = await _look(now, seen, entries, again=True)
    reports = await now.watch.survey(now.key)
    standings = {
        view.number: standing.Standing(
            view,
            decide.decide(view) if view in busy else decisions[view.number],
            {name: reports[name] for name in view.heard if name in reports},
        )
        for view in look.views
    }
    for stands in standings.values():
        _measure(now.key, stands.view)
    return Tended(seen.updated(tuple(entry.manifest for entry in entries.values())), standings)


def _measure(key: ports.Key, view: view_.ShardView) -> None:
    if view.committed is None:
        return
    labels = (key.namespace, key.name, str(view.number))
    metrics.SHARD_EPOCH.labels(*labels).set(view.committed.epoch)
    metrics.SHARD_MEMBERS.labels(*labels).set(len(view.committed.members))
    metrics.SHARD_READY_MEMBERS.labels(*labels).set(standing.ready_members(view))
    metrics.SHARD_LAG.labels(*labels).set(standing.greatest_lag(view))


async def _look(
    now: _Round, seen: observed.Observed, entries: dict[int, register.Entry], *, again: bool = False
) -> lookout.Look:
    now.watch.expect(now.key, now.token, viewing.build_views(now.index, seen, entries))
    return await now.watch.look(now.key, again=again)


async def _act(
    now: _Round,
    seen: observed.Observed,
    what: tuple[view_.ShardView, steps.Decision],
    entry: register.Entry,
) -> register.Entry:
    """Do what was decided for one shard; return its object as it is now."""
    view, decision = what
    try:
        if decision.tell is not None:
            told = decision.tell
            await change.tell(now.site(entry), told.configuration, told.names, told.learners)
        return await _take(now, seen, view, decision.step, entry)
    except errors.OperatorError as error:
        _LOG.warning("a step was not done", extra={"shard": entry.name, "reason": str(error)})
        return entry


async def _take(
    now: _Round,
    seen: observed.Observed,
    view: view_.ShardView,
    step: steps.Step | None,
    entry: register.Entry,
) -> register.Entry:
    match step:
        case steps.Change():
            return await _change(now, view, step, entry)
        case steps.Adopt():
            return await register.adopt(now.given.cluster, entry, step.configuration, step.reserved)
        case steps.Reserve():
            return await register.reserve(now.given.cluster, entry, step.epoch)
        case steps.Rebuild():
            address = view.address(step.member.name)
            fresh = await now.given.shards.rebuild(address, now.token, step.member.disk, step.epoch)
            if fresh is not None:
                message = f"{step.member.name} is filled again: {step.why}"
                await _tell(now, entry, "ReplicaRebuilt", message, loud=True)
        case steps.Restart():
            pod = seen.find(ports.POD, step.name)
            if pod is not None and pod["metadata"]["uid"] == step.uid:
                if step.unplanned:
                    now.watch.note_restart(now.key, step.name)
                await now.given.cluster.delete(pod)
                message = f"{step.name}: {step.why}"
                await _tell(now, entry, "ReplicaRestarted", message, loud=step.unplanned)
    return entry


async def _change(
    now: _Round, view: view_.ShardView, step: steps.Change, entry: register.Entry
) -> register.Entry:
    began = now.given.clock.monotonic()
    outcome = await change.carry_out(now.site(entry), step, view.learners())
    seconds = now.given.clock.monotonic() - began
    success = outcome.configuration is not None and outcome.content
    now.watch.note(now.key, view.number, success=success, planned=step.planned)
    labels = (now.key.namespace, now.key.name, str(view.number), step.kind.value)
    if outcome.configuration is None:
        metrics.SHARD_CHANGE_FAILURES.labels(*labels).inc()
        return outcome.entry
    metrics.SHARD_FAILOVERS.labels(*labels).inc()
    metrics.SHARD_CHANGE_SECONDS.labels(step.kind.value).observe(seconds)
    done = outcome.configuration
    message = f"epoch {done.epoch}: {done.primary} leads {', '.join(done.names)}; {step.why}"
    _LOG.info(
        "a configuration was committed", extra={"shard": entry.name, "event": message, "seconds": seconds}
    )
    await _tell(now, entry, _PAST[step.kind], message, loud=step.kind in _LOUD)
    return outcome.entry


async def _tell(now: _Round, entry: register.Entry, reason: str, message: str, *, loud: bool = False) -> None:
    """Record an event beside the shard, and beside its index where its owner should hear of it."""
    await now.given.cluster.emit(ports.Event(entry.manifest, reason, message))
    if loud:
        about = f"{entry.name}: {message}"
        await now.given.cluster.emit(ports.Event(now.manifest, reason, about, warning=True))


_PAST = {
    steps.Kind.BEGIN: "ShardBegun",
    steps.Kind.PROMOTE: "PrimaryPromoted",
    steps.Kind.HAND_OVER: "PrimaryHandedOver",
    steps.Kind.JOIN: "ReplicaJoined",
    steps.Kind.REPLACE: "ReplicaReplaced",
    steps.Kind.DROP: "ReplicaDropped",
    steps.Kind.REMOVE: "ReplicaRemoved",
    steps.Kind.RECONFIGURE: "WriteQuorumChanged",
    steps.Kind.ACCEPT_LOSS: "LossAccepted",
}

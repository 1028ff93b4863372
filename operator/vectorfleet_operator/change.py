"""Carries out one change of a shard's configuration: reserve, seal, lead, commit, configure.

Any step may fail, and the process may die between any two: nothing is remembered but `reserved`, and the next
attempt begins at the first step. See docs/replication.md.
"""

import asyncio
import dataclasses
import logging

from . import errors, ports, register, replication
from .plan.replicas import election, steps

_LOG = logging.getLogger(__name__)
SEAL_SECONDS = 3.0
"""For how long a quorum of seals is waited for."""
GRACE_SECONDS = 0.5
"""For how long the rest is waited for once there is a quorum; planned changes wait twice as long."""
LEAD_SECONDS = 10.0
"""For how long the winner may take until enough members hold its log."""
LEVEL_SECONDS = 1.5
"""For how long the one that is to lead may take to hold all that the winner does."""
_PAUSE_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Site:
    """Where a shard is: its object, and how its replicas are asked."""

    cluster: ports.Cluster
    shards: ports.Shards
    token: str
    entry: register.Entry


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a change."""

    entry: register.Entry
    configuration: replication.Configuration | None = None
    """The one that was committed, None where none was."""
    why_not: str = ""
    content: bool = True
    """Whether the replica leads that was to."""


class _Abandoned(Exception):  # noqa: N818  it tells of the attempt, not of a fault
    """The attempt ends here; the message says why."""


async def carry_out(
    site: Site, change: steps.Change, learners: tuple[replication.Member, ...] = ()
) -> Outcome:
    """Make one attempt.

    Args:
        site: the shard.
        change: what is to become of it.
        learners: replicas that the new primary is to ship its log to besides.
    """
    try:
        site, vote = await _elect(site, change)
        configuration = vote.result()
        last = await _lead(site, configuration, change)
        if not vote.is_content and await _level(site, change, last):
            site, vote = await _elect(site, change)
            configuration = vote.result()
            await _lead(site, configuration, change)
        entry = await register.commit(site.cluster, site.entry, configuration)
    except (_Abandoned, errors.Transient) as error:
        _LOG.warning("a change was abandoned", extra={"shard": site.entry.name, "reason": str(error)})
        return Outcome(site.entry, why_not=str(error))
    left = tuple(one for one in learners if one not in configuration.members)
    await tell(dataclasses.replace(site, entry=entry), configuration, configuration.names, left)
    return Outcome(entry, configuration, content=vote.is_content)


async def tell(
    site: Site,
    configuration: replication.Configuration,
    names: tuple[str, ...],
    learners: tuple[replication.Member, ...] = (),
) -> None:
    """Tell replicas of a committed configuration, the primary before the others; silence is no failure."""
    known = {one.name: one for one in (*configuration.members, *learners)}
    places = [known[name] for name in names if name in known]
    first = [one for one in places if one.name == configuration.primary]
    for group in (first, [one for one in places if one not in first]):
        await asyncio.gather(
            *(site.shards.configure(one.address, site.token, configuration, learners) for one in group)
        )


async def _elect(site: Site, change: steps.Change) -> tuple[Site, election.Election]:
    """Reserve an epoch and seal for it."""
    status = site.entry.status
    base = change.base.epoch if change.base is not None else 0
    if (status.configuration.epoch if status.configuration else 0) != base:
        raise _Abandoned("the configuration has changed since it was decided")
    epoch = election.epoch_for(change, status.reserved)
    entry = await register.reserve(site.cluster, site.entry, epoch)
    vote = await _seal(site, election.Election(change, epoch))
    if not vote.has_quorum:
        raise _Abandoned(f"{len(vote.last)} of {change.needed} members were sealed for epoch {epoch}")
    return dataclasses.replace(site, entry=entry), vote


async def _seal(site: Site, vote: election.Election) -> election.Election:
    """Ask all at once; wait for a quorum, then a moment for the rest: the more answer, the more may win."""
    begins = vote.change.begins
    asked = {
        asyncio.create_task(
            site.shards.seal(one.address, site.token, vote.epoch, one.disk, begins=begins)
        ): one
        for one in vote.change.sealers
    }
    loop = asyncio.get_running_loop()
    end = loop.time() + SEAL_SECONDS
    pending = set(asked)
    try:
        while pending and (left := end - loop.time()) > 0:
            done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            had_quorum = vote.has_quorum
            for task in done:
                vote = vote.heard(asked[task], task.result())
            if vote.has_quorum and not had_quorum:
                grace = GRACE_SECONDS * (2 if vote.change.planned else 1)
                end = min(end, loop.time() + grace)
    finally:
        for task in pending:
            task.cancel()
    return vote


async def _lead(
    site: Site, configuration: replication.Configuration, change: steps.Change
) -> replication.Position:
    """Let the winner ship its log until enough members of the new configuration hold it; return its last."""
    known = (*configuration.members, *change.sealers)
    winner = next(one for one in known if one.name == configuration.primary)
    loop = asyncio.get_running_loop()
    end = loop.time() + LEAD_SECONDS
    while (left := end - loop.time()) > 0:
        led = await site.shards.lead(winner.address, site.token, configuration, min(left, 2.0))
        if led is not None and not led.leading:
            raise _Abandoned(f"{winner.name} is not sealed for epoch {configuration.epoch} any more")
        if led is not None and led.held:
            return led.last
        await asyncio.sleep(_PAUSE_SECONDS)
    raise _Abandoned(
        f"fewer than {configuration.write_quorum} members came to hold the log of {winner.name} in time"
    )


async def _level(site: Site, change: steps.Change, last: replication.Position) -> bool:
    """Wait until the one that is to lead holds all that the winner does, which takes no writes meanwhile."""
    target = next(one for one in change.members if one.name == change.prefer[0])
    loop = asyncio.get_running_loop()
    end = loop.time() + LEVEL_SECONDS
    while loop.time() < end:
        state = await site.shards.state(target.address, site.token)
        found = state if isinstance(state, replication.ReplicaState) else None
        if found is not None and found.disk == target.disk and found.last >= last:
            return True
        await asyncio.sleep(_PAUSE_SECONDS)
    return False

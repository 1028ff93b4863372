"""The operator with one rule left out: its decisions (`plan/replicas`), or a step of a change."""

import asyncio
import dataclasses

from simulation.mutating import patch

from vectorfleet_operator import change, register, replication
from vectorfleet_operator.plan.replicas import election, guards, repair


@patch(replication.Configuration, "seal_quorum")
def seal_quorum(original):
    """A change goes on with one member fewer sealed than a quorum."""
    return property(lambda self: max(1, original.fget(self) - 1))


@patch(change, "_seal")
def seal_skipped(original):
    """Only the winner is sealed: what the others hold is taken from their reports."""

    async def seal(site, vote):
        ones = vote.change.sealers
        reports = await asyncio.gather(*(site.shards.report(one.address, site.token) for one in ones))
        last = {one.name: told.replica.last for one, told in zip(ones, reports, strict=True) if told}
        if not last:
            return vote
        winner = dataclasses.replace(vote, last=last).winners()[0]
        alone = dataclasses.replace(
            vote.change, sealers=tuple(one for one in ones if one.name == winner), needed=1
        )
        sealed = await original(site, dataclasses.replace(vote, change=alone))
        return dataclasses.replace(vote, last=last | sealed.last)

    return seal


@patch(election.Election, "winners")
def winner_by_epoch(original):
    """The longest log wins, whatever its epoch."""

    def winners(self):
        greatest = max(last.seq for last in self.last.values())
        return tuple(sorted(name for name, last in self.last.items() if last.seq == greatest))

    return winners


@patch(election.Election, "winners")
def winner_least(original):
    """The least advanced log wins."""

    def winners(self):
        least = min(self.last.values())
        return tuple(sorted(name for name, last in self.last.items() if last == least))

    return winners


@patch(election, "epoch_for")
def epoch_reused(original):
    """An attempt goes on under the epoch that was reserved for another one."""

    def epoch_for(wanted, reserved):
        base = wanted.base.epoch if wanted.base is not None else 0
        return reserved if reserved > base else reserved + 1

    return epoch_for


@patch(change, "_lead")
def hold_first(original):
    """A configuration is committed, and members leave, before W' of the new ones hold the log."""

    async def lead(site, configuration, wanted):
        known = (*configuration.members, *wanted.sealers)
        winner = next(one for one in known if one.name == configuration.primary)
        led = await site.shards.lead(winner.address, site.token, configuration, 0.0)
        if led is None or not led.leading:
            raise change._Abandoned("the winner does not lead")
        return led.last

    return lead


@patch(guards, "joiner_is_caught_up", "hold_first")
def _at_once(original):
    return lambda view, joiner: None


@patch(change, "_lead")
def told_early(original):
    """Replicas are told of a configuration before it is committed."""

    async def lead(site, configuration, wanted):
        last = await original(site, configuration, wanted)
        await change.tell(site, configuration, configuration.names)
        return last

    return lead


@patch(register, "commit")
def cas_reserved(original):
    """A configuration is committed though a later epoch was reserved meanwhile."""

    async def commit(cluster, entry, configuration):
        fresh = await register._again(cluster, entry, ValueError("it is gone"))
        return await original(cluster, fresh, configuration)

    return commit


@patch(register, "write")
def cas_left_out(original):
    """What is written takes the place of what somebody else wrote meanwhile."""

    async def write(cluster, entry, status):
        metadata = {
            key: value for key, value in entry.manifest["metadata"].items() if key != "resourceVersion"
        }
        blind = register.Entry(entry.manifest | {"metadata": metadata | {"resourceVersion": None}})
        return await original(cluster, blind, status)

    return write


@patch(repair, "_sealed_since")
def attempt_left(original):
    """An attempt that came to nothing is left, though its members follow no older primary any more."""
    return lambda view: ""

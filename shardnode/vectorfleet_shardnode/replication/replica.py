"""One replica of a shard, opened and driven: what the process serves, and what it hands over at its end."""

import asyncio
import dataclasses
import functools
from pathlib import Path

from vectorfleet_runtime import credentials

from .. import outset, storage
from ..api import config, replication_pb2
from ..copies import checkpoints
from ..settings import Tuning
from . import adopting, copying, driver, gate, ledger, links, messages, protocol, reporting, sending, service

_EXPIRE_SECONDS = 10.0
LEAVE_SECONDS = 25.0
"""How long a primary that is told to stop waits at most for its place to be taken."""


@dataclasses.dataclass(frozen=True)
class Membership:
    """Who a replica is among the others.

    Attributes:
        name: its own, as the index's configuration names it: the first part of its address.
        own: what it shows to the others.
        hosts_file: consulted before DNS.
    """

    name: str
    own: credentials.Credentials
    hosts_file: Path | None = None


class Replica:
    """An open shard that takes part; made inside of the running event loop.

    Attributes:
        opened: the shard.
        gate: who may write.
        service: the calls of replication.proto.
    """

    def __init__(self, opened: storage.OpenShard, identity: sending.Identity, membership: Membership) -> None:
        self.opened = opened
        kept = ledger.Ledger(opened)
        address = identity.addresses.get(membership.name, "")
        me = messages.Member(membership.name, kept.disk, address)
        core = protocol.Replica(me, kept.stored(), kept.history(), kept.committed)
        ways = links.Links(membership.own, membership.hosts_file)
        self.driver = driver.Driver(identity, core, kept, ways)
        self.gate = gate.PrimaryGate(self.driver)
        pace = opened.shard.tuning.copy_bytes_per_second
        source = copying.Source(checkpoints.Checkpoints(opened.shard, opened.maintenance), pace)
        self.service = service.ReplicationService(self.driver, source, opened.shard)
        self.driver.copier = copying.Copier(self.driver, ways, opened.shard).copy
        adopter = adopting.Adopter(self.driver, ways, opened)
        self.driver.hears, self.driver.sending.built = adopter.hear, adopter.built
        self.driver.in_office = adopter.note_office
        self.driver.spawn(source.expire(_EXPIRE_SECONDS))
        opened.shard.listen(outset.Listener(self.driver.synced, self.driver.failed, self.driver.trimmed))

    @property
    def refusal(self) -> str:
        """Why this replica is not ready, empty where it is: a primary, or a member that is level with one."""
        if self.driver.problem:
            return self.driver.problem
        if reporting.role_of(self.driver) == replication_pb2.NEW:
            return "this replica waits for the operator to tell it who it is"
        return "" if reporting.is_caught_up(self.driver) else "this replica catches up with its primary"

    async def leave(self) -> None:
        """Serve on until another one has taken over, for a while."""
        await self.driver.leave(LEAVE_SECONDS)

    async def close(self) -> None:
        """Take part no more. The shard is closed by whoever serves it."""
        await self.driver.close()

    def finish(self) -> None:
        """Once the shard is closed: decide on what was copied, so that the next opening takes it."""
        if self.driver.received is not None:
            self.driver.received.begin_install(self.opened.replica.disk)


async def open_replica(
    index: config.IndexConfig,
    number: int,
    data_dir: Path,
    tuning: Tuning,
    place: storage.Place,
    membership: Membership,
) -> Replica:
    """Open shard `number` of an index as one of several replicas, and go on where it was.

    Raises:
        ShardError, OSError: as `storage.open_shard`.
    """
    alone = dataclasses.replace(place, alone=False)
    opening = functools.partial(storage.open_shard, index, number, data_dir, tuning, place=alone)
    opened = await asyncio.to_thread(opening)
    addresses = index.serving.shards[number].replicas
    named = {address.partition(".")[0].partition(":")[0]: address for address in addresses}
    identity = sending.Identity(index.index, index.serving.name, number, named)
    made = Replica(opened, identity, membership)
    await made.driver.start()
    return made

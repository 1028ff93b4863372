"""An operator for tests: it changes the configuration of a group, step by step, and keeps it in memory.

It is as simple as the protocol lets it be. That of the product has tests of its own.
"""

import dataclasses
import threading
import time

import grpc

from vectorfleet_shardnode.api import replication_pb2 as rpb


class ChangeFailedError(Exception):
    """A step of the change did not work out; another attempt may."""


@dataclasses.dataclass
class Register:
    """What VectorShard.status holds."""

    configuration: rpb.Configuration | None = None
    reserved: int = 0
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def reserve(self):
        """Hand out the next epoch."""
        with self.lock:
            self.reserved += 1
            return self.reserved, self.configuration

    def commit(self, configuration):
        """Put a configuration in force, unless a later epoch was handed out."""
        with self.lock:
            if self.reserved != configuration.epoch:
                raise ChangeFailedError("a later epoch was reserved")
            self.configuration = configuration


def majority(count):
    """Return W: 3 → 2, 2 → 2, 1 → 1."""
    return count // 2 + 1


class Operator:
    """Changes one group's configuration."""

    def __init__(self, group, register=None):
        self.group = group
        self.register = register or Register()

    def begin(self, numbers=None, primary=0):
        """Give a new shard its first configuration."""
        numbers = list(range(self.group.count)) if numbers is None else numbers
        return self.change(numbers, primary)

    def change(self, numbers, primary=None, write_quorum=None, seconds=10):
        """Make these replicas the members; `primary` is preferred among those with the greatest log.

        Raises:
            ChangeFailedError: it did not work out.
        """
        epoch, old = self.register.reserve()
        sealed = self._seal(epoch, old, numbers)
        needed = len(old.members) - old.write_quorum + 1 if old else len(numbers)
        if len(sealed) < needed:
            raise ChangeFailedError(f"{len(sealed)} of {needed} replicas were sealed for {epoch}")
        greatest = max((last.epoch, last.seq) for last in sealed.values())
        best = [number for number, last in sealed.items() if (last.epoch, last.seq) == greatest]
        winner = primary if primary in best else best[0]
        members = [self._member(number) for number in sorted({*numbers, winner})]
        wanted = rpb.Configuration(
            epoch=epoch,
            primary=f"r{winner}",
            members=members,
            write_quorum=write_quorum or majority(len(members)),
        )
        self._lead(winner, wanted, seconds)
        self.register.commit(wanted)
        self.tell()
        return winner

    def accept_loss(self, survivor, seconds=10):
        """Go on with what one replica holds, whatever the others hold, as a person may decide.

        Raises:
            ChangeFailedError: it did not work out.
        """
        epoch, _ = self.register.reserve()
        reply = self.group.stubs[survivor].Seal(rpb.SealRequest(epoch=epoch), timeout=2)
        if not reply.sealed:
            raise ChangeFailedError(f"r{survivor} was not sealed for {epoch}")
        alone = rpb.Configuration(
            epoch=epoch, primary=f"r{survivor}", members=[self._member(survivor)], write_quorum=1
        )
        self._lead(survivor, alone, seconds)
        self.register.commit(alone)
        self.tell()

    def _seal(self, epoch, old, numbers):
        sealed = {}
        disks = {one.name: one.disk for one in old.members} if old else {f"r{n}": "" for n in numbers}
        for name, disk in disks.items():
            number = int(name[1:])
            request = rpb.SealRequest(epoch=epoch, disk=disk, begins=old is None)
            try:
                reply = self.group.stubs[number].Seal(request, timeout=2)
            except grpc.RpcError:
                continue
            if reply.sealed:
                sealed[number] = reply.last
        return sealed

    def _member(self, number):
        state = self.group.state(number)
        if state is None:
            known = self.register.configuration
            found = [one for one in known.members if one.name == f"r{number}"] if known else []
            if not found:
                raise ChangeFailedError(f"r{number} does not answer")
            return found[0]
        me = rpb.Member()
        me.CopyFrom(state.self)
        return me

    def _lead(self, winner, wanted, seconds):
        try:
            reply = self.group.stubs[winner].Lead(
                rpb.LeadRequest(configuration=wanted, seconds=seconds), timeout=seconds + 5
            )
        except grpc.RpcError as failed:
            raise ChangeFailedError(f"r{winner} can't lead: {failed.details()}") from failed
        if not reply.held:
            raise ChangeFailedError(f"r{winner} leads, but too few members hold its log")

    def left_behind(self):
        """Tell whether a replica has promised an epoch that came to nothing."""
        states = [self.group.state(number) for number in range(self.group.count)]
        epoch = self.register.configuration.epoch
        return any(state is not None and state.promised > epoch for state in states)

    def tell(self, learners=()):
        """Tell every replica the configuration in force."""
        known = self.register.configuration
        request = rpb.ConfigureRequest(
            configuration=known, learners=[self._member(number) for number in learners]
        )
        order = sorted(range(self.group.count), key=lambda number: f"r{number}" != known.primary)
        for number in order:
            try:
                self.group.stubs[number].Configure(request, timeout=2)
            except grpc.RpcError:
                continue

    def keep(self, stopping, patience=1.0):
        """Promote whenever no primary takes writes for `patience` seconds, until `stopping` is set.

        And where an attempt that failed has left members behind that promised its epoch: they follow no
        primary of an older one, so there has to be a newer one.
        """
        seen = time.monotonic()
        while not stopping.wait(0.1):
            if self.group.primary() is not None and not self.left_behind():
                seen = time.monotonic()
                continue
            if time.monotonic() - seen < patience:
                self.tell()  # a replica may have missed it
                continue
            known = self.register.configuration
            try:
                self.change([int(one.name[1:]) for one in known.members], seconds=3)
            except ChangeFailedError:
                continue

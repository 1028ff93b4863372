"""What goes on in a world while nobody looks: primaries ship their logs, and clients write all the time."""

import asyncio

from replicas import replica


class Shipping:
    """Primaries bring their logs to whoever they reach, and advance with the answers."""

    def __init__(self, world):
        self.world = world

    async def run(self):
        while True:
            await asyncio.sleep(0.02)
            now = asyncio.get_running_loop().time()
            for one in list(self.world.replicas.values()):
                if one.up and one.office is not None and not one.broken:
                    self._ship(one, now)

    def _ship(self, one, now):
        office, sent = one.office, one.log
        for peer in (*office.configuration.members, *office.learners):
            other = self.world.replicas.get(peer.name)
            if other is None or other is one or not other.up or other.disk != peer.disk:
                continue
            if not self.world.reaches(one.name, other.name):
                continue
            taken = other.append(office.configuration.epoch, sent, one.committed, now)
            if taken and self.world.reaches(other.name, one.name):
                office.verified[peer.disk] = len(sent)
                office.answered[peer.disk] = now
        alive = [
            m
            for m in office.configuration.members
            if m.disk == one.disk or now - office.answered.get(m.disk, float("-inf")) < 0.1
        ]
        if len(alive) >= office.configuration.write_quorum:
            office.quorum_at = now
        one.advance()


class Clients:
    """They write all the time; what was acknowledged is kept, and how long nothing was."""

    def __init__(self, world):
        self.world = world
        self.acknowledged = {}
        self.last_ack = {}
        self.gaps = {}

    async def run(self):
        count = 0
        waiting = {}
        while True:
            await asyncio.sleep(0.05)
            now = asyncio.get_running_loop().time()
            for one in list(self.world.replicas.values()):
                shard = one.name.rpartition("-")[0]
                if not one.up or one.office is None or not one.office.learned:
                    continue
                for _, seq, log in [w for w in waiting.pop(one.name, []) if one.committed >= w[1]]:
                    if len(one.log) >= seq and one.log[seq - 1] == log:
                        self._acknowledge(shard, seq, log, now)
                if one.promised == one.office.configuration.epoch and not one.full and not one.broken:
                    count += 1
                    record = replica.Record(one.office.configuration.epoch, f"w{count}")
                    one.log.append(record)
                    waiting[one.name] = [(count, len(one.log), record)]

    def _acknowledge(self, shard, seq, record, now):
        told = self.acknowledged.setdefault(shard, {})
        assert told.setdefault(seq, record) == record, "two writes were acknowledged at one place"
        before = self.last_ack.get(shard, now)
        self.gaps.setdefault(shard, []).append((before, now - before))
        self.last_ack[shard] = now

    def longest_gap(self, since, shard):
        """Return the longest time without an acknowledgement since then, in seconds; one may last still."""
        ended = [gap for begin, gap in self.gaps.get(shard, ()) if begin + gap >= since]
        return max(*ended, 0.0, asyncio.get_running_loop().time() - self.last_ack.get(shard, since))

"""A replica reduced to what the operator can tell apart: a log, a promise, an office. Its disk never lies.

The rules are those of docs/replication.md; what happens inside a shard node is shown by its own simulator.
"""

import dataclasses
import itertools

from vectorfleet_operator import replication

_DISKS = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Record:
    """One record of a log."""

    epoch: int
    value: str


@dataclasses.dataclass
class Office:
    """What a replica does that leads, or was told to."""

    configuration: replication.Configuration
    start: int
    learned: bool = False
    learners: tuple = ()
    verified: dict = dataclasses.field(default_factory=dict)
    answered: dict = dataclasses.field(default_factory=dict)
    quorum_at: float = 0.0


class Replica:
    """One replica: what is on its disk survives `crash`, and is gone with `lose_disk`."""

    def __init__(self, name):
        self.name = name
        self.lose_disk()
        self.up = False
        self.full = self.stuck = self.cramped = False
        self.broken = False  # until a restart: it answers reads, and takes part in nothing
        self.takes_nothing = False  # so full that not even the primary's records have room
        self.leaving = False
        self.heard_at = 0.0

    def lose_disk(self):
        self.disk = f"d{next(_DISKS)}"
        self.log, self.promised, self.configuration, self.committed = [], 0, None, 0
        self.office, self.sealed_for, self.rotten, self.damaged = None, 0, 0, False
        self.returned = self.diverged = False
        self.inability = None

    def put_back(self, disk):
        """Have a disk again that was lost: another replica's attributes, as they were then."""
        self.crash()
        kept = ("disk", "log", "promised", "configuration", "committed")
        vars(self).update({what: disk[what] for what in kept}, returned=True)

    def start(self, now):
        self.up, self.leaving, self.sealed_for, self.heard_at = True, False, 0, now
        self.office, self.stuck, self.broken = None, False, False
        if not self.refuses:
            self._resume(now)

    def damage(self):
        """Die, and come back with data that can't be read any more."""
        self.crash()
        self.damaged = True

    def disable(self, cause, reason):
        """Die, and come back unable to serve, until `inability` is taken away."""
        self.crash()
        self.inability = replication.Inability(cause, reason)

    @property
    def refuses(self):
        """Whether its process is there and serves nothing."""
        return self.damaged or self.inability is not None

    def crash(self):
        self.up, self.office, self.leaving = False, None, False

    @property
    def last(self):
        return replication.Position(self.log[-1].epoch if self.log else 0, len(self.log))

    def _resume(self, now):
        known = self.configuration
        mine = known and known.member(self.name)
        if known and known.primary == self.name and mine.disk == self.disk and known.epoch == self.promised:
            starts = [seq for seq, record in enumerate(self.log, 1) if record.epoch == known.epoch]
            if starts:
                self.office = Office(known, starts[0], learned=True, quorum_at=now)

    def promise(self, epoch):
        if epoch > self.promised:
            self.promised, self.office, self.diverged = epoch, None, False

    # ---------------------------------------------------------------- the operator's calls

    def seal(self, epoch, disk, begins):
        used = begins and (self.log or self.configuration is not None)
        mine = self.office is not None and self.office.configuration.epoch == epoch
        if disk not in ("", self.disk) or epoch < self.promised or used or mine or self.broken:
            return replication.Sealed(False, self.promised, self.last, self.disk)
        self.promise(epoch)
        self.sealed_for = epoch
        return replication.Sealed(True, self.promised, self.last, self.disk)

    def lead(self, configuration, now):
        if self.office is None:
            mine = configuration.member(self.name)
            if not (self.sealed_for == self.promised == configuration.epoch and mine.disk == self.disk):
                return replication.Led(False, False, self.last)
            self.log.append(Record(configuration.epoch, f"start {configuration.epoch}"))
            self.office = Office(configuration, len(self.log), quorum_at=now)
        if self.office.configuration != configuration:
            return replication.Led(False, False, self.last)
        return replication.Led(True, self.quorum_seq() >= self.office.start, self.last)

    def configure(self, configuration, learners, now):
        known = self.configuration.epoch if self.configuration else 0
        if configuration.epoch > known:
            self.promise(configuration.epoch)
            self.configuration = configuration
            office = self.office
            if office is not None and office.configuration.epoch == configuration.epoch:
                assert office.configuration == configuration, (
                    "another configuration of this epoch was committed"
                )
                office.learned = True
            elif office is None:
                self._resume(now)
        if self.office is not None and self.office.configuration.epoch == configuration.epoch:
            self.office.learners = learners
        return max(known, configuration.epoch)

    def rebuild(self, disk):
        if disk == self.disk:
            self.lose_disk()
        return self.disk

    def state(self, now):
        if self.damaged:
            return replication.Damage(self.disk, "a bit has flipped")
        if self.inability is not None:
            return self.inability
        office, known = self.office, self.configuration
        role = self._role()
        silence = now - office.quorum_at if office else 0.0
        digest = replication.Digest(replication.Position(0, 0), self.rotten, 0)
        return replication.ReplicaState(
            name=self.name, disk=self.disk, role=role, promised=self.promised, last=self.last,
            committed=self.committed, configuration=known,
            followers=tuple(
                replication.Follower(
                    one.name, one.disk, office.verified.get(one.disk, 0), 0,
                    now - office.answered.get(one.disk, float("-inf")), copying=False,
                )
                for one in (*office.configuration.members, *office.learners) if one.disk != self.disk
            ) if office else (),
            primary_silence_seconds=now - self.heard_at, leaving=self.leaving,
            acknowledges=bool(office and office.learned and silence < 3) and not self.broken,
            needs_restart=self.broken, problem="the disk refused the log" if self.broken else "",
            quorum_silence_seconds=silence, digests=(digest,),
            diverged=self.diverged,
            caught_up=not (self.stuck or self.cramped or self.diverged)
            and (bool(office) or now - self.heard_at < 3),
            no_room="its volume is full" if self.full or self.takes_nothing else "",
            unreadable="a manifest of format 2" if self.stuck else "",
            no_room_to_copy="9 GiB are to be copied" if self.cramped else "",
        )  # fmt: skip

    def _role(self):
        if self.office is not None:
            return replication.Role.PRIMARY if self.office.learned else replication.Role.ELECT
        if self.configuration is None and not self.log:
            return replication.Role.NEW
        mine = self.configuration and self.configuration.member(self.name)
        return replication.Role.FOLLOWER if mine and mine.disk == self.disk else replication.Role.LEARNER

    # ---------------------------------------------------------------- shipping

    def append(self, epoch, sent, committed, now):
        """Take a primary's whole log; return whether it was taken."""
        if epoch < self.promised or self.refuses or self.broken:
            return False
        self.promise(epoch)
        self.heard_at = now
        if self.takes_nothing and len(sent) > len(self.log):
            return False
        mine = len(self.log)
        if mine <= len(sent) and (not mine or self.log[-1] == sent[mine - 1]):
            self.log.extend(sent[mine:])
        else:
            matching = sum(
                1
                for _ in itertools.takewhile(
                    lambda pair: pair[0] == pair[1], zip(self.log, sent, strict=False)
                )
            )
            if matching < min(self.committed, len(sent)):
                assert self.returned, "what is committed is to be cut"
                self.diverged = True
            if self.diverged:
                return False
            if matching < len(sent):
                self.log = list(sent)
        self.committed = max(self.committed, min(committed, len(sent)))
        return True

    def quorum_seq(self):
        office = self.office
        held = [
            len(self.log) if one.disk == self.disk else office.verified.get(one.disk, 0)
            for one in office.configuration.members
        ]
        return sorted(held, reverse=True)[office.configuration.write_quorum - 1]

    def advance(self):
        """Commit what a quorum holds; return up to where."""
        office = self.office
        reached = self.quorum_seq()
        if office.learned and reached >= office.start:
            self.committed = max(self.committed, reached)
        return self.committed

"""A simulated replica: the real core, a disk that forgets, and what drives them.

It does what the driver of the shard node does, with the worst timing that the contract allows.
"""

import dataclasses
import types

from simulation import loop, promises, records, reporting, values

from vectorfleet_operator import replication
from vectorfleet_shardnode import rebuilding
from vectorfleet_shardnode.replication import history, messages, protocol

PATIENCE = 25  # of a call to another replica
TICK = 12


class Node:
    """One replica; `core` is None while its process is down."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.clock, self.rng, self.promises = world.clock, world.rng, world.promises
        self.disks = 1
        self.disk = records.Disk(f"{name}1")
        self.runs = 0
        self.core = None
        self.refuses = False  # the process is there, and says of itself that its data is damaged
        self.frozen = False
        self._inbox = []
        self.slow_disk = self.pace = 1.0
        self.fuse = None  # how many effects are carried out before it is killed

    # ------------------------------------------------------------------------------------ the process

    def start(self):
        """Start the process with what its disk holds."""
        self.runs += 1
        self.frozen, self._inbox, self.fuse = False, [], None
        self.office = None  # the epoch under which writes are appended
        self.open = self.leaving = False
        self.heard_at = self.quorum_at = self.began_at = self.clock.now
        self.answered_at = {}
        self._syncing = self._telling = self._again = False
        self._waiting = {}  # seq -> answers that wait for its commit
        self._copying = None
        disk = self.disk
        if disk.damaged and "damage_refused" in self.world.dropped:
            disk.lose_behind(self.rng)
        self.refuses = disk.damaged
        if self.refuses:
            return
        if "promise_durable" in self.world.dropped:
            disk.stored = dataclasses.replace(disk.stored, promised=disk.history().last.epoch)
        known = max(disk.mark, disk.snapshot.place.seq)
        member = messages.Member(self.name, disk.identity)
        self.core = protocol.Replica(member, disk.stored, disk.history(), min(known, disk.last_seq))
        self._load()
        self._ticking = False
        self.do(self.core.start)

    def _load(self):
        """Build rows and write ids from snapshot and log, rows up to what is committed."""
        disk = self.disk
        self.rows, self.ids = dict(disk.snapshot.rows), dict(disk.snapshot.ids)
        self.applied = disk.snapshot.place.seq
        self.ids.update({record.write_id: record.seq for record in disk.records if record.write_id})
        self._apply(self.core.committed)

    def crash(self):
        """Kill the process and cut the power."""
        self.refuses = False
        if self.core is not None:
            self.core = None
            self.open = False
            self.disk.lose_power(self.rng)

    def _give_up(self, effect, _):
        kept = self.disk.stored
        self.lose_disk()
        self.disk.stored = kept
        effect.token(messages.GiveUpReply(self.disk.identity))
        self.world.restart_later(self)

    def give_up(self, epoch, answer):
        """The core is told to give up its data."""
        self.do(self.core.give_up, answer, epoch)

    def rebuild(self, disk, epoch, answer):
        """A Rebuild arrives, meant for a disk."""
        if disk != self.disk.identity:
            return
        if self.core is not None:
            self.give_up(epoch, lambda reply: answer(reply.disk or None))
            return
        known = types.SimpleNamespace(uid=disk, configuration=self.disk.stored.configuration)
        if not rebuilding.keeps_damaged(known, epoch):
            self._give_up(messages.GiveUp(lambda reply: answer(reply.disk)), ())

    def lose_disk(self):
        """Lose the volume: whoever comes back under this name is another member."""
        self.crash()
        if "disk_identity" not in self.world.dropped:
            self.disks += 1
        self.disk = records.Disk(f"{self.name}{self.disks}")

    def freeze(self):
        """Stop the process, as SIGSTOP does; what comes waits."""
        self.frozen = True

    def thaw(self):
        """Let it go on: all that has come meanwhile comes at once."""
        self.frozen = False
        inbox, self._inbox = self._inbox, []
        for run, act, args in inbox:
            self.enter(run, act, *args)

    def enter(self, run, act, *args):
        """Bring something to the process `run`, or to whichever runs where it is None."""
        if self.core is None and not (self.refuses and act.__name__ in ("report", "rebuild")):
            return
        if run not in (None, self.runs):
            return
        if self.frozen:
            self._inbox.append((run, act, args))
        else:
            act(*args)

    def later(self, delay, act, *args):
        """Bring something to this process when a time has passed."""
        self.clock.after(delay, self.enter, self.runs, act, *args)

    def _tick(self):
        self._ticking = self.core.term is not None
        if self._ticking:
            self.later(self.pace * TICK * (0.7 + 0.6 * self.rng.random()), self._tick)
            self.do(self.core.tick)

    # ---------------------------------------------------------------------------------------- effects

    def do(self, decide, *args, given=()):
        """Bring an event to the core and carry out its effects, each whole before the next.

        Args:
            decide: a method of the core.
            args: of the event.
            given: the Append under way, its records, and its sender.
        """
        core = self.core
        for effect in decide(*args):
            if self.fuse is not None:
                self.fuse -= 1
                if self.fuse < 0:
                    self.world.crash(self)
            if self.core is not core:
                return
            CARRY_OUT[type(effect)](self, effect, given)

    def _store(self, effect, _):
        self.disk.stored = effect.stored
        if self._copying and self._copying[0] < effect.stored.promised and self.rng.random() < 0.5:
            self.later(0, self._abort_copy, self._copying)

    def _cut(self, effect, _):
        self.promises.cuts(self.disk, effect.after)
        for record in self.disk.cut(effect.after):
            if self.ids.get(record.write_id) == record.seq:
                del self.ids[record.write_id]

    def _write(self, effect, given):
        for record in given[1]:
            if record.seq >= effect.first:
                self._append(record)
        if "ack_fsync" in self.world.dropped:
            self.later(0, self.synced, self.disk.last_seq, self.disk.cuts)

    def _append(self, record):
        if record.seq != self.disk.last_seq + 1:
            raise promises.BrokenPromiseError(f"{record} does not follow {self.disk.last_seq}")
        self.disk.records.append(record)
        if record.write_id:
            self.ids[record.write_id] = record.seq
        self._sync()

    def _lead(self, effect, _):
        if not effect.resumes and "start_record" not in self.world.dropped:
            self._append(records.Record(effect.epoch, self.disk.last_seq + 1))
        if self.disk.last_seq != self.core.history.last_seq:
            raise promises.BrokenPromiseError(
                f"the log ends at {self.disk.last_seq}, not as the core believes"
            )
        self.office = effect.epoch
        if not self._ticking:
            self._ticking = True
            self.later(self.pace * TICK * self.rng.random(), self._tick)

    def _open(self, effect, _):
        self.promises.opens(self.disk, self.core.term.epoch)
        self.open, self.quorum_at = True, self.clock.now

    def _follow(self, effect, _):
        self.open = False
        waiting, self._waiting = self._waiting, {}
        for answers in waiting.values():
            for answer, _ in answers:
                answer(("unknown", None))
        if self.rng.random() < 0.5:
            self._stopped()
        else:
            self.later(self.rng.random() * 15, self._stopped)

    def _stopped(self):
        self.office = None
        self.later(0, self.do, self.core.stopped, self.disk.last_seq)

    def _commit(self, effect, _):
        self.promises.commits(self.disk, self.applied + 1, effect.seq)
        self._apply(effect.seq)
        if self.rng.random() < self.world.plan.retention:
            self.later(0, self.trim)
        for seq in [seq for seq in self._waiting if seq <= effect.seq]:
            for answer, write_id in self._waiting.pop(seq):
                self._acknowledge(seq, answer, write_id)
        if self.core.term is not None:
            self.quorum_at = self.clock.now
        if self.core.term is not None and not self._telling:
            self._telling = True
            self.later(self.rng.random() * 10, self._tell)

    def _tell(self):
        self._telling = False
        self.do(self.core.tell_committed)

    def _apply(self, upto):
        for record in self.disk.between(self.applied + 1, upto):
            if record.write_id:
                self.rows[record.key] = record.value
        self.applied = upto

    def _answer(self, effect, _):
        effect.token(effect.reply)

    # ---------------------------------------------------------------------------------------- the disk

    def _sync(self):
        """Have the log fsynced, in groups."""
        if self._syncing:
            self._again = True
            return
        self._syncing, self._again = True, False
        delay = self.world.plan.fsync * self.slow_disk * (0.2 + self.rng.random())
        self.clock.after(delay, self._on_disk, self.runs, self.disk, (self.disk.last_seq, self.disk.cuts))

    def _on_disk(self, run, disk, reached):
        """An fsync ends, whether the process is frozen or not."""
        if run != self.runs or self.core is None or disk is not self.disk:
            return
        seq, cuts = reached
        if cuts == disk.cuts:
            disk.durable = max(disk.durable, seq)
            if self.rng.random() < 0.5:
                disk.mark = max(disk.mark, min(self.core.committed, disk.durable))
        self._syncing = False
        if self._again or cuts != disk.cuts:
            self._sync()
        self.later(self.rng.choice((0, 0, 1, 5)), self.synced, seq, cuts)

    def synced(self, seq, cuts):
        """Tell the core what is on the disk; what was on it before a cut is void."""
        if cuts == self.disk.cuts:
            self.do(self.core.synced_to, seq)

    def trim(self):
        """Seal what is committed into the snapshot, and give up a part of the log behind it."""
        disk, place = self.disk, self.core.history.place(self.core.committed)
        ids = {key: seq for key, seq in self.ids.items() if seq <= place.seq}
        disk.snapshot = records.Snapshot(place, dict(self.rows), ids)
        base = self.rng.choice((place.seq, self.rng.randint(disk.base.seq, place.seq)))
        if base > disk.base.seq:
            disk.trim(base)
            self.do(self.core.trimmed_to, base)

    # ------------------------------------------------------------------------------ from other replicas

    def append(self, disk, given, answer):
        """An Append arrives, meant for a disk: the message, its records, its sender."""
        if disk != self.disk.identity:
            return

        def heard(reply):
            if reply.promised == given[0].epoch:
                self.heard_at = self.clock.now
            answer(reply)

        self.do(self.core.append, heard, given[0], given=given)

    def confirm(self, disk, answer):
        """A Confirm arrives."""
        if disk == self.disk.identity:
            self.do(self.core.confirm, answer)

    def checkpoint(self, epoch, answer):
        """A replica asks for segments."""
        if self.core.promised <= epoch:
            answer(self.disk.snapshot)

    def _send(self, effect, _):
        to, message = effect.to, effect.message
        core, epoch = self.core, message.epoch
        if isinstance(message, messages.Confirm):
            bring, args, heard = Node.confirm, (to.disk,), core.confirm_reply
            context = message
        else:
            count = self.rng.choice((1, 2, 8, 8))
            batch = tuple(self.disk.between(message.previous.seq + 1, message.upto)[:count])
            if batch and batch[0].seq != message.previous.seq + 1:  # trimmed meanwhile
                self.later(PATIENCE, self.do, core.unreachable, to.disk, epoch)
                return
            message = dataclasses.replace(message, epochs=tuple(record.epoch for record in batch))
            bring, args, heard = Node.append, (to.disk, (message, batch, self)), core.append_reply
            context = epoch
        target, run = self.world.nodes[to.name], self.runs

        def deliver(answer):
            target.enter(None, bring, target, *args, answer)

        def answered(reply):
            if reply is None:
                self.enter(run, self.do, core.unreachable, to.disk, epoch)
            else:
                self.enter(run, self._heard, heard, to.disk, context, reply)

        self.world.network.ask((self.name, to.name), deliver, answered, PATIENCE)

    def _heard(self, decide, disk, context, reply):
        current = self.core.term
        if current is not None and current.epoch == (context if isinstance(context, int) else context.epoch):
            self.answered_at[disk] = self.clock.now
            quorum = current.configuration.write_quorum - 1
            newest = sorted(
                (self.answered_at.get(peer.member.disk, 0.0) for peer in current.members()), reverse=True
            )
            self.quorum_at = max(self.quorum_at, newest[quorum - 1] if quorum else self.clock.now)
        self.do(decide, disk, context, reply)

    # -------------------------------------------------------------------------------------- copying

    def _copy(self, effect, given):
        message, _, source = given
        run = self.runs
        self._copying = copying = (message.epoch, object())

        def deliver(answer):
            source.enter(None, source.checkpoint, message.epoch, answer)

        def answered(snapshot):
            if snapshot is None or self.rng.random() < 0.3:
                self.enter(run, self._abort_copy, copying)
            if snapshot is not None:
                # A copy that began on a slow disk has to end within the time in which all gets well.
                delay = self.rng.choice((1, 5, 60)) * min(self.slow_disk, 10.0)
                self.clock.after(delay, self.enter, run, self._install, copying, snapshot)

        self.world.network.ask((self.name, source.name), deliver, answered, PATIENCE * 2)

    def _abort_copy(self, copying):
        if self._copying is copying:
            self._copying = None
            self.do(self.core.copy_failed)

    def _install(self, copying, snapshot):
        """A copy is whole; it may come after it was given up."""
        log = history.starting(snapshot.place)
        try:
            self.core.check_install(copying[0], log)
        except protocol.ProtocolError:
            self._abort_copy(copying)
            return
        if self.core.copying and self._copying is not copying:
            return  # another copy has begun since
        self._copying = None
        if "ids_copied" in self.world.dropped:
            snapshot = dataclasses.replace(snapshot, ids={})
        self.disk.install(snapshot)
        self.promises.installs(self.disk)
        self.do(self.core.installed, copying[0], log)
        self._load()

    # ------------------------------------------------------------------------------ from the operator

    def seal(self, disk, epoch, begins, answer):
        """A Seal arrives."""
        if disk != self.disk.identity:
            answer(None)
            return

        def sealed(reply):
            answer(replication.Sealed(reply.sealed, reply.promised, values.place(reply.last), disk))

        self.do(lambda: self.core.seal(sealed, epoch, begins=begins))

    def lead(self, wanted, seconds, answer):
        """A Lead arrives; it is answered as soon as enough hold the log, or when the time is up."""
        waiting = [answer]

        def led(reply):
            if waiting:
                waiting.pop()(replication.Led(reply.leading, reply.held, values.place(reply.last)))

        def late():
            leads = self.core.term is not None and self.core.term.epoch == wanted.epoch
            led(messages.LeadReply(leads, last=self.core.history.last))

        self.later(seconds * loop.SECOND, late)
        self.do(self.core.lead, led, wanted)

    def configure(self, configuration, learners, answer):
        """A Configure arrives."""
        self.do(self.core.configure, lambda reply: answer(reply.epoch), configuration, learners)

    def leave(self):
        """It is told to end: a primary waits for its place to be taken."""
        self.leaving = True

    @property
    def has_left(self):
        """Whether it may end, having been told to."""
        current = self.core.term
        return self.leaving and (current is None or len(current.configuration.members) == 1)

    def report(self, answer):
        """Say what it is."""
        if self.refuses:
            answer(replication.Damage(self.disk.identity, "a bit has flipped"))
        else:
            answer(reporting.state_of(self))

    # -------------------------------------------------------------------------------- from clients

    def write(self, write, answer):
        """A client's write arrives: (id, key, value)."""
        if not self.open or self.core.term is None:
            answer(("refused", self._primary()))
            return
        self.later(self.rng.choice((0, 1)), self._plan, write, answer)

    def _plan(self, write, answer):
        write_id, key, value = write
        seq = self.ids.get(write_id)
        if self.office is None:
            answer(("refused", self._primary()))
        elif seq is None:
            seq = self.disk.last_seq + 1
            self._append(records.Record(self.office, seq, write_id, key, value))
            if "ship_fsynced" in self.world.dropped:
                self.core.history = self.core.history.extended(self.office, seq)
            self._wait(seq, answer, write_id)
        elif seq <= self.core.committed:
            self._acknowledge(seq, answer, write_id)
        else:
            self._wait(seq, answer, write_id)

    def _wait(self, seq, answer, write_id):
        if self.open:
            self._waiting.setdefault(seq, []).append((answer, write_id))
        else:
            answer(("unknown", None))

    def _acknowledge(self, seq, answer, write_id):
        if self.core.term is None or not self.open:
            answer(("unknown", None))
            return
        self.promises.acknowledges(self.disk.identity, self.core.term.epoch, seq, write_id)
        answer(("done", seq))

    def strong_read(self, key, answer):
        """A strong read arrives."""

        def answered(reply):
            if reply.seq is None:
                answer(("refused", self._primary()))
            else:
                answer(("done", (self.core.committed, self.rows.get(key))))

        self.do(self.core.strong_read, answered)

    def read(self, key, at_least, answer, tries=4):
        """A read arrives that demands a position."""
        if self.core.committed >= at_least:
            answer(("done", (self.core.committed, self.rows.get(key))))
        elif tries:
            self.later(20, self.read, key, at_least, answer, tries - 1)

    def _primary(self):
        known = self.core.configuration
        return known.primary if known is not None else None


CARRY_OUT = {
    messages.Store: Node._store,
    messages.Cut: Node._cut,
    messages.Write: Node._write,
    messages.Lead: Node._lead,
    messages.Open: Node._open,
    messages.Follow: Node._follow,
    messages.Commit: Node._commit,
    messages.Send: Node._send,
    messages.Answer: Node._answer,
    messages.Copy: Node._copy,
    messages.GiveUp: Node._give_up,
}

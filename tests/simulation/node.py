"""A simulated replica: the real core, a disk that forgets, and what drives them.

It does what the driver of the shard node does, with the worst timing that the contract allows. What clients
and the operator ask of it, and what it copies from others, are rooms of their own.
"""

import dataclasses

from simulation import copying, obeying, promises, records, serving

from vectorfleet_shardnode.replication import messages, protocol, term

PATIENCE = 25  # of a call to another replica
TICK = 12


class Node:
    """One replica; `core` is None while its process is down."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.clock, self.rng, self.promises = world.clock, world.rng, world.promises
        self.disks = 1
        self.syncs_until = 0.0  # when the fsync ends that was begun last
        self.disk = records.Disk(f"{name}1")
        self.runs = 0
        self.core = None
        self.refuses = False  # the process is there, and says of itself that its data is damaged
        self.frozen = False
        self._inbox = []
        self.slow_disk = self.pace = 1.0
        self.fuse = None  # how many effects are carried out before it is killed
        self.serving, self.copying = serving.Serving(self), copying.Copying(self)
        self.obeying = obeying.Obeying(self)

    # ------------------------------------------------------------------------------------ the process

    def start(self):
        """Start the process with what its disk holds."""
        self.runs += 1
        self.frozen, self._inbox, self.fuse = False, [], None
        self.office = None  # the epoch under which writes are appended
        self.open = self.leaving = False
        self.heard_at = self.quorum_at = self.began_at = self.clock.now
        self.answered_at, self.accepted_at = {}, {}
        self._syncing = self._telling = self._again = False
        self.serving.start()
        self.copying.under_way = None
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
        self.load()
        self._ticking = False
        self.do(self.core.start)

    def load(self):
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
        self.begin_anew(effect.token)

    def begin_anew(self, answer):
        """Go on with an empty disk that has the old one's promise, and say which."""
        kept = self.disk.stored
        self.lose_disk()
        self.disk.stored = kept
        answer(messages.GiveUpReply(self.disk.identity))
        self.world.restart_later(self)

    def give_up(self, epoch, answer):
        """The core is told to give up its data."""
        self.do(self.core.give_up, answer, epoch)

    def lose_disk(self):
        """Lose the volume: whoever comes back under this name is another member."""
        self.crash()
        if "disk_identity" not in self.world.dropped:
            self.disks += 1
        self.disk = records.Disk(f"{self.name}{self.disks}")

    def leave(self):
        """It is told to end: a primary waits for its place to be taken."""
        self.leaving = True

    @property
    def has_left(self):
        """Whether it may end, having been told to."""
        current = self.core.term
        return self.leaving and (current is None or len(current.configuration.members) == 1)

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
        under_way = self.copying.under_way
        if under_way and under_way[0] < effect.stored.promised and self.rng.random() < 0.5:
            self.later(0, self.copying.abort, under_way)

    def _cut(self, effect, _):
        self.promises.cuts(self.disk, effect.after)
        for record in self.disk.cut(effect.after):
            if self.ids.get(record.write_id) == record.seq:
                del self.ids[record.write_id]

    def _write(self, effect, given):
        for record in given[1]:
            if record.seq >= effect.first:
                self.log_record(record)
        if "ack_fsync" in self.world.dropped:
            self.later(0, self.synced, self.disk.last_seq, self.disk.cuts)

    def log_record(self, record):
        """Append a record to the log."""
        if record.seq != self.disk.last_seq + 1:
            raise promises.BrokenPromiseError(f"{record} does not follow {self.disk.last_seq}")
        self.disk.records.append(record)
        if record.write_id:
            self.ids[record.write_id] = record.seq
        self._sync()

    def _lead(self, effect, _):
        if not effect.resumes and "start_record" not in self.world.dropped:
            self.log_record(records.Record(effect.epoch, self.disk.last_seq + 1))
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
        self.serving.break_off()
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
        self.serving.committed(effect.seq)
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

    def _copy(self, _, given):
        self.copying.begin(given)

    # ---------------------------------------------------------------------------------------- the disk

    def _sync(self):
        """Have the log fsynced, in groups."""
        if self._syncing:
            self._again = True
            return
        self._syncing, self._again = True, False
        delay = self.world.plan.fsync * self.slow_disk * (0.2 + self.rng.random())
        self.syncs_until = self.clock.now + delay
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
        target, run, synced = self.world.nodes[to.name], self.runs, core.synced

        def deliver(answer):
            target.enter(None, bring, target, *args, answer)

        def answered(reply):
            if reply is None:
                self.enter(run, self.do, core.unreachable, to.disk, epoch)
            else:
                self.enter(run, self._heard, heard, to.disk, context, (message, reply, synced))

        self.world.network.ask((self.name, to.name), deliver, answered, PATIENCE)

    def _heard(self, decide, disk, context, heard):
        message, reply, synced = heard
        current = self.core.term
        if current is not None and current.epoch == message.epoch:
            takes = isinstance(message, messages.Confirm) or term.takes(
                reply, records=bool(message.epochs), lacks=synced > message.previous.seq
            )
            self._note_answer(current, disk, reply, takes=takes)
        self.do(decide, disk, context, reply)

    def _note_answer(self, current, disk, reply, *, takes):
        self.answered_at[disk] = self.clock.now
        if reply.promised > current.epoch or not takes:
            return
        self.accepted_at[disk] = self.clock.now
        quorum = current.configuration.write_quorum - 1
        heard = (self.accepted_at.get(peer.member.disk, 0.0) for peer in current.members())
        newest = sorted(heard, reverse=True)
        self.quorum_at = max(self.quorum_at, newest[quorum - 1] if quorum else self.clock.now)


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

"""Operators that change the simulated shard's configuration, step by step, and crash between the steps."""

import dataclasses

from simulation import clock, register

from vectorfleet_shardnode.replication import messages

POLL = 15
PATIENCE = 25
MISSED = 1  # polls without an answer, after which a primary is taken for dead


@dataclasses.dataclass(frozen=True)
class Change:
    """What is to be the next configuration; its epoch is reserved first."""

    members: tuple[messages.Member, ...]
    sealers: tuple[messages.Member, ...]
    needed: int
    prefer: str = ""
    begins: bool = False


class Operator:
    """One process of the operator, which starts anew when it has crashed."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.rng = world.rng
        self.stopped = False
        self.crashes = 0.0  # how likely it is to crash at each step
        self._run()

    def _run(self):
        self.missed = {}
        self._task = clock.Task(self._live())

    def stop(self):
        """End for good."""
        self.stopped = True
        self._task.kill()

    def _start_anew(self):
        if not self.stopped and self._task.over:
            self._run()

    def crash(self):
        """Die, and be started again a little later."""
        self._task.kill()
        self.world.clock.after(POLL * (1 + 3 * self.rng.random()), self._start_anew)

    # -------------------------------------------------------------------------------------- waiting

    def _sleep(self, delay):
        return lambda resume: self.world.clock.after(delay, resume)

    def _ask(self, name, method, *args):
        """Wait for one replica's answer, None where none comes."""
        node = self.world.nodes[name]
        method = getattr(node, method)

        def deliver(answer):
            node.enter(None, method, *args, answer)

        return lambda resume: self.world.network.ask((self.name, name), deliver, resume, PATIENCE)

    def _ask_all(self, asked):
        """Wait for all answers to {name: (method, args ...)}: a dict without those that never came."""

        def wait(resume):
            answers, left = {}, set(asked)

            def arrived(name, reply):
                left.discard(name)
                if reply is not None:
                    answers[name] = reply
                if not left:
                    resume(answers)

            for name, (method, *args) in asked.items():
                self._ask(name, method, *args)(lambda reply, name=name: arrived(name, reply))
            if not asked:
                resume(answers)

        return wait

    def _register(self, method, *args):
        """Wait for the configuration service."""
        target = getattr(self.world.register, method)

        def deliver(answer):
            target(*args, answer)

        return lambda resume: self.world.network.ask((self.name, "api"), deliver, resume, PATIENCE * 2)

    def _step(self):
        """Go on after a step, or crash."""
        if self.rng.random() < self.crashes:
            self.world.clock.after(0, self.crash)
            return self._sleep(1)
        return self._sleep(self.rng.choice((0, 0, 5, 30)))

    # -------------------------------------------------------------------------------------- deciding

    def _live(self):
        yield self._sleep(self.rng.random() * POLL)
        while True:
            status = yield self._register("read")
            if status:
                reports = yield self._ask_all(dict.fromkeys(self.world.wanted, ("report",)))
                yield from self._look(status, reports)
            yield self._sleep(POLL * (0.5 + self.rng.random()))

    def _look(self, status, reports):
        current = status.configuration
        if current is None:
            change = self._beginning(reports)
        else:
            yield from self._tell(current, reports)
            change = self._promotion(current, reports) or self._wish(current, reports)
        if change is not None:
            yield from self._change(status, change)
            if len(self.world.operators) > 1:  # two must not hinder each other for long
                yield self._sleep(POLL * 4 * self.rng.random())

    def _beginning(self, reports):
        if not set(self.world.first) <= set(reports):
            return None
        if any(report.configuration for report in reports.values()):
            return None
        members = tuple(reports[name].member for name in self.world.first)
        empty = all(report.last.seq == 0 for report in reports.values())
        return Change(members, members, len(members), begins=empty)

    def _tell(self, current, reports):
        """Tell everyone what was committed, and the primary whom else to ship to."""
        known = {member.disk for member in current.members}
        learners = tuple(report.member for report in reports.values() if report.member.disk not in known)
        yield self._ask_all(dict.fromkeys(reports, ("configure", current, learners)))

    def _promotion(self, current, reports):
        """Return a change where the primary is dead, or an attempt came to nothing that sealed somebody."""
        primary = reports.get(current.primary)
        leads = primary is not None and primary.member in current.members and primary.acknowledges
        sealed = any(report.promised > current.epoch for report in reports.values())
        self.missed[current.epoch] = 0 if leads and not sealed else self.missed.get(current.epoch, 0) + 1
        if self.missed[current.epoch] <= MISSED:
            return None
        self.missed[current.epoch] = 0
        there = tuple(one for one in current.members if one.name in reports)
        left = [one for one in current.members if one not in _lost(current, reports)]
        kept = [one for one in left if one in there] if self.rng.random() < 0.3 else left
        return self._with(current, reports, tuple(kept))

    def _with(self, current, reports, members, prefer=""):
        """Return a change to other members, sealed by those of the old ones that answer."""
        alive = tuple(
            one
            for one in current.members
            if one.name in reports and reports[one.name].member.disk == one.disk
        )
        needed = current.seal_quorum - ("seal_quorum" in self.world.dropped)
        if len(alive) < needed:
            return None
        return Change(members, alive, max(1, needed), prefer)

    def _wish(self, current, reports):
        """Return what is to be tidied up: lost disks out, caught up learners in; or what a person wishes."""
        primary = reports.get(current.primary)
        if primary is None or not primary.acknowledges:
            return None
        lost = _lost(current, reports)
        kept = [one for one in current.members if one not in lost and one.name in self.world.members_wanted]
        names = {one.name for one in kept}
        hasty = self.rng.random() < 0.3  # who has not caught up may join: W' have to hold the log first
        joining = [
            report.member
            for name, report in reports.items()
            if name in self.world.members_wanted
            and name not in names
            and (primary.followers.get(report.member.disk, 0) >= primary.committed > 0 or hasty)
        ]
        members = tuple(kept + joining)
        if members and set(members) != set(current.members):
            return self._with(current, reports, members)
        wish = self.world.handover
        if wish in names and wish != current.primary:
            self.world.handover = ""
            change = self._with(current, reports, current.members, wish)
            others = tuple(one for one in change.sealers if one.name != current.primary) if change else ()
            if change is not None and len(others) >= change.needed:
                change = dataclasses.replace(change, sealers=others)
            return change
        return None

    # -------------------------------------------------------------------------------------- changing

    def _change(self, status, change):
        """Go through the steps of docs/replication.md; any of them may fail, and then nothing was done."""
        epoch = status.reserved + 1
        status = yield self._register("swap", status, dataclasses.replace(status, reserved=epoch))
        yield self._step()
        if not status:
            return
        sealed = yield from self._seal(epoch, change)
        yield self._step()
        wanted = self._choose(epoch, change, sealed)
        if wanted is None:
            return
        held = yield from self._lead(wanted)
        yield self._step()
        if not held:
            return
        yield from self._commit(status, wanted)

    def _seal(self, epoch, change):
        sealed = {}
        for _ in range(3):
            left = [one for one in change.sealers if one.name not in sealed]
            asked = {one.name: ("seal", one.disk, epoch, change.begins) for one in left}
            answers = yield self._ask_all(asked)
            sealed |= {name: reply.last for name, reply in answers.items() if reply.sealed}
            if len(sealed) >= change.needed:
                break
        return sealed

    def _choose(self, epoch, change, sealed):
        if len(sealed) < change.needed:
            return None
        by_seq = "winner_by_epoch" in self.world.dropped
        key = (lambda last: last.seq) if by_seq else (lambda last: last)
        greatest = max(key(last) for last in sealed.values())
        winners = [name for name in sealed if key(sealed[name]) == greatest]
        able = [name for name in winners if any(one.name == name for one in change.members)]
        pool = able or winners
        primary = change.prefer if change.prefer in pool else self.rng.choice(pool)
        members = change.members
        if primary not in {one.name for one in members}:
            members = (*members, next(one for one in change.sealers if one.name == primary))
        quorum = len(members) if self.world.plan.every else len(members) // 2 + 1
        return messages.Configuration(epoch, primary, members, quorum)

    def _lead(self, wanted):
        disk = next(one.disk for one in wanted.members if one.name == wanted.primary)
        for _ in range(6):
            reply = yield self._ask(wanted.primary, "lead", disk, wanted)
            if reply is not None and not reply.leading:
                return False
            if (reply is not None and reply.held) or "hold_first" in self.world.dropped:
                return True
        return False

    def _commit(self, status, wanted):
        committed = register.Status(0, wanted.epoch, wanted)
        seen = status
        if "cas_reserved" in self.world.dropped:
            seen = self.world.register.status
        done = yield self._register("swap", seen, committed)
        yield self._step()
        if done:
            yield self._ask_all({one.name: ("configure", wanted, ()) for one in wanted.members})


def _lost(current, reports):
    """Return the members under whose names other disks answer."""
    return [one for one in current.members if one.name in reports and reports[one.name].member != one]

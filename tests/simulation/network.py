"""A network that delays, loses, repeats and reorders, and whose links break in one or both directions."""


class Network:
    """Carries calls between processes by name.

    Args:
        clock: of the simulation.
        rng: of the schedule.
        weather: its `delay`, and its `loss` and `repeats` from `worsen` on.
    """

    def __init__(self, clock, rng, weather):
        self.clock, self.weather = clock, weather
        self._random, self._choice = rng.random, rng.choice
        self.loss = self.repeats = 0.0
        self.broken = set()  # (from, to)
        self.slow = {}  # (from, to) -> factor
        self.sent = 0

    def carry(self, ends, act, *args):
        """Call `act` at the other end: soon, late, twice, or never; returns when, None for never."""
        self.sent += 1
        if ends in self.broken or (self.loss and self._random() < self.loss):
            return None
        delay = self._delay(ends)
        self.clock.after(delay, act, *args)
        if self.repeats and self._random() < self.repeats:
            self.clock.after(self._delay(ends) * self._choice((1, 5, 20)), act, *args)
        return self.clock.now + delay

    def _delay(self, ends):
        drawn = self._random() / 0.97
        delay = self.weather.delay * (0.2 + (drawn if drawn < 1 else 8))  # some come out of their order
        return delay * self.slow.get(ends, 1) if self.slow else delay

    def ask(self, ends, deliver, answered, patience):
        """Bring a request, and its answer back; `answered` is called once, with None where none came in time.

        Args:
            ends: names of asker and asked.
            deliver: called at the target with what answers.
            answered: called at the source.
            patience: how long it waits.
        """
        call = _Call(self, ends, (deliver, answered), self.clock.now + patience)
        reached = self.carry(ends, call.reach)
        if reached is None or reached >= call.until:
            call.wait()

    def worsen(self):
        """Lose and repeat from now on."""
        self.loss, self.repeats = self.weather.loss, self.weather.repeats

    def heal(self):
        """Mend all links."""
        self.loss = self.repeats = 0.0
        self.broken.clear()
        self.slow.clear()


class _Call:
    """A request under way, and who waits for its answer.

    That the time is up is an event of its own only where nothing else ends the call: most answers come.
    """

    __slots__ = ("_answered", "_deliver", "_ends", "_network", "_replied", "_waits", "until")

    def __init__(self, network, ends, acts, until):
        self._network, self._ends, self.until = network, ends, until
        self._deliver, self._answered = acts
        self._waits = False

    def wait(self):
        """Let nothing have come when the time is up."""
        if not self._waits and self._answered is not None:
            self._waits = True
            self._network.clock.after(self.until - self._network.clock.now, self._arrive, None)

    def reach(self):
        """The request is there."""
        self._replied = False
        self._deliver(self._reply)
        if not self._replied:
            self.wait()

    def _reply(self, reply):
        source, target = self._ends
        arrival = self._network.carry((target, source), self._arrive, reply)
        self._replied = arrival is not None and arrival < self.until

    def _arrive(self, reply):
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(reply)

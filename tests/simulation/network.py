"""A network that delays, loses, repeats and reorders, and whose links break in one or both directions."""


class Network:
    """Carries calls between processes by name.

    Args:
        clock: of the simulation.
        rng: of the schedule.
        weather: its `delay`, and its `loss` and `repeats` from `worsen` on.
    """

    def __init__(self, clock, rng, weather):
        self._clock, self._rng, self.weather = clock, rng, weather
        self.loss = self.repeats = 0.0
        self.broken = set()  # (from, to)
        self.slow = {}  # (from, to) -> factor
        self.sent = 0

    def carry(self, source, target, act, *args):
        """Call `act` at the target: soon, late, twice, or never."""
        self.sent += 1
        rng = self._rng
        if (source, target) in self.broken or rng.random() < self.loss:
            return
        self._clock.after(self._delay(source, target), act, *args)
        if rng.random() < self.repeats:
            self._clock.after(self._delay(source, target) * rng.choice((1, 5, 20)), act, *args)

    def _delay(self, source, target):
        rng, delay = self._rng, self.weather.delay
        if rng.random() < 0.03:
            delay *= 8  # out of its order
        return delay * (0.2 + rng.random()) * self.slow.get((source, target), 1)

    def ask(self, ends, deliver, answered, patience):
        """Bring a request, and its answer back; `answered` is called once, with None where none came in time.

        Args:
            ends: names of asker and asked.
            deliver: called at the target with what answers.
            answered: called at the source.
            patience: how long it waits.
        """
        source, target = ends
        waiting = [answered]

        def arrive(reply):
            if waiting:
                waiting.pop()(reply)

        self.carry(source, target, deliver, lambda reply: self.carry(target, source, arrive, reply))
        self._clock.after(patience, arrive, None)

    def worsen(self):
        """Lose and repeat from now on."""
        self.loss, self.repeats = self.weather.loss, self.weather.repeats

    def heal(self):
        """Mend all links."""
        self.loss = self.repeats = 0.0
        self.broken.clear()
        self.slow.clear()

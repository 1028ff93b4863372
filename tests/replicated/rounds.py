"""Round after round: clients write and read while something happens to the replicas; then all is compared.

In each round one or two faults come about, a full disk among them where mounting is allowed; the operator of
the tests promotes as it sees fit. Meanwhile any replica is read, and may refuse to answer, but never shows
less than was demanded (`readers`). After it all heals, every answered write must be on every replica, bit for
bit, and no replica may differ from another.
"""

import collections
import contextlib
import dataclasses
import random
import signal
import threading
import time

from crashing import history
from replicated import changes, group, readers, router, volume

from vectorfleet_shardnode.api import config

CLIENTS = 3
READERS = 2


@dataclasses.dataclass
class Tally:
    """What came about, so that a run shows what it was worth."""

    faults: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    answered: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    reads: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    writes: int = 0
    tries: int = 0
    epochs: int = 0
    gaps: list = dataclasses.field(default_factory=list)


class Rounds:
    """The rounds of one group.

    Args:
        server: starts the processes.
        folder: an existing folder.
        seed: of every draw; what threads and processes do in time can't be drawn again.
        count: replicas.
        tuning: bounds of the storage.
    """

    def __init__(self, server, folder, seed, count=3, **tuning):
        # Rows have sparse values too, which no other metric takes.
        self.group = group.Group(server, folder, count, metric=config.Metric.DOTPRODUCT, **tuning)
        self.operator = changes.Operator(self.group)
        self.seed, self.tally = seed, Tally()
        self._small = _volume(self.group.replicas[-1].data)
        self._numbers = random.Random(seed)
        self._rows = [{}] * CLIENTS

    def begin(self):
        """Start the replicas and give them their first configuration."""
        self.group.start()
        self.operator.begin()
        return self

    def close(self):
        """End everything."""
        self.group.close()
        if self._small is not None:
            self._small.close()

    def run(self, count, progress=lambda round_, tally: None):
        """Go through the rounds.

        Raises:
            AssertionError: something that was answered isn't so, or replicas differ.
        """
        for number in range(count):
            try:
                self._go(number)
            except Exception as failure:
                raise AssertionError(
                    f"seed {self.seed}, round {number}: {failure}\n{self.group.describe()}"
                ) from failure
            progress(number + 1, self.tally)
        self.tally.epochs = self.operator.register.configuration.epoch

    def _go(self, number):
        with self._kept():
            clients = self._clients(f"{self.seed}-{number}")
            reading = self._readers(clients, f"{self.seed}-{number}")
            self._trouble()
            self._heal()
            self._prove_progress(clients)
            self._end(clients)
            self._end_reading(reading)
            # A replica that was stopped may promise only now what an attempt that failed had asked it.
            self.group.wait_for(self._are_level, 60)
        self._compare(clients)

    @contextlib.contextmanager
    def _kept(self):
        """Let the operator look after the replicas meanwhile."""
        ending = threading.Event()
        keeping = threading.Thread(target=self.operator.keep, args=(ending,), daemon=True)
        keeping.start()
        try:
            yield
        finally:
            ending.set()
            keeping.join()

    def _clients(self, seed):
        clients = []
        for number, rows in enumerate(self._rows):
            client = readers.Writer(number, None, rows, f"{seed}-{number}")
            client.stub = router.Router(self.group.stubs, client.stopping)
            clients.append(client)
            client.start()
        return clients

    def _readers(self, clients, seed):
        reading = [readers.Reader(self.group.stubs, clients, f"{seed}-r{n}") for n in range(READERS)]
        for reader in reading:
            reader.start()
        return reading

    # ------------------------------------------------------------------------------------ trouble

    def _trouble(self):
        faults = {
            self._kill_primary: 4,
            self._kill_any: 2,
            self._kill_all: 1,
            self._stop_primary: 3,
            self._stop_any: 1,
            self._isolate_primary: 3,
            self._isolate_any: 2,
            self._one_way: 2,
            self._slow_links: 1,
            self._cut_connections: 1,
            self._hand_over: 2,
            self._leave_gracefully: 2,
            self._fill_disk: 2 if self._small is not None else 0,
        }
        chosen = self._numbers.choices(list(faults), list(faults.values()), k=self._numbers.choice([1, 1, 2]))
        for fault in chosen:
            time.sleep(self._numbers.uniform(0.02, 0.25))
            self.tally.faults[fault.__name__.strip("_")] += 1
            fault()
        time.sleep(self._numbers.uniform(0.05, 1.5))

    def _any(self):
        return self._numbers.randrange(self.group.count)

    def _primary(self):
        found = self.group.primary()
        return self._any() if found is None else found

    def _kill(self, number):
        replica = self.group.replicas[number]
        if replica.runs:
            replica.end()
        if self._numbers.random() < 0.5:
            replica.start()

    def _kill_primary(self):
        self._kill(self._primary())

    def _kill_any(self):
        self._kill(self._any())

    def _kill_all(self):
        for number in range(self.group.count):
            self._kill(number)

    def _stop(self, number):
        replica = self.group.replicas[number]
        if replica.runs and not replica.stopped:
            replica.stop()

    def _stop_primary(self):
        self._stop(self._primary())

    def _stop_any(self):
        self._stop(self._any())

    def _isolate_primary(self):
        self.group.isolate(self._primary())

    def _isolate_any(self):
        self.group.isolate(self._any())

    def _one_way(self):
        chosen = self._numbers.choice(["requests", "replies"])
        self.group.isolate(self._any(), chosen)

    def _slow_links(self):
        for link in self.group.network.links.values():
            link.delay = self._numbers.uniform(0, 0.08)

    def _cut_connections(self):
        for link in self.group.network.links.values():
            link.cut()

    def _hand_over(self):
        try:
            self.operator.change(range(self.group.count), primary=self._any(), seconds=2)
        except changes.ChangeFailedError:
            self.tally.faults["change that failed"] += 1

    def _leave_gracefully(self):
        replica = self.group.replicas[self._any()]
        if replica.runs and not replica.stopped:
            replica.end(signal.SIGTERM)

    def _fill_disk(self):
        """One member's volume is full: it keeps what it has, and takes nothing more."""
        self._small.fill()

    # --------------------------------------------------------------------------------------- heal

    def _heal(self):
        self.group.network.heal()
        if self._small is not None:
            self._small.make_room()
        for replica in self.group.replicas:
            replica.go_on()
            if not replica.runs:
                replica.start()

    def _prove_progress(self, clients):
        """After it all heals, each client gets an answer."""
        for client in clients:
            before = len(client.stub.gaps)
            self.group.wait_for(lambda: len(client.stub.gaps) > before or client.failure, 60)  # noqa: B023

    def _end(self, clients):
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(30)
            # Whoever gave up when it was told to stop does not know what became of its last write.
            gave_up = isinstance(client.failure, router.GaveUpError)
            assert gave_up or not client.failure, f"a write was refused: {client.failure!r}"
            self.tally.answered.update(client.answered)
            self.tally.tries += client.stub.tries
            self.tally.writes += client.stub.writes
            self.tally.gaps += client.stub.gaps

    def _end_reading(self, reading):
        """No read was wrong."""
        for reader in reading:
            reader.stopping.set()
        for reader in reading:
            reader.join(30)
            self.tally.reads.update(reader.told)
            if reader.failure is not None:
                raise reader.failure

    # ------------------------------------------------------------------------------------ compare

    def _compare(self, clients):
        """Wait until all replicas are level, and compare each with what was answered."""
        self.group.wait_for(self._are_level, 60)
        found = [history.check(_Strict(stub), clients) for stub in self.group.stubs]
        assert all(one == found[0] for one in found), "replicas differ"
        self._rows = found[0]

    def _are_level(self):
        if self.group.primary() is None:
            self.operator.tell()
            return False
        return self.group.are_level() and not self.operator.left_behind()


def _volume(folder):
    """Return a volume that can be full, None where nothing may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return volume.Volume(folder)
    except PermissionError:
        return None


class _Strict:
    """A stub with a longer deadline, for reading everything."""

    def __init__(self, stub):
        self._stub = stub

    def __getattr__(self, name):
        method = getattr(self._stub, name)
        return lambda request: method(request, timeout=30)

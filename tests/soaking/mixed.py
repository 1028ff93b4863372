"""A steady mixed load on an index: rows of a bounded set of ids come, change and go, and are asked for."""

import concurrent.futures
import dataclasses
import random
import threading
import time

import numpy as np

import vectorfleet

DIMENSIONS = 1024
IDS, A_BATCH, A_DELETE = 5_000, 3, 4
REMEMBERED = 105_000
"""Writes after which a shard remembers as many as it ever will (100,000), and its log is as long as it gets:
each logs a row of more than 4 KB, and 256 MiB are kept."""
_WORDS = [
    *("red", "apple", "bus", "town", "tree", "river", "stone", "light"),
    *("music", "paper", "winter", "glass", "road", "bread", "engine", "coast"),
]
SPEC = {
    "model": {"name": "random", "dimensions": DIMENSIONS},
    "metric": "cosine",
    "schema": {"fields": [{"name": "year", "type": "integer"}], "text": ["about"]},
}
"""What the index has to have."""


@dataclasses.dataclass
class Count:
    """Requests of one client."""

    answered: int = 0
    failed: int = 0
    last: str = ""
    """What the last one failed with."""


def fill(connect, reached, writes=REMEMBERED, callers=16):
    """Write as fast as it goes until what is kept of writes is full; then what is held can be level.

    Args:
        connect: returns the SDK on the index, by consistency.
        reached: is told now and then how many writes were answered.
        writes: how many.
        callers: threads that write.
    """
    turns, done, turn = iter(range(writes)), Count(), threading.Lock()

    def run(seed):
        numbers, drawn = random.Random(seed), np.random.default_rng(seed)
        with connect("session") as client:
            while next(turns, None) is not None:
                row = (_id(numbers), drawn.random(DIMENSIONS, dtype=np.float32), _metadata(numbers))
                client.upsert([row])
                with turn:
                    done.answered += 1
                    if done.answered % 1_000 == 0:
                        reached(done.answered)

    with concurrent.futures.ThreadPoolExecutor(callers) as pool:
        for one in [pool.submit(run, seed) for seed in range(callers)]:
            one.result()


class Load:
    """Threads that write and ask at a steady pace, whatever the answers; what fails is counted.

    Args:
        connect: returns the SDK on the index, by consistency.
        writes: a second.
        queries: a second.
    """

    def __init__(self, connect, writes, queries):
        self._stopping = threading.Event()
        self.written, self.asked, self.asked_others = Count(), Count(), Count()
        plans = [
            ("session", _write, writes, self.written),
            ("session", _ask, queries / 2, self.asked),
            ("eventual", _ask, queries / 2, self.asked_others),
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(connect, seed, *plan)) for seed, plan in enumerate(plans)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @property
    def counts(self):
        """Of each client."""
        return self.written, self.asked, self.asked_others

    def _run(self, connect, seed, consistency, do, pace, count):
        numbers, drawn = random.Random(seed), np.random.default_rng(seed)
        due = time.monotonic()
        with connect(consistency) as client:
            while not self._stopping.is_set():
                try:
                    do(client, numbers, drawn)
                    count.answered += 1
                except vectorfleet.VectorfleetError as failure:
                    count.failed += 1
                    count.last = f"{type(failure).__name__}: {failure}"
                due = max(due + 1 / pace, time.monotonic() - 1)  # what was missed in a pause is not made up
                self._stopping.wait(max(0.0, due - time.monotonic()))


def _write(client, numbers, drawn):
    """Nine of ten writes bring rows, new ones or new versions; the others change metadata, or delete."""
    kind = numbers.random()
    if kind < 0.05:
        client.delete([_id(numbers) for _ in range(A_DELETE)])
    elif kind < 0.1:
        client.update(_id(numbers), set_metadata={"year": numbers.randrange(1990, 2030)})
    else:
        vectors = drawn.random((A_BATCH, DIMENSIONS), dtype=np.float32)
        client.upsert([(_id(numbers), vector, _metadata(numbers)) for vector in vectors])


def _ask(client, numbers, drawn):
    """By vector, by vector under a filter, by words, by both, and rows by their ids."""
    vector, words = drawn.random(DIMENSIONS, dtype=np.float32), " ".join(numbers.choices(_WORDS, k=2))
    since = {"year": {"$gte": numbers.randrange(1990, 2030)}}
    questions = [
        lambda: client.query(vector),
        lambda: client.query(vector, filter=since, include_metadata=True),
        lambda: client.query(text=words, filter=since),
        lambda: client.query(vector, text=words, top_k=20, include_values=True),
        lambda: client.fetch([_id(numbers) for _ in range(A_DELETE)]),
    ]
    numbers.choice(questions)()


def _id(numbers):
    return f"row-{numbers.randrange(IDS)}"


def _metadata(numbers):
    return {"year": numbers.randrange(1990, 2030), "about": " ".join(numbers.choices(_WORDS, k=12))}

"""What replicas hold on to: nothing of what was done again and again."""

import pathlib
import shutil

from replicated.asking import level, write

ROUNDS, EVERY = 15, 4
"""How many, and in each which of them the third replica is filled again: a copy is kept for a minute."""
SETTLED = 4
"""Rounds after which all that is kept for good is there: pools, channels, caches."""


def held(replica):
    """Return how many files a process has open, and how many threads it has."""
    place = pathlib.Path("/proc") / str(replica.pid)
    [threads] = [
        int(line.split()[1])
        for line in (place / "status").read_text().splitlines()
        if line.startswith("Threads:")
    ]
    return len(list((place / "fd").iterdir())), threads


def test_r31_files_and_threads_do_not_add_up(make_group):
    """Handed over, killed, filled from segments, time and again: those that live hold no more than before."""
    group = make_group(log_retained_bytes=20_000)
    living, third = group.replicas[:2], group.replicas[2]
    most = {one.name: (0, 0) for one in living}
    for number in range(ROUNDS):
        for first in range(0, 200, 20):
            write(group, first, 20)
        group.operator.change([0, 1, 2], primary=number % 2)
        third.end()
        if number % EVERY == 0:
            shutil.rmtree(third.data)
        third.start()
        group.wait_for(lambda: group.state(2))
        if number % EVERY == 0:
            group.operator.tell(learners=[2])
            level(group)
            group.operator.change([0, 1, 2])
        level(group)
        if number <= SETTLED:
            most = {one.name: tuple(map(max, held(one), most[one.name])) for one in living}
    for one in living:
        files, threads = most[one.name]
        # A segment more or less is mapped at any moment; one that stays of each round would be ten.
        group.wait_for(lambda: held(one)[0] <= files + 4 and held(one)[1] <= threads + 3)  # noqa: B023

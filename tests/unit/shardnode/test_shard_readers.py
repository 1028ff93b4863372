"""Where reads run: short ones on the event loop while nobody else waits, all others in threads."""

import asyncio
import itertools
import threading

import pytest

from vectorfleet_shardnode import errors
from vectorfleet_shardnode.serving import readers


def thread_name() -> str:
    """Return the name of the thread that it is called in."""
    return threading.current_thread().name


async def test_a_short_read_that_is_alone_runs_on_the_loop() -> None:
    """No thread is woken for it."""
    made = readers.Readers(2)
    assert await made.run_short(thread_name) == threading.current_thread().name
    made.close()


async def test_other_reads_run_in_threads() -> None:
    """The loop stays free for as long as they take."""
    made = readers.Readers(2)
    assert (await made.run(thread_name)).startswith("read")
    made.close()


async def test_short_reads_that_come_together_run_in_threads() -> None:
    """None waits for the other on the loop."""
    made = readers.Readers(2)
    found = await asyncio.gather(*(made.run_short(thread_name) for _ in range(5)))
    assert all(name.startswith("read") for name in found)
    made.close()


async def test_a_short_read_beside_a_long_one_runs_in_a_thread() -> None:
    """The long one's end is not held up by it, nor is anybody else."""
    made = readers.Readers(2)
    ending = threading.Event()
    long = asyncio.create_task(made.run(ending.wait))
    await asyncio.sleep(0)
    assert (await made.run_short(thread_name)).startswith("read")
    ending.set()
    assert await long
    made.close()


async def test_reads_that_turn_out_long_move_to_threads_and_back() -> None:
    """What they took lately decides: a disk that is slow for a while blocks the loop a few times only."""
    clock = itertools.count(0, 0.1)  # each look at it is a tenth of a second later
    made = readers.Readers(2, lambda: next(clock) if slow else 0)
    slow = True
    await made.run_short(int)
    slow = False
    assert (await made.run_short(thread_name)).startswith("read")
    for _ in range(200):
        await made.run_short(int)
    assert await made.run_short(thread_name) == threading.current_thread().name
    made.close()


async def test_an_error_is_the_callers_and_does_not_count_as_a_read_under_way() -> None:
    """The next read is alone again."""
    made = readers.Readers(2)
    with pytest.raises(ValueError, match="invalid literal"):
        await made.run_short(int, "x")
    assert await made.run_short(thread_name) == threading.current_thread().name
    made.close()


async def test_nothing_is_read_once_the_shard_stops() -> None:
    """Both ways say so; what is under way ends."""
    made = readers.Readers(2)
    made.refuse()
    for run in (made.run, made.run_short):
        with pytest.raises(errors.UnavailableError, match="stopping"):
            await run(thread_name)
    made.close()

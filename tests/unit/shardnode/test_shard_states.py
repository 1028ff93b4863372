"""The states of a shard, and who waits for them."""

import asyncio

import pytest

from vectorfleet_shardnode import errors, states


class Seen:
    """A snapshot of which only the seq matters here."""

    def __init__(self, seq):
        self.seq = seq


def written(seq):
    """Where a write stands."""
    return states.Written(seq, 1, 1)


def test_who_comes_after_the_log_has_failed_is_told():
    """A write that is in the log, and is entered after all others were told, does not wait for ever."""
    held = states.States(Seen(0), lambda _: None)
    held.end(errors.LogFailedError("the disk"))
    for waiting in (held.add(Seen(1), written(1)), held.wait(written(1))):
        with pytest.raises(errors.LogFailedError, match="the disk"):
            waiting.result(timeout=5)


def test_a_failure_that_passes_is_told_to_those_who_wait_alone():
    """Who comes later is told what becomes of its own write."""
    held = states.States(Seen(0), lambda _: None)
    before = held.add(Seen(1), written(1))
    held.fail(errors.UnknownOutcomeError("stepping down"))
    after = held.add(Seen(2), written(2))
    held.show(2)
    with pytest.raises(errors.UnknownOutcomeError):
        before.result(timeout=5)
    assert after.result(timeout=5) == written(2)


def test_a_write_whose_caller_has_gone_is_told_of_all_the_same():
    """Who waited was cancelled, as by a deadline: the log's thread, which tells, takes no harm."""

    async def leave(done):
        waiting = asyncio.ensure_future(asyncio.wrap_future(done))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(0)

    held = states.States(Seen(0), lambda _: None)
    left, again = held.add(Seen(1), written(1)), held.wait(written(1))
    failing = held.add(Seen(2), written(2))
    for done in (left, again, failing):
        asyncio.run(leave(done))
    held.show(1)
    held.fail(errors.UnknownOutcomeError("stepping down"))
    assert left.result(timeout=5) == again.result(timeout=5) == written(1)
    with pytest.raises(errors.UnknownOutcomeError):
        failing.result(timeout=5)

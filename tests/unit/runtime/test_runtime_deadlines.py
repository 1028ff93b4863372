"""Deadlines of tasks, kept by one timer."""

import asyncio

import pytest

from vectorfleet_runtime import deadlines

LONG = 3600


@pytest.fixture
def kept():
    """Deadlines of one test's event loop."""
    return deadlines.Deadlines()


def after(seconds):
    """Return a time of the event loop's."""
    return asyncio.get_running_loop().time() + seconds


async def wait_for_ever(kept, seconds):
    """Wait until cancelled."""
    with deadlines.until(kept, after(seconds)):
        await asyncio.Event().wait()


@pytest.mark.parametrize("seconds", [-1, 0, 0.001, 0.0105])
async def test_who_is_late_is_told_so(kept, seconds):
    """A deadline that has passed, or passes, ends what is waited for with TimeoutError."""
    with pytest.raises(TimeoutError):
        await wait_for_ever(kept, seconds)
    assert not asyncio.current_task().cancelling()


async def test_who_is_in_time_is_left_alone(kept):
    """What ends before its deadline passes is not cancelled by it, nor is what its task does next."""
    with deadlines.until(kept, after(0)):
        pass
    with pytest.raises(TimeoutError):
        await wait_for_ever(kept, 0.001)


async def test_an_error_of_ones_own_stays_what_it_is(kept):
    """What fails within a deadline fails with its own error."""
    with pytest.raises(ZeroDivisionError), deadlines.until(kept, after(LONG)):
        raise ZeroDivisionError


async def test_an_earlier_deadline_rings_before_those_that_came_first(kept):
    """A short deadline is kept while others are far away, and those stay."""
    others = [asyncio.create_task(wait_for_ever(kept, LONG + number)) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await wait_for_ever(kept, 0.001)
    assert not any(one.done() for one in others)
    for one in others:
        one.cancel()
    assert all(
        isinstance(one, asyncio.CancelledError)
        for one in await asyncio.gather(*others, return_exceptions=True)
    )


async def test_a_later_deadline_rings_after_an_earlier_one(kept):
    """Each of several deadlines rings, whatever the order in which they were set."""
    told = await asyncio.gather(
        *(wait_for_ever(kept, seconds) for seconds in (0.02, 0.001, 0.01)), return_exceptions=True
    )
    assert [type(one) for one in told] == [TimeoutError] * 3


async def test_being_cancelled_is_not_being_late(kept):
    """Who is cancelled by others is told that, not that its time was up."""
    task = asyncio.create_task(wait_for_ever(kept, LONG))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_being_cancelled_in_the_moment_of_being_late_stays_that(kept):
    """Of both at once, the cancellation counts: it is somebody else's."""
    task = asyncio.create_task(wait_for_ever(kept, LONG))
    await asyncio.sleep(0)
    (one,) = kept._under_way
    one.expire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_inner_of_two_deadlines_is_its_own(kept):
    """A deadline within a longer one is told to whoever set it; the outer goes on."""
    with deadlines.until(kept, after(LONG)):
        with pytest.raises(TimeoutError):
            await wait_for_ever(kept, 0.001)
        await asyncio.sleep(0)


async def test_seconds_are_counted_from_when_they_are_given(kept):
    """A deadline that is so many seconds away is one at a time of the loop's clock."""
    now = asyncio.get_running_loop().time()
    far = deadlines.within(kept, LONG)
    assert now + LONG <= far.when <= asyncio.get_running_loop().time() + LONG
    with pytest.raises(TimeoutError), deadlines.within(kept, 0.001):
        await asyncio.Event().wait()


async def test_the_outer_of_two_deadlines_goes_through_the_inner_one(kept):
    """Where the outer deadline passes, the inner one does not take it for its own."""
    told = []

    async def wait():
        with deadlines.until(kept, after(0.001)):
            try:
                await wait_for_ever(kept, LONG)
            except BaseException as error:
                told.append(type(error))
                raise

    with pytest.raises(TimeoutError):
        await wait()
    assert told == [asyncio.CancelledError]


def test_a_deadline_needs_a_task(kept):
    """Where no task runs there is nothing to cancel."""

    async def loop():
        outside = asyncio.get_running_loop().create_future()

        def call():
            try:
                with deadlines.until(kept, 0):
                    pass
            except RuntimeError as error:
                outside.set_result(str(error))

        asyncio.get_running_loop().call_soon(call)
        return await outside

    assert "there is none" in asyncio.run(loop())

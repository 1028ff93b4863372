"""Attendance: the loop that never ends by itself, and the flags that wake it."""

import asyncio

import prometheus_client
import pytest

from vectorfleet_operator import attend, errors, ports, reconcile
from vectorfleet_operator.api import condition, vector_index

KEY = ports.Key("shop", "products")


class Script:
    """Passes that come to what a test wrote down; the last one cancels the loop."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.pauses = []

    async def take_pass(self, key):
        assert key == KEY
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def sleep(self, flag, seconds):
        self.pauses.append(seconds)
        if not self.outcomes:
            raise asyncio.CancelledError


async def look(key):
    """Nothing is found."""
    return False


def forget(key):
    """Nothing was known."""


async def follow(script, monkeypatch):
    """Attend until the script is over and return the pauses that were made."""
    monkeypatch.setattr(attend, "_sleep", script.sleep)
    with pytest.raises(asyncio.CancelledError):
        await attend.attend(KEY, attend.Attendant(script.take_pass, look, forget), attend.Board())
    return script.pauses


def sample(name, **labels):
    """Return the value of one of our metrics, None where it is not there."""
    return prometheus_client.REGISTRY.get_sample_value(name, labels)


async def test_the_outcome_says_when_to_look_again(monkeypatch):
    """And an index that is gone is as good as never looked at again."""
    pauses = await follow(Script(reconcile.Outcome(5.0), reconcile.Outcome(None)), monkeypatch)

    assert pauses == [5.0, 3600.0]


async def test_errors_end_no_loop_and_pauses_double(monkeypatch):
    """Up to ten seconds; one good pass begins anew."""
    failures = [errors.Transient("away")] * 4 + [ValueError("a bug")] * 4
    script = Script(*failures, reconcile.Outcome(15.0), errors.Transient("away"))

    assert await follow(script, monkeypatch) == [2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0, 10.0, 15.0, 2.0]


async def test_errors_are_counted_by_kind(monkeypatch):
    """A bug is told from an object that the API server refused, and where that was."""
    name = "vectorfleet_operator_reconcile_errors_total"
    labels = [
        {"step": "unknown", "error": "ZeroDivisionError"},
        {"step": "execute", "error": "Rejected"},
    ]
    before = [sample(name, **one) or 0.0 for one in labels]
    rejected = errors.Rejected("never")
    rejected.step = "execute"

    await follow(Script(ZeroDivisionError("a bug"), reconcile.Outcome(5.0, error=rejected)), monkeypatch)

    assert [sample(name, **one) for one in labels] == [count + 1 for count in before]


async def test_gauges_follow_the_index_and_go_with_it(monkeypatch):
    """While it is attended to, its condition and vectors are shown; afterwards they are not."""
    ready = condition.build_condition(condition.READY, True, "Serving", "")
    status = vector_index.VectorIndexStatus(vectors=7, conditions=(ready,))
    seen = []

    class Watching(Script):
        async def sleep(self, flag, seconds):
            where = {"namespace": "shop", "index": "products"}
            seen.append(sample("vectorfleet_index_vectors", **where))
            seen.append(sample("vectorfleet_index_condition", condition="Ready", **where))
            await super().sleep(flag, seconds)

    await follow(Watching(reconcile.Outcome(5.0, status)), monkeypatch)

    assert seen == [7.0, 1.0]
    assert sample("vectorfleet_index_vectors", namespace="shop", index="products") is None


async def test_a_raised_flag_ends_the_sleep():
    """Without it, the sleep would outlast the test."""
    board = attend.Board()
    board.flag(KEY)
    board.wake(KEY)

    await asyncio.wait_for(attend._sleep(board.flag(KEY), 3600), 5)


def test_a_status_that_we_wrote_wakes_nobody():
    """Only a new generation of an object does, or its end; else each pass would cause the next one."""
    board = attend.Board()
    flag = board.flag(KEY)

    woken = []
    for generation in (1, 1, 2, 2, 1):
        flag.clear()
        board.wake_on_change(KEY, {"uid": "uid", "generation": generation})
        woken.append(flag.is_set())
    flag.clear()
    board.wake_on_change(KEY, {"uid": "uid", "generation": 1}, gone=True)

    assert [*woken, flag.is_set()] == [True, False, True, False, True, True]


def test_an_annotation_for_the_operator_wakes():
    """It has no generation of its own, and whoever hands over by one does not wait for the next pass."""
    board, woken = attend.Board(), []
    flag = board.flag(KEY)
    for notes in (
        None,
        {"vectorfleet.io/primary": "a"},
        {"vectorfleet.io/primary": "b"},
        {"other/x": "1"},
        {},
    ):
        flag.clear()
        board.wake_on_change(KEY, {"uid": "uid", "generation": 1, "annotations": notes})
        woken.append(flag.is_set())

    assert woken == [True, True, True, True, False]


def test_what_nobody_attends_to_wakes_nobody():
    """An event of an index that is gone leaves nothing behind."""
    board = attend.Board()
    board.flag(KEY)
    board.wake_on_change(KEY, {"uid": "uid", "generation": 1})
    board.forget(KEY)

    board.wake(KEY)

    assert not board.flag(KEY).is_set()


async def test_a_look_that_finds_work_wakes(monkeypatch):
    """Replicas are looked at beside the passes; one that fails is no end of it."""
    monkeypatch.setattr(attend.lookout, "PERIOD_SECONDS", 0)
    board, findings = attend.Board(), [ValueError("a bug"), False, True]
    flag = board.flag(KEY)

    async def look_up(key):
        found = findings.pop(0) if findings else False
        if isinstance(found, Exception):
            raise found
        return found

    watching = asyncio.create_task(attend._watch(KEY, look_up, board))
    await asyncio.wait_for(flag.wait(), 5)
    watching.cancel()

    assert findings == []

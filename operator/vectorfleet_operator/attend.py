"""Attendance: one endless loop for each VectorIndex, which passes, sleeps, and is woken.

The loop catches its own errors and goes on after a pause that doubles: a loop that ended would not be begun
anew until the operator restarts.
"""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any

from . import errors, lookout, metrics, ports, reconcile
from .desired import names

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE_SECONDS = 10.0  # an API server that is back must not be waited for as long as it was away
_SHORTEST_PAUSE_SECONDS = 0.1
_GATHER_SECONDS = 0.2  # what happens together is looked at once
_FORGOTTEN = 3600.0

Pass = Callable[[ports.Key], Awaitable[reconcile.Outcome]]
Look = Callable[[ports.Key], Awaitable[bool]]
"""Looks at the replicas of an index; whether a pass should be taken at once."""


class Board:
    """Who is awake: a flag for each VectorIndex that events raise and its loop lowers."""

    def __init__(self) -> None:
        self._flags: dict[ports.Key, asyncio.Event] = {}
        self._asked: dict[tuple[ports.Key, str], Hashable] = {}

    def flag(self, key: ports.Key) -> asyncio.Event:
        """Return the flag of an index."""
        return self._flags.setdefault(key, asyncio.Event())

    def wake(self, key: ports.Key) -> None:
        """Raise the flag of an index, where somebody attends to it."""
        if key in self._flags:
            self._flags[key].set()

    def wake_on_change(self, key: ports.Key, metadata: Mapping[str, Any], *, gone: bool = False) -> None:
        """Raise the flag where something else is asked of an object: a status that we wrote is no news."""
        uid, asked = str(metadata["uid"]), None if gone else _asked(metadata)
        if (key, uid) not in self._asked or self._asked[key, uid] != asked:
            self._asked[key, uid] = asked
            self.wake(key)

    def forget(self, key: ports.Key) -> None:
        """Drop what is known of an index that is gone."""
        self._flags.pop(key, None)
        for known in [known for known in self._asked if known[0] == key]:
            del self._asked[known]


def _asked(metadata: Mapping[str, Any]) -> Hashable:
    """Return what people ask for: a spec, which its generation stands for, and annotations of ours."""
    notes = metadata.get("annotations") or {}
    ours = sorted(one for one in notes.items() if one[0].startswith(f"{names.GROUP}/"))
    return int(metadata.get("generation", 0)), tuple(ours)


@dataclasses.dataclass(frozen=True)
class Attendant:
    """What is done for each index."""

    take_pass: Pass
    look: Look
    forget: Callable[[ports.Key], None]


def build_attendant(operator: reconcile.Operator) -> Attendant:
    """Return what the operator does for each index."""

    async def take_pass(key: ports.Key) -> reconcile.Outcome:
        return await reconcile.reconcile(operator, key)

    return Attendant(take_pass, operator.watch.finds_work, operator.watch.forget)


async def attend(key: ports.Key, attendant: Attendant, board: Board) -> None:
    """Attend to one index until the task is cancelled; a pass may be cut off anywhere."""
    flag, failures, take_pass = board.flag(key), 0, attendant.take_pass
    metrics.INDEXES.inc()
    watching = asyncio.create_task(_watch(key, attendant.look, board))
    try:
        while True:
            flag.clear()
            try:
                pause = await _measured(key, take_pass)
                failures = 0
            except Exception as error:  # noqa: BLE001  whatever it is, the loop goes on
                failures += 1
                pause = min(_LONGEST_PAUSE_SECONDS, 2.0 ** min(failures, 4))
                _report(key, error, pause)
            await _sleep(flag, pause)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        metrics.INDEXES.dec()
        _drop_gauges(key)
        attendant.forget(key)
        board.forget(key)


async def _watch(key: ports.Key, look: Look, board: Board) -> None:
    """Look at the replicas once a second, and wake who attends to them where there is work."""
    loop, next_look = asyncio.get_running_loop(), 0.0
    while True:
        # A look at a replica that is silent takes long: it must not make the next one late.
        await asyncio.sleep(max(_SHORTEST_PAUSE_SECONDS, next_look - loop.time()))
        next_look = loop.time() + lookout.PERIOD_SECONDS
        try:
            if await look(key):
                board.wake(key)
        except Exception as error:  # noqa: BLE001  whatever it is, the loop goes on
            _LOG.error("a look at the replicas failed", extra=_names(key), exc_info=error)


async def _measured(key: ports.Key, take_pass: Pass) -> float:
    begin = time.monotonic()
    outcome = await take_pass(key)
    metrics.RECONCILE_SECONDS.observe(time.monotonic() - begin)
    if outcome.status is not None:
        metrics.VECTORS.labels(key.namespace, key.name).set(outcome.status.vectors)
        for condition in outcome.status.conditions:
            metrics.CONDITION.labels(key.namespace, key.name, condition.type).set(condition.holds)
    if outcome.error is not None:
        _count(outcome.error)
        _LOG.warning("a pass was cut short", extra=_names(key) | {"reason": str(outcome.error)})
    return outcome.requeue_after if outcome.requeue_after is not None else _FORGOTTEN


async def _sleep(flag: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):  # wait_for may lose a cancellation that comes with the flag
            await flag.wait()
    except TimeoutError:
        return
    await asyncio.sleep(_GATHER_SECONDS)


def _report(key: ports.Key, error: Exception, pause: float) -> None:
    _count(error)
    extra = _names(key) | {"reason": str(error), "retry_seconds": pause}
    if isinstance(error, errors.OperatorError):
        _LOG.warning("a pass failed", extra=extra)
    else:
        _LOG.error("a pass failed in a way that is our fault", extra=extra, exc_info=error)


def _count(error: Exception) -> None:
    step = error.step if isinstance(error, errors.OperatorError) else ""
    metrics.RECONCILE_ERRORS.labels(step or "unknown", type(error).__name__).inc()


def _names(key: ports.Key) -> dict[str, object]:
    return {"namespace": key.namespace, "index": key.name}


def _drop_gauges(key: ports.Key) -> None:
    for gauge in metrics.OF_INDEX:
        gauge.remove_by_labels({"namespace": key.namespace, "index": key.name})

"""One pod's life: its process is started, asked by its probes, started anew when it ends, and ended."""

import asyncio
import contextlib
import dataclasses
import logging
import pathlib

from ... import errors
from . import folder, pod, probes, processes

_LOG = logging.getLogger(__name__)
IDENTITY = "pod.json"
"""The file in a pod's folder that tells of which template its process is."""
UNKNOWN = "unknown"
"""The revision of a process whose notes are lost: no template has it, so it is started anew."""
_LONGEST_BACKOFF_SECONDS = 30.0
_STABLE_SECONDS = 60.0
_UNREADY_PERIOD_SECONDS = 0.3
_READY_PERIOD_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a pod is to run, and the revision of the template that says so."""

    process: pod.Process
    revision: str


class Pod:
    """A pod.

    Args:
        who: its name and address.
        place: its folder.
        log: its log.
    """

    def __init__(self, who: pod.Identity, place: pathlib.Path, log: pathlib.Path) -> None:
        self.who, self.place, self.log = who, place, log
        self.plan: Plan | None = None
        self.revision = ""
        self.running: processes.Running | None = None
        self.problem = ""
        self._health = probes.Health(0.0)
        self._asking: asyncio.Task[None] | None = None
        self._asked = self._started = self._not_before = 0.0
        self._stopping: float | None = None
        self._ends = 0

    @property
    def ready(self) -> bool:
        """Whether its process runs, is not being ended, and says that it is ready."""
        return self._health.ready and self.running is not None and self._stopping is None

    @property
    def trouble(self) -> str:
        """Why it is not ready; empty where it is."""
        return "" if self.ready else self.problem or self._health.reason

    @property
    def stopping(self) -> bool:
        """Whether its process was told to end and has not yet."""
        return self._stopping is not None

    def adopt(self, running: processes.Running | None, now: float) -> None:
        """Take over a process that a supervisor before this one started."""
        saved = folder.recollect(self.place / IDENTITY)
        self.revision, self.running, self._started = str(saved.get("revision") or UNKNOWN), running, now
        self._health = probes.Health(now)

    def stop(self, now: float) -> None:
        """Tell its process to end; where the pod is still wanted, the next step starts it anew."""
        if self.running is not None and self._stopping is None:
            self._stopping = now
            self.running.end(at_once=False)

    def forgive(self) -> None:
        """Start it at once the next time, however often it has ended."""
        self._ends, self._not_before = 0, 0.0

    def step(self, children: processes.Children, environment: dict[str, str], now: float) -> None:
        """Go on with what is to be done."""
        if self._stopping is not None:
            self._follow_end(now)
        elif self.running is not None and not self.running.is_alive():
            self._note_end(children, now)
        elif self.running is None:
            self._start(children, environment, now)
        elif self.plan is not None:
            self._probe(self.plan.process, now)

    def is_gone(self, now: float) -> bool:
        """End what runs, and return whether nothing does any more."""
        if self.running is None or not self.running.is_alive():
            self._forget()
            return True
        self.stop(now)
        self._follow_end(now)
        return False

    def _start(self, children: processes.Children, environment: dict[str, str], now: float) -> None:
        if self.plan is None or now < self._not_before:
            return
        process = self.plan.process
        folder.write_json(self.place / IDENTITY, {"revision": self.plan.revision})
        order = processes.Order(process.command, {**process.environment, **environment}, self.log, self.place)
        self._started = now
        try:
            self.running = children.start(order)
        except errors.Transient as error:
            self._count_end(str(error), now)
            return
        self.revision, self._health = self.plan.revision, probes.Health(now)
        if not self._ends:
            self.problem = ""
        extra = {"pod": self.who.name, "pid": self.running.pid, "address": self.who.address}
        _LOG.info("started a pod", extra=extra)

    def _note_end(self, children: processes.Children, now: float) -> None:
        status = children.exit_of(self.running) if self.running else None
        known = f"with status {status}" if status is not None else "with a status that nobody saw"
        _LOG.warning("a pod's process has ended", extra={"pod": self.who.name, "status": status})
        self._count_end(f"its process ended {known}; see {self.log}", now)

    def _count_end(self, why: str, now: float) -> None:
        self._ends = 1 if now - self._started > _STABLE_SECONDS else self._ends + 1
        self._not_before = now + backoff(self._ends)
        self.problem = why
        self._forget()

    def _follow_end(self, now: float) -> None:
        if self.running is None or not self.running.is_alive():
            self._stopping, self._ends, self._not_before = None, 0, 0.0
            self._forget()
            return
        grace = self.plan.process.grace_seconds if self.plan else 30.0
        if now - (self._stopping or now) > grace:
            self.running.end(at_once=True)

    def _forget(self) -> None:
        self.running, self._health = None, probes.Health(0.0)
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _probe(self, process: pod.Process, now: float) -> None:
        if self._health.ready:
            self.problem, self._ends = "", self._ends if now - self._started < _STABLE_SECONDS else 0
        if probes.is_lost(self._health, process, now) and self.running is not None:
            _LOG.warning("a pod gives no sign of life and is ended", extra={"pod": self.who.name})
            self.running.end(at_once=True)
            return
        pause = _READY_PERIOD_SECONDS if self._health.ready else _UNREADY_PERIOD_SECONDS
        idle = self._asking is None or self._asking.done()
        if idle and now - self._asked >= pause:
            self._asked = now
            self._asking = asyncio.create_task(self._ask(process))

    async def _ask(self, process: pod.Process) -> None:
        passed = probes.Answer(passed=True)
        ready = await probes.ask(process.ready, self.who.address) if process.ready else passed
        alive = ready.passed or process.alive is None
        if not alive and process.alive is not None:
            alive = (await probes.ask(process.alive, self.who.address)).passed
        patience = process.ready.failures if process.ready else 1
        now = asyncio.get_running_loop().time()
        self._health = probes.heard(self._health, patience, ready, alive=alive, now=now)


def backoff(ends: int) -> float:
    """Return the seconds to wait before a start, after so many ends in a row: 0, then 1 to 30. PURE."""
    return 0.0 if ends <= 1 else min(_LONGEST_BACKOFF_SECONDS, 2.0 ** (ends - 2))


async def quiet(pods: list[Pod]) -> None:
    """Wait until no probe of these pods is under way any more."""
    for one in pods:
        if one._asking is not None:  # noqa: SLF001  this module's own
            one._asking.cancel()  # noqa: SLF001
            with contextlib.suppress(asyncio.CancelledError):
                await one._asking  # noqa: SLF001

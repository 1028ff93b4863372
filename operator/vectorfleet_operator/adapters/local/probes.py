"""The pods' HTTP probes: asking them, and what their answers make of a pod. The second is PURE."""

import asyncio
import dataclasses

from . import pod

_TEXT_BYTES = 512


@dataclasses.dataclass(frozen=True)
class Answer:
    """How a probe went, and why it failed."""

    passed: bool
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Health:
    """What the probes have said since a process started; times in seconds of one clock."""

    last_sign: float
    """When it last showed a sign of life, its start included."""
    started: bool = False
    """Whether it ever did."""
    ready: bool = False
    failures: int = 0
    """Readiness probes that failed in a row."""
    reason: str = ""
    """Why it is not ready."""


def heard(before: Health, patience: int, ready: Answer, *, alive: bool, now: float) -> Health:
    """Return the health after a readiness probe, which may fail `patience` times before it counts. PURE."""
    failures = 0 if ready.passed else before.failures + 1
    return Health(
        last_sign=now if alive else before.last_sign,
        started=before.started or alive,
        ready=ready.passed or (before.ready and failures < patience),
        failures=failures,
        reason=ready.reason,
    )


def is_lost(health: Health, process: pod.Process, now: float) -> bool:
    """Return whether a process showed no sign of life for longer than its probes allow. PURE."""
    probe = process.alive if health.started else process.start or process.alive
    return probe is not None and now - health.last_sign > probe.period_seconds * probe.failures


async def ask(probe: pod.Probe, address: str) -> Answer:
    """Ask a probe; a status of 200 to 399 in time passes."""
    try:
        async with asyncio.timeout(probe.timeout_seconds):
            status, text = await _get(address, probe)
    except (OSError, TimeoutError, ValueError, IndexError):
        return Answer(passed=False, reason=f"{probe.path} does not answer yet")
    passed = 200 <= status < 400
    return Answer(passed, "" if passed else f"{probe.path} answers {status}: {text}")


async def _get(address: str, probe: pod.Probe) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection(address, probe.port)
    try:
        writer.write(f"GET {probe.path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        await writer.drain()
        status = int((await reader.readline()).split()[1])
        while (await reader.readline()).strip():
            pass
        return status, (await reader.read(_TEXT_BYTES)).decode(errors="replace").strip()
    finally:
        writer.close()

"""wrk, the load generator: one thread, keep-alive connections, prepared bodies from a file."""

import pathlib
import re
import shutil
import subprocess

from . import contender

_SCRIPT = pathlib.Path(__file__).with_name("wrk.lua")
_FIELD = re.compile(r"(\w+)=([\d.]+)")


def version() -> str:
    """Return wrk's version.

    Raises:
        SkippedError: it is not installed.
    """
    if shutil.which("wrk") is None:
        raise contender.SkippedError("wrk is not installed: make peers")
    said = subprocess.run(["wrk", "-v"], check=False, capture_output=True, text=True)
    return " ".join((said.stdout or said.stderr).split()[:2])


def command(
    url: str, bodies: pathlib.Path, headers: dict[str, str], pressure: contender.Pressure
) -> list[str]:
    """Return the command that sends bodies to a URL, with POST. Pure."""
    host, _, path = url.removeprefix("http://").partition("/")
    threads = ["-t1", f"-c{pressure.connections}", f"-d{pressure.seconds}s", "--timeout", "30s"]
    told = [str(bodies), "POST", f"/{path}", f"{pressure.pause:.3f}"]
    told += [f"{name}: {value}" for name, value in headers.items()]
    return ["wrk", *threads, "-s", str(_SCRIPT), f"http://{host}", "--", *told]


def run(told: list[str]) -> contender.Load:
    """Run wrk; see `parse`."""
    said = subprocess.run(told, check=False, capture_output=True, text=True)
    return parse(said.stdout + said.stderr)


def parse(output: str) -> contender.Load:
    """Read what the script printed. Pure.

    Raises:
        ValueError: there is no result, or a request failed: failures would be fast answers.
    """
    lines = [line for line in output.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise ValueError(f"wrk printed no result: {output.strip()[-500:]}")
    got = {name: float(value) for name, value in _FIELD.findall(lines[-1])}
    if got["failed"] or not got["requests"]:
        raise ValueError(f"{got['failed']:.0f} of {got['requests']:.0f} requests failed")
    return contender.Load(got["requests"] / got["seconds"], got["p50"], got["p95"], got["p99"])

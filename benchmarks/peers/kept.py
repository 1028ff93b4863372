"""Turns of the benchmark in a file: few contenders at a time, ourselves among them each time."""

import dataclasses
import json
import pathlib
from typing import Any

from . import contender, measuring


@dataclasses.dataclass(frozen=True)
class Turn:
    """What one run measured, one contender after the other.

    Attributes:
        when: date and time.
        before: load average of the machine before.
        skipped: by contender, why it was not measured.
    """

    when: str
    before: float
    measured: list[measuring.Measured]
    skipped: dict[str, str]


def write(path: pathlib.Path, turns: list[Turn]) -> None:
    """Keep turns in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([dataclasses.asdict(turn) for turn in turns], indent=1))


def read(path: pathlib.Path) -> list[Turn]:
    """Return the turns kept in a file; none where there is none."""
    return [_turn(one) for one in json.loads(path.read_text())] if path.exists() else []


def _turn(told: dict[str, Any]) -> Turn:
    return Turn(**{**told, "measured": [_measured(one) for one in told["measured"]]})


def _measured(told: dict[str, Any]) -> measuring.Measured:
    reached = [_reached(one) for one in told["reached"]]
    curve = [(recall, rate) for recall, rate in told["curve"]]
    return measuring.Measured(**{**told, "reached": reached, "curve": curve})


def _reached(told: dict[str, Any]) -> measuring.Reached:
    loads = {int(connections): contender.Load(**load) for connections, load in told["loads"].items()}
    steady = contender.Load(**told["steady"]) if told["steady"] else None
    return measuring.Reached(**{**told, "loads": loads, "steady": steady})


def latest(turns: list[Turn]) -> dict[str, tuple[measuring.Measured, Turn]]:
    """Return the last measurement of each contender, and the turn that it was made in."""
    return {one.name: (one, turn) for turn in turns for one in turn.measured}


def beside(turn: Turn, name: str) -> measuring.Measured | None:
    """Return what the same turn measured of a contender."""
    return next((one for one in turn.measured if one.name == name), None)

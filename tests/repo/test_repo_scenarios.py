"""The page on testing: every test that it names exists, and every test of a scenario is named."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
ROW = re.compile(r"^\| R(\d+) \|.*\| (`test_.*) \|$", re.MULTILINE)


def named() -> dict[str, set[str]]:
    """Return the page's table: scenario to tests."""
    rows = ROW.findall((ROOT / "docs/testing.md").read_text())
    return {number: set(re.findall(r"`(test_\w+)`", tests)) for number, tests in rows}


def defined() -> dict[str, set[str]]:
    """Return the tests whose names say a scenario."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name, number in re.findall(
            r"^(?:async )?def (test_r0*(\d+)_\w+)\(", path.read_text(), re.MULTILINE
        ):
            found.setdefault(number, set()).add(name)
    return found


def test_the_table_of_scenarios_is_complete_and_true():
    """A renamed test, or a new one, changes the table too."""
    assert named() == defined()
    assert len(named()) > 8

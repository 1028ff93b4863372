"""Skipped tests: which reasons are known, and that others fail in continuous integration."""

import os
import pathlib
import re
import subprocess
import sys

import left_out
import pytest

TESTS = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("environment", "user", "expected"),
    [
        ({"CI": "true"}, 0, True),
        ({"CI": "1"}, 0, True),
        ({"CI": "true"}, 1000, False),
        ({"CI": "false"}, 0, False),
        ({"CI": ""}, 0, False),
        ({}, 0, False),
    ],
)
def test_nothing_may_be_missing_in_continuous_integration_as_root(environment, user, expected):
    """Elsewhere a test that lacks something is skipped, and says what it lacks."""
    assert left_out.everything_runs(environment, user) is expected


@pytest.mark.parametrize("ci", ["true", ""])
def test_a_skip_for_a_reason_that_is_not_known_fails(tmp_path, ci):
    """By the hook as every run has it; one for a known reason stays a skip."""
    (tmp_path / "test_two.py").write_text(
        "import pytest\n"
        "def test_one(): pytest.skip('long; run by make soak')\n"
        "@pytest.mark.skipif(True, reason='nothing can be mounted here')\n"
        "def test_two(): pass\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "left_out",
        "-p",
        "no:cacheprovider",
        "-rA",
        str(tmp_path),
    ]
    environment = os.environ | {"CI": ci, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)
    fails = ci == "true" and os.geteuid() == 0
    assert ("1 skipped, 1 error" if fails else "2 skipped") in done.stdout
    assert ("skipped in continuous integration: 'nothing can be mounted here'" in done.stdout) is fails


def test_every_known_reason_is_a_tests():
    """A reason that no test gives any more lets nothing be skipped by mistake."""
    written = "".join(path.read_text() for path in TESTS.rglob("*.py") if path.name != "left_out.py")
    written += (TESTS.parent / "shardnode/vectorfleet_shardnode/engines/gpu.py").read_text()
    unused = [one for one in left_out.KNOWN if re.sub(r"\W*\.\*$", "", one) not in written]
    assert unused == []

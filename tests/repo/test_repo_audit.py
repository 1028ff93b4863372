"""`make audit`: what it ends with, so that nothing passes for safe that nobody has looked at."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

PATH = pathlib.Path(__file__).parents[2] / "requirements" / "audit.py"
FINE = {"name": "a", "version": "1", "vulns": []}
WRONG = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "not found"}
SILENT = "ConnectionError: no route to it"


@pytest.fixture
def audit():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("audit", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ({"pypi": [FINE]}, 0, "1 of 1 packages looked up, 0 findings"),
        ({"osv": [FINE]}, 0, "1 of 1 packages looked up, 0 findings"),
        ({"pypi": [FINE, WRONG]}, 1, "b 2: CVE-1, fixed in 3"),
        ({"pypi": [FINE, SKIPPED]}, 2, "not looked up: c"),
        ({"pypi": [WRONG, SKIPPED]}, 1, "not looked up: c"),
        ({}, 2, "NOTHING of its "),
        ({}, 2, f"  osv: {SILENT}"),
        ({"pypi": [FINE, SKIPPED]}, 2, "CAN'T BE TOLD (status 2)"),
        ({}, 2, "CAN'T BE TOLD (status 2)"),
    ],
)
def test_what_an_audit_ends_with(audit, monkeypatch, capsys, answers, status, said):
    """0 only where every package of every image was looked up and none is flawed."""

    def look_up(_, database):
        return audit.Answer(tuple(answers.get(database, ())), SILENT)

    monkeypatch.setattr(audit, "look_up", look_up)
    assert audit.main([]) == status
    assert said in capsys.readouterr().out
    # Of every change: as strict with what is known, and a warning of what can't be told.
    assert audit.main(["--lenient"]) == (1 if status == 1 else 0)
    assert ("WARNING: " in capsys.readouterr().out) == (status == 2)


BROKE = "Traceback\n  File x\nConnectionError: it can't be reached\n\n"
KNOWS_NONE = '{"dependencies": [{"name": "c", "skip_reason": "not found"}]}'


@pytest.mark.parametrize(
    ("stdout", "stderr", "why"),
    [
        ("", BROKE, "ConnectionError: it can't be reached"),
        ("", "", "it failed without a word"),
        (KNOWS_NONE, "", "it knows none of them: not found"),
    ],
)
def test_why_a_database_did_not_tell(audit, monkeypatch, stdout, stderr, why):
    """In its own last words, or by what it said of each package."""
    done = subprocess.CompletedProcess([], 1, stdout, stderr)
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: done)
    answer = audit.look_up("operator.lock", "osv")
    assert not answer.packages
    assert why in answer.why

"""`make audit`: what it ends with, so that nothing passes for safe that nobody has looked at."""

import importlib.util
import pathlib

import pytest

PATH = pathlib.Path(__file__).parents[2] / "requirements" / "audit.py"
FINE = {"name": "a", "version": "1", "vulns": []}
WRONG = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "not found"}


@pytest.fixture
def audit():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("audit", PATH)
    module = importlib.util.module_from_spec(spec)
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
        ({}, 2, "NOTHING of it was looked up"),
    ],
)
def test_what_an_audit_ends_with(audit, monkeypatch, capsys, answers, status, said):
    """0 only where every package of every image was looked up and none is flawed."""
    monkeypatch.setattr(audit, "look_up", lambda _, database: answers.get(database))
    assert audit.main() == status
    assert said in capsys.readouterr().out

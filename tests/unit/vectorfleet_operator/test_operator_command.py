"""The command `vectorfleet-operator`: what is generated, and how a start that can't be ends."""

import subprocess
import sys

import pytest
import yaml

from vectorfleet_operator import __main__ as command
from vectorfleet_operator import settings


def run(monkeypatch, *arguments):
    """Run the command and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["vectorfleet-operator", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return ended.value.code


def test_crds_are_printed(monkeypatch, capsys):
    """The output can be piped into kubectl."""
    assert run(monkeypatch, "crds") == 0

    printed = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [one["metadata"]["name"] for one in printed] == [
        "vectorindexes.vectorfleet.io",
        "vectorshards.vectorfleet.io",
    ]


def test_crds_are_written_and_checked(monkeypatch, capsys, tmp_path):
    """What was written passes the check; what was edited afterwards does not, and is named."""
    assert run(monkeypatch, "crds", "--write", str(tmp_path)) == 0
    assert run(monkeypatch, "crds", "--check", str(tmp_path)) == 0

    (tmp_path / "vectorshards.yaml").write_text("edited")

    assert run(monkeypatch, "crds", "--check", str(tmp_path)) == 1
    assert "vectorshards.yaml differs" in capsys.readouterr().err


def test_wrong_settings_end_the_start(monkeypatch, capsys):
    """Exit status 2, and the setting is named."""
    monkeypatch.setenv("VECTORFLEET_METRICS_PORT", "seventy")

    assert run(monkeypatch, "run") == 2
    assert "metrics_port" in capsys.readouterr().err


def test_settings_come_from_the_environment(monkeypatch):
    """Namespaces are separated by commas; none means all."""
    monkeypatch.setenv("VECTORFLEET_WATCH_NAMESPACES", "shop, search")
    monkeypatch.setenv("VECTORFLEET_IMAGE", "mine:1")

    given = settings.Settings()

    assert (given.namespaces, given.image) == (("shop", "search"), "mine:1")
    assert settings.Settings(watch_namespaces="").namespaces == ()


def test_generating_needs_neither_kopf_nor_the_client():
    """`make generate` and the drift check start fast, on a machine with neither."""
    program = (
        "import sys; import vectorfleet_operator.__main__, vectorfleet_operator.reconcile;"
        " print({'kopf', 'kubernetes', 'grpc'} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "set()"

"""`vectorfleet key`: what it prints is what the gateway lets in."""

import datetime
import json

import pytest
from typer import testing

from vectorfleet import cli
from vectorfleet_gateway import policy
from vectorfleet_gateway.auth import keys
from vectorfleet_runtime import grants


def run(*arguments):
    """Run the command."""
    return testing.CliRunner().invoke(cli.app, ["key", *arguments])


def test_the_entry_grants_the_key():
    """The gateway takes the key by the entry alone, with what was asked for."""
    made = json.loads(run("--role", "write", "--namespace", "shop", "--namespace", "", "--days", "2").stdout)
    granted = grants.parse("shop", json.dumps(made["entry"]).encode())
    now = datetime.datetime.now(datetime.UTC).timestamp()
    principal = keys.KeyRing([granted]).authenticate(made["key"], now)
    assert (principal.role, principal.namespaces) == (policy.Role.WRITE, {"shop", ""})
    assert 2 * 86_400 - 60 < principal.expires - now <= 2 * 86_400
    assert made["key"] not in json.dumps(made["entry"])


def test_a_key_may_have_limits():
    """As the gateway reads them; what was not asked for has no bound."""
    made = run(
        "--requests-per-second", "5", "--burst", "20", "--rows-per-second", "100", "--requests-per-day", "9"
    )
    entry = json.dumps(json.loads(made.stdout)["entry"]).encode()
    assert grants.parse("a", entry).principal.quota == policy.Quota(5, 20, 100, 9)


def test_a_key_reads_and_lasts_unless_asked_otherwise():
    """Least privilege by default; no namespaces means all."""
    entry = json.loads(run().stdout)["entry"]
    principal = grants.parse("any", json.dumps(entry).encode()).principal
    assert principal == policy.Principal("any", policy.Role.READ)


def test_no_two_keys_are_equal():
    """They are drawn at random."""
    assert json.loads(run().stdout)["key"] != json.loads(run().stdout)["key"]


def test_the_entry_goes_to_a_file(tmp_path):
    """Standard output then holds the key and nothing else, and no file is overwritten."""
    path = tmp_path / "entry.json"
    key = run("--entry-file", str(path)).stdout.strip()
    assert keys.KeyRing([grants.parse("a", path.read_bytes())]).authenticate(key, 0).name == "a"
    again = run("--entry-file", str(path))
    assert again.exit_code == 1
    assert again.stdout == ""


@pytest.mark.parametrize("arguments", [("--role", "root"), ("--days", "0"), ("--burst", "0"), ("extra",)])
def test_what_is_wrong_is_refused(arguments):
    """With status 2, and no key."""
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")

"""The failpoints' names: those in the code are those that are registered, and none costs anything unarmed."""

import re
from pathlib import Path

import pytest

import vectorfleet_shardnode
from vectorfleet_shardnode import failpoints

SOURCES = list(Path(vectorfleet_shardnode.__file__).parent.rglob("*.py"))
MOMENTS = ("written", "synced", "renamed", "durable")


@pytest.fixture(autouse=True)
def disarmed():
    """Leave nothing armed behind."""
    yield
    failpoints.arm("")


def test_every_name_in_the_code_is_registered_and_the_other_way_round():
    """So the test that walks the list kills at each of them."""
    text = "\n".join(path.read_text() for path in SOURCES)
    plain = re.findall(r'failpoints\.reached\("([^"]+)"\)', text)
    files = re.findall(r'(?:write_durably|_reached|checked_json\.write)\([^\n]+?, "([a-z-]+)"[,)]', text)
    names = {*plain, *(f"{what}.{moment}" for what in files if what not in MOMENTS for moment in MOMENTS)}
    assert sorted(names) == sorted(failpoints.REGISTERED)
    assert len(plain) == len(set(plain))


def test_unarmed_any_name_passes():
    """Nothing is looked at where no failpoint is armed."""
    failpoints.reached("whatever")


def test_armed_an_unknown_name_is_refused():
    """A name that was forgotten in the list is found by any test that arms another one."""
    failpoints.arm("log.appended:1")
    with pytest.raises(ValueError, match='"whatever" is not registered'):
        failpoints.reached("whatever")


@pytest.mark.parametrize("chosen", ["log.appended", "log.appended:0", "log.appended:x", "nothing:1", ":1"])
def test_what_can_not_be_armed_is_refused(chosen):
    """The variable is a registered name and a pass from 1 on."""
    with pytest.raises(ValueError, match=f'is "{chosen}"; it must be <name>:<pass>'):
        failpoints.arm(chosen)


def test_it_ends_at_the_chosen_pass(monkeypatch):
    """The first passes go by; the n-th is the end."""
    killed = []
    monkeypatch.setattr("os.kill", lambda *arguments: killed.append(arguments))
    failpoints.arm("log.appended:3")
    for _ in range(2):
        failpoints.reached("log.appended")
        failpoints.reached("commit.synced")
    assert killed == []
    failpoints.reached("log.appended")
    assert len(killed) == 1

"""Looks at replicas: what is asked how often, and what counts as silence."""

import asyncio
import itertools

import pytest

from vectorfleet_operator import attend, lookout, ports, replication
from vectorfleet_operator.plan.replicas import view as view_

KEY = ports.Key("shop", "products")
NAMES = ("products-g1-s0-0", "products-g1-s0-1")


class Asked:
    """Replicas that note what they are asked; those in `silent` do not answer."""

    def __init__(self):
        self.states, self.reports, self.silent, self.damaged = [], [], set(), set()
        self.unable = set()

    async def state(self, address, token):
        self.states.append(address)
        if address in self.silent:
            return None
        if address in self.damaged:
            return replication.Damage("disk", "a bit has flipped")
        if address in self.unable:
            return replication.Inability(replication.Cause.DISK_FAILED, "the disk fails")
        return replication.ReplicaState(address, f"disk of {address}", replication.Role.FOLLOWER)

    async def report(self, address, token):
        self.reports.append(address)
        return None if address in self.silent else f"report of {address}"


class Clock:
    """Spans of time are always long."""

    seconds = 0.0

    def monotonic(self):
        self.seconds += 10
        return self.seconds


@pytest.fixture
def asked():
    """The replicas."""
    return Asked()


@pytest.fixture
def watch(asked):
    """A lookout on a shard of two replicas."""
    made = lookout.Lookout(asked, Clock())
    wanted = view_.Wanted(tuple(replication.Member(name, "", name) for name in NAMES))
    made.expect(KEY, "token", (view_.ShardView(0, wanted, None, 0, {}),))
    return made


async def test_a_look_asks_for_no_reports(watch, asked):
    """It is taken every second, and reports are not for nothing."""
    look = await watch.look(KEY)

    assert (asked.states, asked.reports) == ([*NAMES], [])
    assert look.views[0].state(NAMES[1]).disk == f"disk of {NAMES[1]}"


async def test_a_damaged_replica_takes_part_as_little_as_a_silent_one(watch, asked):
    """What it says of itself is kept, and nothing else of it: neither its last state nor its report."""
    await watch.look(KEY)
    await watch.survey(KEY)
    asked.damaged = {NAMES[0]}
    [view] = (await watch.look(KEY, again=True)).views
    left = await watch.survey(KEY)
    asked.damaged, asked.silent = set(), {NAMES[0]}
    [quiet] = (await watch.look(KEY, again=True)).views
    asked.silent = set()
    [sound] = (await watch.look(KEY, again=True)).views

    assert (view.state(NAMES[0]), view.damage(NAMES[0]).reason) == (None, "a bit has flipped")
    assert set(left) == {NAMES[1]}
    assert quiet.damage(NAMES[0]) is not None, "silence is no recovery"
    assert (sound.damage(NAMES[0]), sound.state(NAMES[0]) is None) == (None, False)


async def test_a_replica_that_can_not_serve_says_why_until_it_serves_or_says_otherwise(watch, asked):
    """It takes part as little as a silent one, and is asked for its report all the same."""
    await watch.look(KEY)
    asked.unable = {NAMES[0]}
    [view] = (await watch.look(KEY, again=True)).views
    reports = await watch.survey(KEY)
    asked.unable, asked.silent = set(), {NAMES[0]}
    [quiet] = (await watch.look(KEY, again=True)).views
    asked.silent, asked.damaged = set(), {NAMES[0]}
    [broken] = (await watch.look(KEY, again=True)).views
    asked.damaged = set()
    [sound] = (await watch.look(KEY, again=True)).views

    assert (view.state(NAMES[0]), view.damage(NAMES[0])) == (None, None)
    assert view.inability(NAMES[0]).reason == "the disk fails"
    assert set(reports) == set(NAMES)
    assert quiet.inability(NAMES[0]) is not None, "silence is no recovery"
    assert (broken.inability(NAMES[0]), broken.damage(NAMES[0]) is None) == (None, False)
    assert (sound.damage(NAMES[0]), sound.inability(NAMES[0])) == (None, None)
    assert sound.state(NAMES[0]) is not None


async def test_a_silent_replica_is_not_asked_for_its_report(watch, asked):
    """Each silence costs a second; the last report is kept until the silence counts."""
    await watch.look(KEY)
    both = await watch.survey(KEY)
    asked.silent = {NAMES[0]}
    looks = [await watch.look(KEY, again=True) for _ in range(view_.PATIENCE - 1)]
    kept = await watch.survey(KEY)
    looks.append(await watch.look(KEY, again=True))
    asked.reports.clear()
    left = await watch.survey(KEY)

    assert [look.views[0].missed(NAMES[0]) for look in looks] == [1, 2, 3]
    assert both == kept == {name: f"report of {name}" for name in NAMES}
    assert (asked.reports, list(left)) == ([NAMES[1]], [NAMES[1]])


async def test_a_replica_that_never_told_its_state_may_have_a_report(watch, asked):
    """One of a version before replication."""
    asked.silent = {NAMES[0]}
    for _ in range(view_.PATIENCE):
        await watch.look(KEY, again=True)
    asked.silent = set()

    assert list(await watch.survey(KEY)) == [*NAMES]


async def test_looks_come_each_second_however_long_they_take(monkeypatch):
    """Else three looks at a silent primary would take twice as long."""
    now, looks = [0.0], []

    async def sleep(seconds):
        now[0] += seconds
        if len(looks) == 3:
            raise asyncio.CancelledError

    async def look(key):
        looks.append(now[0])
        now[0] += 0.8
        return False

    monkeypatch.setattr(attend.asyncio, "sleep", sleep)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    with pytest.raises(asyncio.CancelledError):
        await attend._watch(KEY, look, attend.Board())

    assert [later - earlier for earlier, later in itertools.pairwise(looks)] == pytest.approx([1, 1])

"""Replicas whose wall clocks are hours apart, run apart, and jump."""

import datetime
import re
import threading

import pytest
from crashing import node, warm
from replicated import changes, clocks, group, router
from replicated.asking import ids_of, upsert

HOUR = 3600


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """A group of three, and their clocks: an hour ahead, an hour behind, and right."""
    library = clocks.compile_skew(tmp_path)
    with monkeypatch.context() as preloaded:
        preloaded.setenv("LD_PRELOAD", str(library))
        server = warm.Server()
    made = group.Group(server, tmp_path, 3, **node.BUSY)
    wrong = [clocks.Wrong(tmp_path / f"clock{n}", by) for n, by in enumerate((HOUR, -HOUR, 0))]
    for replica, clock in zip(made.replicas, wrong, strict=True):
        replica.environment |= clock.environment
    made.start()
    yield made, wrong
    made.close()
    server.close()


def test_r14_wall_clocks_take_no_part(apart):
    """Writes go on while clocks jump and drift, a primary is killed and another elected; all are equal."""
    made, wrong = apart
    operator = changes.Operator(made)
    operator.begin()
    client = router.Router(made.stubs, threading.Event())
    for number in range(60):
        client.Write(upsert(number))
        wrong[0].jump(-2 * HOUR if number == 20 else 0)
        wrong[1].jump(1)
        wrong[2].jump(-5)
        if number == 40:
            made.replicas[0].end()
            assert operator.change(range(3)) != 0
            made.replicas[0].start()
    made.wait_for(made.are_level)
    assert [ids_of(stub) for stub in made.stubs] == [{f"row-{n}" for n in range(60)}] * 3
    assert operator.register.configuration.epoch == 2
    assert max(client.gaps) < 10
    behind = began(made.replicas[0]) - began(made.replicas[1])
    assert behind > datetime.timedelta(hours=1.5), "the clocks are not what they were meant to be"


def began(replica):
    """Return when a replica says that it began."""
    stamp = re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", replica.said())
    return datetime.datetime.strptime(stamp.group(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.UTC)

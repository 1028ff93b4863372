"""Replicas of two versions of the program, as there are while an image is rolled out."""

import pathlib

import pytest
from crashing import cold, older_node
from replicated.asking import ids_of, level, write


@pytest.fixture
def older():
    """What starts replicas of an older version."""
    made = cold.Server(program=(str(pathlib.Path(older_node.__file__)),))
    yield made
    made.close()


def test_r32_an_older_replica_says_that_it_cant_read_a_copy(make_group, server, older):
    """It follows by the log. Where that was cut it says why it can't; of the newer version, it catches up."""
    group = make_group(log_file_bytes=8_000, log_retained_bytes=20_000)
    third = group.replicas[2]
    level(group)
    third.turn_into(older)
    third.start()
    write(group, 0, 20)
    level(group)
    third.end()
    for first in range(20, 800, 20):
        write(group, first, 20)
    group.wait_for(lambda: group.state(group.primary() or 0).log_begin > 21)
    third.start()
    group.wait_for(lambda: group.state(2) and group.state(2).unreadable)
    told = group.state(2)
    assert "write_ids is not permitted" in told.unreadable
    assert (told.problem, told.caught_up) == ("", False)
    assert told.last.seq < group.state(group.primary() or 0).log_begin
    third.turn_into(server)
    third.start()
    level(group)
    assert group.state(2).unreadable == ""
    assert len(ids_of(group.stubs[2])) == 800

"""What a request demands of the states it is answered from, read from its headers."""

import pytest

from vectorfleet_gateway import consistency, errors
from vectorfleet_shardnode.api import shard_pb2


def place(shard, epoch, seq):
    """Return a position."""
    return shard_pb2.Position(shard=shard, epoch=epoch, seq=seq)


def test_nothing_is_demanded_unless_it_is_said():
    """Reads go to any replica, at the cost of one."""
    assert not consistency.parse(None, None).demands
    assert not consistency.parse("eventual", "").demands


def test_positions_of_several_writes_add_up():
    """A client may send all that it was given: of one shard the last counts."""
    session = consistency.parse(None, "0:1:5, 1:1:7,0:2:9,0:1:6")
    assert session.at_least == {0: place(0, 2, 9), 1: place(1, 1, 7)}
    assert session.demands
    assert not session.strong


def test_strong_is_a_demand():
    """No position is needed."""
    assert consistency.parse("strong", None).strong


@pytest.mark.parametrize("text", ["0:1", "a:b:c", "0:1:2:3", "0:1:-2", "0:1:" + 19 * "9", ",", 20_000 * "1"])
def test_a_position_that_is_none_is_refused(text):
    """The message says what a position looks like."""
    with pytest.raises(errors.InvalidArgumentError, match="x-vectorfleet-at-least"):
        consistency.parse(None, text)


@pytest.mark.parametrize("text", ["", "abc", 31 * "0", 33 * "0", 32 * "g"])
def test_a_write_id_has_32_hexadecimal_digits(text):
    """Anything else is a mistake that would make retries unsafe."""
    with pytest.raises(errors.InvalidArgumentError, match="32 hexadecimal digits"):
        consistency.parse(None, None, text)
    assert consistency.parse(None, None, "0F" * 16).write_id == b"\x0f" * 16


def test_a_consistency_that_does_not_exist_is_refused():
    """It is named, and those that do exist."""
    with pytest.raises(errors.InvalidArgumentError, match="'quorum'; it can be strong or eventual"):
        consistency.parse("quorum", None)


def test_writes_are_told_where_they_stand():
    """In the form in which a read demands them."""
    session = consistency.Session()
    assert session.headers() == {}
    session.note(
        [shard_pb2.WriteReply(position=place(1, 2, 30)), shard_pb2.WriteReply(position=place(0, 1, 4))]
    )
    assert session.headers() == {"x-vectorfleet-position": "0:1:4,1:2:30"}
    assert consistency.parse(None, "0:1:4,1:2:30").at_least == session.made


def test_a_session_lasts_as_long_as_its_request():
    """Outside of a request nothing is demanded."""
    with consistency.during(consistency.Session(strong=True)):
        assert consistency.current().strong
    assert not consistency.current().demands


async def test_reads_say_of_which_shards_they_may_be_stale(make_gateway):
    """Not strong ones, which are not, and no writes."""
    gateway = make_gateway(shards=3)
    named = "x-vectorfleet-maybe-stale"
    assert named not in (await gateway.ask("GET", "/namespaces")).headers
    gateway.app._index.stale = lambda: [0, 2]
    assert (await gateway.ask("GET", "/namespaces")).headers[named] == "0,2"
    strong = await gateway.ask("GET", "/namespaces", headers={"x-vectorfleet-consistency": "strong"})
    written = await gateway.ask("POST", "/vectors/delete", {"ids": ["a"]})
    about = await gateway.ask("GET", "/openapi.json")
    assert [one.status for one in (strong, written, about)] == [200] * 3
    assert not any(named in one.headers for one in (strong, written, about))

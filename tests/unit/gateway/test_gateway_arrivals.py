"""Connections that one process accepts and others answer: who has which, and that none is lost."""

import asyncio
import contextlib
import os
import socket

import pytest

from vectorfleet_gateway import sockets
from vectorfleet_gateway.serving import arrivals


@pytest.fixture
def house():
    """Where sockets go that are to be closed at the end."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def claimed(house):
    """A socket that listens."""
    return house.enter_context(sockets.claim(sockets.Address("127.0.0.1", 0)))


@pytest.fixture
def channel(house):
    """Both ends of a way to hand connections over."""
    return [house.enter_context(end) for end in arrivals.channel()]


@pytest.fixture
def call(house, claimed):
    """Return a function that connects, as a caller does."""

    def connect():
        return house.enter_context(socket.create_connection(claimed.getsockname(), timeout=10))

    return connect


def says(answering, caller):
    """Return whether these two are one connection."""
    with answering:
        answering.setblocking(True)
        answering.sendall(b"here")
        return caller.recv(4) == b"here"


def test_who_takes_nothing_on_has_all(claimed, call):
    """In the order in which they came."""
    source = arrivals.Accepted(claimed)
    callers = [call(), call()]
    assert all(says(source.take(), caller) for caller in callers)
    with pytest.raises(BlockingIOError):
        source.take()


def test_a_connection_goes_over_whole(claimed, channel, call):
    """The receiver speaks with the caller, whose socket is as the listening one was set up."""
    accepting, receiving = channel
    source, other = arrivals.Accepted(claimed), arrivals.HandedOver(receiving)
    source.hand_on = lambda connection: arrivals.hand_over(accepting, connection)
    caller = call()
    assert source.take() is None
    taken = other.take()
    assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
    assert not os.get_inheritable(taken.fileno())
    assert says(taken, caller)
    with pytest.raises(BlockingIOError):
        other.take()


def test_a_channel_that_is_full_takes_no_more(claimed, channel, call):
    """It holds a few; who comes then stays, and what is in it can be received by both ends' owners."""
    accepting, receiving = channel
    source = arrivals.Accepted(claimed)
    source.hand_on = lambda connection: arrivals.hand_over(accepting, connection)
    callers = []
    while True:
        callers.append(call())
        if (kept := source.take()) is not None:
            break
    assert 4 <= len(callers) <= 200
    assert says(kept, callers.pop())
    left = arrivals.received(receiving)
    assert [says(one, caller) for one, caller in zip(left, callers, strict=True)] == [True] * len(callers)


def test_whose_receiver_is_gone_stays(claimed, channel, call):
    """Nothing is raised."""
    accepting, receiving = channel
    receiving.close()
    source = arrivals.Accepted(claimed)
    source.hand_on = lambda connection: arrivals.hand_over(accepting, connection)
    caller = call()
    assert says(source.take(), caller)


def test_what_is_given_back_is_taken_first(claimed, channel, call):
    """And told to whoever takes, though no socket has news."""
    accepting, receiving = channel
    first = call()
    source = arrivals.Accepted(claimed)
    source.hand_on = lambda connection: arrivals.hand_over(accepting, connection)
    assert source.take() is None
    source.hand_on = None
    call()
    source.give_back(arrivals.received(receiving))
    assert says(source.take(), first)


async def test_what_is_given_back_is_news(claimed, house):
    """Whoever waits is called, whether it began before or after."""
    source, called = arrivals.Accepted(claimed), []
    source.give_back([house.enter_context(socket.socket())])
    loop = asyncio.get_running_loop()
    for _ in range(2):
        heard = loop.create_future()
        source.begin(lambda heard=heard: heard.done() or heard.set_result(None))
        await heard
        called.append(source.take())
        source.pause()
        source.give_back([house.enter_context(socket.socket())])
    assert all(called)
    source.close()


def test_none_is_received_where_no_descriptor_is_left(claimed, channel, call, monkeypatch):
    """It stays in the channel: the kernel would drop it."""
    accepting, receiving = channel
    source, other = arrivals.Accepted(claimed), arrivals.HandedOver(receiving)
    source.hand_on = lambda connection: arrivals.hand_over(accepting, connection)
    caller = call()
    assert source.take() is None

    def none(_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, "dup", none)
        with pytest.raises(OSError, match="Too many"):
            other.take()
    assert says(other.take(), caller)


def test_the_end_of_a_channel_is_no_connection(channel):
    """Whoever accepted is gone."""
    accepting, receiving = channel
    accepting.close()
    with pytest.raises(BlockingIOError):
        arrivals.HandedOver(receiving).take()

"""Connections: how they go on, how they end, and what others notice. The server alone, on a real socket."""

import asyncio
import contextlib
import ssl

import pytest
from issuing import folders
from speaking import served as served_

from vectorfleet_runtime import certificates


@served_.spoken
async def test_requests_that_come_together_are_answered_in_their_order(served):
    """Each is begun when the one before is answered."""
    caller = await served.connect()
    caller.say(
        served_.GET % b"/wait",
        served_.post(b"Content-Length: 2", path=b"/b", body=b"{}"),
        served_.GET % b"/c",
    )
    while not served.seen:  # noqa: ASYNC110  # the server tells nobody
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    assert served.seen == ["/wait"]
    served.go.set()
    assert [(await caller.heard())[2] for _ in range(3)] == [b"GET /wait ", b"POST /b {}", b"GET /c "]


@served_.spoken
async def test_not_too_many_requests_wait(make):
    """Those that there is room for are answered, what comes behind them is refused."""
    served = make(waiting=3)
    caller = await served.connect()
    caller.say(served_.GET % b"/wait", *(served_.GET % b"/a" for _ in range(50)))
    served.go.set()
    assert [(await caller.heard())[0] for _ in range(5)] == [200, 200, 200, 200, 429]
    assert await caller.ended() == b""
    assert len(served.seen) == 4


@served_.spoken
async def test_a_refusal_waits_for_the_answers_before_it(served):
    """What is no request behind one that is."""
    caller = await served.connect()
    caller.say(served_.GET % b"/wait", b"nonsense\r\n\r\n")
    await asyncio.sleep(0.05)
    served.go.set()
    assert [(await caller.heard())[0] for _ in range(2)] == [200, 400]
    assert await caller.ended() == b""


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\nX: ", b"GET /"])
@served_.spoken
async def test_a_slow_head_is_cut_off(make, begun):
    """Each byte does not renew its time."""
    served = make(head_seconds=0.5)
    caller = await served.connect()
    caller.say(begun)
    trickling = asyncio.create_task(trickle(caller))
    assert (await caller.heard())[0] == 408
    trickling.cancel()
    assert await caller.ended() == b""
    assert served.seen == []


async def trickle(caller):
    """Send a byte again and again."""
    while True:
        caller.say(b"x")
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("asks", [True, False])
@served_.spoken
async def test_an_idle_connection_is_closed(make, asks):
    """Without a word, whether it was ever used or not; line ends do not keep it."""
    served = make(idle_seconds=0.3)
    caller = await served.connect()
    if asks:
        caller.say(served_.GET % b"/")
        await caller.heard()
    caller.say(b"\r\n")
    assert await caller.ended() == b""


@served_.spoken
async def test_who_sends_no_more_is_answered(served):
    """A caller may close its half and wait; then the other half is closed."""
    caller = await served.connect()
    caller.say(served_.GET % b"/wait", served_.GET % b"/b")
    caller.writer.write_eof()
    await asyncio.sleep(0.05)
    served.go.set()
    assert await caller.ended() != b""
    assert served.seen == ["/wait", "/b"]


@pytest.mark.parametrize("framing", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
@served_.spoken
async def test_a_body_that_ends_early_breaks_off(served, framing):
    """The application is told, and may still answer."""
    caller = await served.connect()
    caller.say(served_.post(framing, body=b"5\r\n"))
    caller.writer.write_eof()
    assert (await caller.heard())[2] == b"POST / broke off"
    assert await caller.ended() == b""


@served_.spoken
async def test_who_goes_away_disturbs_nobody(served):
    """In the midst of a head, of a body, and of waiting for its answer."""
    for said in (b"GET / HT", served_.post(b"Content-Length: 10", body=b"1"), served_.GET % b"/wait"):
        caller = await served.connect()
        caller.say(said)
        await caller.writer.drain()
        caller.writer.transport.abort()
    served.go.set()
    caller = await served.connect()
    caller.say(served_.GET % b"/")
    assert (await caller.heard())[0] == 200


@served_.spoken
async def test_a_caller_is_invited_once_its_body_is_wanted(served):
    """By 100, and not where the answer comes without the body being read, or where it is there already."""
    caller = await served.connect()
    caller.say(served_.post(b"Content-Length: 2", b"Expect: 100-continue"))
    assert (await caller.heard())[0] == 100
    caller.say(b"{}")
    assert (await caller.heard())[2] == b"POST / {}"
    caller.say(served_.post(b"Content-Length: 2", b"Expect: 100-continue", body=b"{}"))
    assert (await caller.heard())[2] == b"POST / {}"
    caller.say(served_.post(b"Content-Length: 2", b"Expect: 100-continue", path=b"/unread"))
    status, fields, _ = await caller.heard()
    assert (status, fields["connection"]) == (200, "close")
    assert await caller.ended() == b""


@served_.spoken
async def test_an_answer_is_read_though_its_request_was_not(served):
    """Who goes on sending is listened to for a moment: a reset would take the answer away."""
    caller = await served.connect()
    caller.say(served_.post(b"Content-Length: 3000000", path=b"/unread", body=b"x" * 1_000_000))
    status, fields, body = await caller.heard()
    assert (status, fields["connection"], body) == (200, "close", b"POST /unread ")
    caller.say(b"x" * 2_000_000)
    await caller.writer.drain()
    assert await caller.ended() == b""


@pytest.mark.parametrize(
    ("said", "closes"),
    [
        (b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", True),
        (b"CONNECT test:443 HTTP/1.1\r\nHost: test\r\n\r\n", True),
        (b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n", False),
        (b"GET http://test/a HTTP/1.1\r\nHost: test\r\n\r\n", False),
    ],
)
@served_.spoken
async def test_connections_go_on_unless_asked_to_end(served, said, closes):
    """Or where what comes next could be of another protocol."""
    caller = await served.connect()
    caller.say(said, served_.SMUGGLED)
    head = await caller.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (b"connection: close" in head) is closes
    rest = await asyncio.wait_for(caller.reader.read(20_000), served_.PATIENCE)
    if closes:
        assert b"/smuggled" not in rest + await caller.ended()
        assert len(served.seen) == 1
    elif said.startswith(b"HEAD"):
        assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


@served_.spoken
async def test_an_application_that_fails_ends_the_connection(served):
    """Without an answer, and without harm to others."""
    caller = await served.connect()
    caller.say(served_.GET % b"/fault")
    assert await caller.ended() == b""
    caller = await served.connect()
    caller.say(served_.GET % b"/")
    assert (await caller.heard())[0] == 200


@served_.spoken
async def test_connections_are_bounded(make):
    """Who comes when all there may be are at work waits until one is done."""
    served = make(connections=2)
    callers = [await served.connect() for _ in range(2)]
    for caller in callers:
        caller.say(served_.GET % b"/wait")
    while len(served.seen) < 2:  # noqa: ASYNC110  # the server tells nobody
        await asyncio.sleep(0.001)
    late = await served.connect()
    late.say(served_.GET % b"/")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(late.reader.read(1), 0.3)
    served.go.set()
    assert await asyncio.wait_for(late.reader.read(4), served_.PATIENCE) == b"HTTP"


@served_.spoken
async def test_idle_connections_do_not_shut_the_door(make):
    """Whose has been idle longest makes room; one that is at work stays."""
    served = make(connections=3)
    working, older, younger = [await served.connect() for _ in range(3)]
    working.say(served_.GET % b"/wait")
    for caller in (older, younger):
        caller.say(served_.GET % b"/")
        await caller.heard()
        await asyncio.sleep(0.05)  # the loop's clock has milliseconds
    late = await served.connect()
    late.say(served_.GET % b"/")
    assert (await late.heard())[0] == 200
    assert await older.ended() == b""
    younger.say(served_.GET % b"/")
    assert (await younger.heard())[0] == 200
    served.go.set()
    assert (await working.heard())[0] == 200


@served_.spoken
async def test_who_takes_no_answers_gets_no_more(served):
    """Requests of a caller who does not read are not begun; once it reads, they are."""
    caller = await served.connect()
    said = served_.post(b"Content-Length: 8000000", body=b"x" * 8_000_000)
    for _ in range(5):
        caller.say(said)
    await asyncio.sleep(1.0)
    assert len(served.seen) < 5
    for _ in range(5):
        status, _, answered = await caller.heard()
        assert (status, len(answered)) == (200, 8_000_000 + len(b"POST / "))
    assert len(served.seen) == 5


@served_.spoken
async def test_who_takes_an_answer_too_slowly_is_cut_off(make):
    """A few bytes now and then do not keep a connection, nor what its answer has of memory."""
    served = make(answer_grace_seconds=1.0, answer_pace=1_000_000)
    caller = await served.connect()
    said = served_.post(b"Content-Length: 20000000", body=b"x" * 20_000_000)
    caller.say(said)
    while not served.drained:  # the server tells nobody
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(caller.reader.read(100), 0.1)
        await asyncio.sleep(0.05)
    assert served.drained == ["/"]
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await caller.reader.readexactly(20_000_000)


@served_.spoken
async def test_who_takes_an_answer_in_time_gets_all_of_it(make):
    """Also where it begins late."""
    served = make(answer_grace_seconds=20.0)
    caller = await served.connect()
    caller.say(served_.post(b"Content-Length: 20000000", body=b"x" * 20_000_000))
    await asyncio.sleep(2.5)
    assert served.drained == []
    status, _, answered = await caller.heard()
    assert (status, len(answered)) == (200, 20_000_000 + len(b"POST / "))
    while not served.drained:  # noqa: ASYNC110  # the server tells nobody
        await asyncio.sleep(0.001)


@served_.spoken
async def test_it_leaves_in_good_order(served):
    """Idle connections are closed, who waits is answered and told to go, and nobody else gets in."""
    idle, waiting, fresh = [await served.connect() for _ in range(3)]
    idle.say(served_.GET % b"/")
    await idle.heard()
    waiting.say(served_.GET % b"/wait")
    while "/wait" not in served.seen:  # noqa: ASYNC110  # the server tells nobody
        await asyncio.sleep(0.001)
    leaving = asyncio.create_task(served.door.leave(served_.PATIENCE))
    assert await idle.ended() == b""
    fresh.say(served_.GET % b"/late")  # it came before, and may still ask
    assert (await fresh.heard())[1]["connection"] == "close"
    served.go.set()
    assert (await waiting.heard())[1]["connection"] == "close"
    assert await leaving
    with pytest.raises(ConnectionRefusedError):
        await served.connect()


@served_.spoken
async def test_another_certificate_is_for_those_who_come_after(make, tmp_path):
    """Who is there stays with the last; one that can't be shown changes nothing."""
    made = folders.Folders(tmp_path)
    name = made.write_for("tls", "localhost")
    loaded = certificates.Certificates(tmp_path / name, authorities=False).current()
    served = make(loaded)
    trusting = ssl.create_default_context(cadata=made.trusted.certificate)
    how = {"ssl": trusting, "server_hostname": "localhost"}
    first = await served.connect(**how)
    made.write_for("tls", "localhost")
    fresh = certificates.Certificates(tmp_path / name, authorities=False).current()
    served.door.show(fresh)
    wrong = certificates.Loaded(fresh.certificate, b"nothing", b"", 3)
    with pytest.raises(certificates.UnusableError):
        served.door.show(wrong)
    second = await served.connect(**how)
    for caller in (first, second):
        caller.say(served_.GET % b"/")
        assert (await caller.heard())[0] == 200
    assert serial_of(first) != serial_of(second)


def serial_of(caller):
    """Return the serial number of the certificate that a caller was shown."""
    return caller.writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]


@served_.spoken
async def test_a_handshake_has_a_time(make, tmp_path):
    """Who never speaks TLS is cut off."""
    made = folders.Folders(tmp_path)
    name = made.write_for("tls", "localhost")
    served = make(
        certificates.Certificates(tmp_path / name, authorities=False).current(), handshake_seconds=0.3
    )
    caller = await served.connect()
    assert await caller.ended() == b""

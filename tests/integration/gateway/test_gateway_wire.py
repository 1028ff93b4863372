"""Requests byte by byte: what is one, what is none, and what is too long, on a real socket."""

import asyncio

import pytest
from speaking import served as served_

AMBIGUOUS = {
    "length and chunks": served_.post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunks and length": served_.post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
    "two lengths": served_.post(b"Content-Length: 0", b"Content-Length: 5", body=b"12345"),
    "the same length twice": served_.post(b"Content-Length: 0", b"Content-Length: 0"),
    "a list of lengths": served_.post(b"Content-Length: 0, 0"),
    "a length with a sign": served_.post(b"Content-Length: +0"),
    "a negative length": served_.post(b"Content-Length: -1"),
    "a length in hex": served_.post(b"Content-Length: 0x0"),
    "a length of two words": served_.post(b"Content-Length: 0 0"),
    "an endless length": served_.post(b"Content-Length: " + b"9" * 40),
    "another coding": served_.post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "a coding behind chunks": served_.post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "two codings": served_.post(
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=b"0\r\n\r\n"
    ),
    "a coding in quotes": served_.post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "a space before a colon": served_.post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "a space in a name": served_.post(b"Content Length: 0"),
    "a line that ends in LF": b"GET / HTTP/1.1\nHost: test\n\n",
    "a field that ends in LF": b"GET / HTTP/1.1\r\nHost: test\nX: 1\r\n\r\n",
    "a field that ends in CR": b"GET / HTTP/1.1\r\nHost: test\rX: 1\r\n\r\n",
    "a folded field": b"GET / HTTP/1.1\r\nHost: test\r\nX: 1\r\n 2\r\n\r\n",
    "a folded first field": b"GET / HTTP/1.1\r\n Host: test\r\n\r\n",
    "a NUL": b"GET / HTTP/1.1\r\nHost: test\r\nX: \0\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "another protocol": b"GET / HTPP/1.1\r\nHost: test\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: test\r\n\r\n",
    "no method": b" / HTTP/1.1\r\nHost: test\r\n\r\n",
    "an unknown method": b"GOT / HTTP/1.1\r\nHost: test\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("said", AMBIGUOUS.values(), ids=AMBIGUOUS)
@served_.spoken
async def test_what_is_no_request_ends_the_connection(served, said):
    """It is refused and told why, the application does not see it, and nothing behind it is a request."""
    caller = await served.connect()
    caller.say(said, served_.SMUGGLED)
    status, fields, body = await caller.heard()
    assert status in {400, 501, 505}
    assert fields["connection"] == "close"
    assert b'"message":' in body
    assert await caller.ended() == b""
    assert served.seen == []


PIECES = {
    "a length with a prefix": b"0x2\r\n{}\r\n0\r\n\r\n",
    "a negative length": b"-2\r\n{}\r\n0\r\n\r\n",
    "an endless length": b"f" * 20 + b"\r\n{}\r\n0\r\n\r\n",
    "a line that ends in LF": b"2\n{}\r\n0\r\n\r\n",
    "an extension that ends in LF": b"2;a\n{}\r\n0\r\n\r\n",
    "a piece that ends in LF": b"2\r\n{}\n0\r\n\r\n",
    "a piece that is too long": b"2\r\n{}}\r\n0\r\n\r\n",
    "a folded trailer": b"2\r\n{}\r\n0\r\nX: 1\r\n 2\r\n\r\n",
}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
@pytest.mark.parametrize("path", [b"/", b"/pieces"])
@served_.spoken
async def test_a_body_that_can_not_be_made_out_breaks_off(served, pieces, path):
    """The application is told; the connection ends with its answer."""
    caller = await served.connect()
    caller.say(served_.post(b"Transfer-Encoding: chunked", path=path, body=pieces), served_.SMUGGLED)
    status, fields, body = await caller.heard()
    assert (status, body) == (200, b"POST %s broke off" % path)
    assert fields["connection"] == "close"
    assert await caller.ended() == b""
    assert served.seen == [path.decode()]


@pytest.mark.parametrize("path", [b"/", b"/pieces"])
@pytest.mark.parametrize("step", [1, 3, 1000])
@served_.spoken
async def test_pieces_come_in_any_size(served, step, path):
    """With extensions and trailers, which say nothing; byte by byte; and the connection goes on."""
    caller = await served.connect()
    said = served_.post(
        b"Transfer-Encoding: chunked",
        path=path,
        body=b"5;a=b\r\nhello\r\n06\r\n world\r\n0\r\nX-A: 1\r\n\r\n",
    )
    for at in range(0, len(said), step):
        caller.say(said[at : at + step])
        await asyncio.sleep(0)
    assert (await caller.heard())[2] == b"POST %s hello world" % path
    caller.say(served_.GET % b"/next")
    assert (await caller.heard())[2] == b"GET /next "


@pytest.mark.parametrize(
    "around", [b"1;" + b"x" * 2000, b"0\r\nx: " + b"x" * 2000], ids=["extensions", "a trailer"]
)
@served_.spoken
async def test_what_stands_around_pieces_is_bounded(make, around):
    """Like a head: it breaks the body off."""
    served = make(head_bytes=1000)
    caller = await served.connect()
    caller.say(served_.post(b"Transfer-Encoding: chunked"))
    await asyncio.sleep(0.01)
    caller.say(around)
    assert (await caller.heard())[2] == b"POST / broke off"
    assert await caller.ended() == b""


LONG = {
    "target": (b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: test\r\n\r\n", 414),
    "fields": (b"GET / HTTP/1.1\r\nHost: test\r\n" + b"a: 1\r\n" * 20 + b"\r\n", 431),
    "a value": (b"GET / HTTP/1.1\r\nHost: test\r\na: " + b"1" * 5000 + b"\r\n\r\n", 431),
    "a name": (b"GET / HTTP/1.1\r\nHost: test\r\n" + b"a" * 5000 + b": 1\r\n\r\n", 431),
    "a value without end": (b"GET / HTTP/1.1\r\nHost: test\r\na: " + b"1" * 5000, 431),
    "a name without end": (b"GET / HTTP/1.1\r\nHost: test\r\n" + b"a" * 5000, 431),
    "a target without end": (b"GET /" + b"a" * 2000, 414),
}


@pytest.mark.parametrize(("said", "expected"), LONG.values(), ids=LONG)
@pytest.mark.parametrize("step", [100, 10_000])
@served_.spoken
async def test_a_long_head_is_refused(make, said, expected, step):
    """Target, number of fields and all together have limits, ended or not."""
    served = make(head_bytes=4000, target_bytes=1000, fields=10, head_seconds=1.0)
    caller = await served.connect()
    for at in range(0, len(said), step):
        caller.say(said[at : at + step])
        await asyncio.sleep(0.001)
    status = (await caller.heard())[0]
    assert status == expected or (step > len(said) and "without end" in name_of(said) and status == 408)
    assert await caller.ended() == b""
    assert served.seen == []


def name_of(said):
    """Return what a long head is called."""
    return next(name for name, (one, _) in LONG.items() if one == said)

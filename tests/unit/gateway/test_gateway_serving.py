"""What a request's head says and can't say, what answers look like, and how bodies wait: without sockets."""

import asyncio

import pytest

from vectorfleet_gateway.serving import bodies, heads, messages

HOST = (b"Host", b"test")


def head(target=b"/", *fields, method=b"GET", version="1.1"):
    """Return a head with a Host."""
    return heads.Head(method, target, [HOST, *fields], version)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", ""),
        (b"/a/b?x=1&y=%20", "/a/b", "x=1&y=%20"),
        (b"/a%2Fb%25", "/a/b%", ""),
        (b"/%ff", "/\N{REPLACEMENT CHARACTER}", ""),
        ("/ü".encode(), "/ü", ""),
        (b"/a?b?c", "/a", "b?c"),
        (b"/a#b?c", "/a", ""),
        (b"//a", "//a", ""),
        (b"http://host:1/a?b", "/a", "b"),
        (b"HTTPS://host", "/", ""),
        (b"http://host?b", "/", "b"),
        (b"*", "*", ""),
        (b"host:443", "host:443", ""),
    ],
)
def test_a_target_is_a_path_and_a_query(target, path, query):
    """The path is decoded once; the origin that proxies are told is left out."""
    found = head(target)
    assert (found.path, found.query_string) == (path, query)


def test_of_fields_with_one_name_the_first_counts():
    """Whatever their letters' case; what is not there is None or what was given for it."""
    found = head(b"/", (b"X-A", b"1"), (b"x-a", b"2"), (b"x-b", b"\xfc"))
    assert (found.headers.get("x-a"), found.headers.get("x-b")) == ("1", "ü")
    assert (found.headers.get("x-c"), found.headers.get("x-c", "3")) == (None, "3")


@pytest.mark.parametrize(
    ("fields", "version", "status"),
    [
        ([], "1.1", 400),
        ([HOST, HOST], "1.1", 400),
        ([HOST, (b"Transfer-Encoding", b"gzip, chunked")], "1.1", 501),
        ([HOST, (b"Transfer-Encoding", b"chunked")], "1.0", 400),
        ([HOST, (b"Expect", b"a miracle")], "1.1", 417),
        ([HOST], "2.0", 505),
        ([HOST], "0.9", 505),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(fields, version, status):
    """Each with a status of its own."""
    with pytest.raises(heads.RefusedError) as refused:
        heads.Head(b"GET", b"/", fields, version)
    assert refused.value.status == status


def test_another_scheme_is_refused():
    """Whoever asks for it takes this server for a proxy."""
    with pytest.raises(heads.RefusedError):
        head(b"ftp://host/a")


@pytest.mark.parametrize(
    ("fields", "version", "continues"),
    [([], "1.1", False), ([(b"Expect", b"100-Continue")], "1.1", True), ([(b"Expect", b"x")], "1.0", False)],
)
def test_some_wait_to_be_told_to_go_on(fields, version, continues):
    """HTTP/1.0 knows nothing of it."""
    assert head(b"/", *fields, version=version).continues is continues


def test_an_answer_has_date_and_length():
    """Beside its own fields; to HEAD it has no body, and the length that it would have."""
    said = messages.answer(200, [("x-a", "1")], b"{}")
    lines = said.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    assert lines[1].startswith("date: ")
    assert lines[1].endswith(" GMT")
    assert lines[2:] == ["x-a: 1", "content-length: 2", "", "{}"]
    assert messages.answer(404, [], b"{}", silent=True).endswith(b"content-length: 2\r\n\r\n")
    assert messages.answer(299, [], b"").startswith(b"HTTP/1.1 299 \r\n")


class Tap:
    """Writes down what a body wants."""

    def __init__(self):
        self.told = []

    def go_on(self):
        """See `bodies.Tap`."""
        self.told.append("go on")

    def invite(self):
        """See `bodies.Tap`."""
        self.told.append("invite")


async def test_a_body_is_held_until_it_is_asked_for():
    """Then it is invited, and comes whole whatever it is long."""
    tap = Tap()
    body = bodies.Body(tap, 10)
    body.feed(b"0123456789")
    assert not body.is_full
    body.feed(b"a")
    assert (body.is_full, tap.told) == (True, [])
    asked = asyncio.create_task(body.more(lambda _: True))
    await asyncio.sleep(0)
    assert (body.is_full, tap.told) == (False, ["invite", "go on"])
    body.feed(b"b" * 100)
    assert not body.is_full
    body.end()
    await asked
    assert body.whole() == b"0123456789a" + b"b" * 100


async def test_a_body_that_is_there_is_not_invited():
    """It is returned at once."""
    tap = Tap()
    body = bodies.Body(tap, 10)
    body.feed(b"all")
    body.end()
    await body.more(lambda _: True)
    assert (body.whole(), tap.told) == (b"all", [])


async def test_a_body_is_held_where_more_of_it_came_than_is_admitted():
    """Its sender is held up until there is room, and whoever waits is told of that and of its end alone."""
    tap, asked_for = Tap(), []

    def admits(size):
        asked_for.append(size)
        return size <= 8

    body = bodies.Body(tap, 3)
    body.feed(b"1234")
    assert (body.is_full, tap.told) == (True, [])
    waiting = asyncio.ensure_future(body.more(admits))
    await asyncio.sleep(0)
    body.feed(b"5678")
    await asyncio.sleep(0)
    assert (body.is_full, tap.told, waiting.done()) == (False, ["invite", "go on"], False)
    body.feed(b"9")
    await waiting
    assert (body.is_full, body.complete, asked_for) == (True, False, [8, 9])
    waiting = asyncio.ensure_future(body.more(admits))  # whoever asks has found room for what is there
    await asyncio.sleep(0)
    assert (tap.told, waiting.done()) == (["invite", "go on"] * 2, False)
    body.end()
    await waiting
    assert body.whole() == b"123456789"


async def test_who_waits_no_longer_is_told_nothing():
    """Where its time was up, the body is held again."""
    body = bodies.Body(Tap(), 3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await body.more(lambda _: True)
    body.feed(b"1234")
    assert body.is_full


async def test_tiny_pieces_take_no_room_of_their_own():
    """A byte by itself takes forty; put together they take what they are."""
    body = bodies.Body(Tap(), 10**6)
    for number in range(10_000):
        body.feed(b"%d" % (number % 10))
    body.feed(b"x" * 5000)
    body.feed(b"y")
    assert len(body._pieces) == 4
    assert body.whole() == b"0123456789" * 1000 + b"x" * 5000 + b"y"


@pytest.mark.parametrize("early", [True, False])
async def test_a_body_that_breaks_off_is_an_error(early):
    """Before it was asked for, and while it is waited for; what is complete can't break off any more."""
    body = bodies.Body(Tap(), 10)
    body.feed(b"1")
    if early:
        body.break_off()
    asked = asyncio.create_task(body.more(lambda _: True))
    await asyncio.sleep(0)
    body.break_off()
    with pytest.raises(RuntimeError):
        await asked
    whole = bodies.Body(Tap(), 10)
    whole.end()
    whole.break_off()
    await whole.more(lambda _: True)
    assert whole.whole() == b""

"""Both clients over a transport in memory: errors, retries, timeouts, batches. Nothing sleeps."""

import inspect
import json

import httpx
import pytest

import vectorfleet
from vectorfleet import aio

OK = httpx.Response(200, json={"upsertedCount": 1})
STATS = {"namespaces": {}, "dimension": 2, "totalVectorCount": 0}
ROWS = [(f"r{number}", [1.0, 2.0]) for number in range(10)]


class Harness:
    """One of the two clients, answered by a script: responses, exceptions, or a function of the request."""

    def __init__(self, kind):
        self.kind = kind
        self.requests = []
        self.slept = []

    def open(self, script, **options):
        answers = None if callable(script) else iter(script)

        def answer(request):
            self.requests.append(request)
            reply = script(request) if answers is None else next(answers)
            if isinstance(reply, Exception):
                raise reply
            return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

        self.client = self.kind(
            "http://index:8080/", "key-1", transport=httpx.MockTransport(answer), **options
        )
        self.client._sleep = self.sleep if self.kind is vectorfleet.Client else self.sleep_async
        return self

    def sleep(self, seconds):
        self.slept.append(seconds)

    async def sleep_async(self, seconds):
        self.slept.append(seconds)

    async def call(self, name, *args, **options):
        result = getattr(self.client, name)(*args, **options)
        if inspect.isasyncgen(result):
            return [item async for item in result]
        if inspect.isawaitable(result):
            return await result
        return list(result) if inspect.isgenerator(result) else result


@pytest.fixture(params=[vectorfleet.Client, aio.Client], ids=["threads", "asyncio"])
def harness(request):
    """Each test runs with both clients."""
    return Harness(request.param)


async def test_a_request_carries_the_key_and_says_who_asks(harness):
    """The key is in the header that Pinecone uses; paths stay below the host's."""
    harness.open([OK])
    assert await harness.call("upsert", ROWS[:1]) == vectorfleet.UpsertResult(1)
    (request,) = harness.requests
    assert str(request.url) == "http://index:8080/vectors/upsert"
    assert request.headers["Api-Key"] == "key-1"
    assert request.headers["User-Agent"].startswith("vectorfleet-python/")
    assert request.headers["Content-Type"] == "application/json"


async def test_the_key_is_never_shown(harness):
    """Neither the client nor an error about it says the key."""
    assert "key-1" not in repr(harness.open([]).client)
    with pytest.raises(vectorfleet.InvalidInputError) as caught:
        harness.kind("http://x", "sécret")
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["localhost:8080", "ftp://x", "http://", "http://u:p@x", "http://x?y", "", "http://x#y"]
)
def test_a_host_is_an_http_address(harness, host):
    """Anything else is refused at once, with an example of what is right."""
    with pytest.raises(vectorfleet.InvalidInputError, match="host"):
        harness.kind(host, "key")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, vectorfleet.BadRequestError),
        (401, vectorfleet.AuthenticationError),
        (403, vectorfleet.PermissionDeniedError),
        (404, vectorfleet.NotFoundError),
        (409, vectorfleet.StatusError),
        (413, vectorfleet.TooLargeError),
        (429, vectorfleet.RateLimitError),
        (500, vectorfleet.ServerError),
        (503, vectorfleet.UnavailableError),
    ],
)
async def test_a_refusal_has_its_class_and_the_server_s_words(harness, status, kind):
    """Status, code and message arrive as attributes."""
    harness.open([httpx.Response(status, json={"code": 3, "message": "what was wrong"})], retries=0)
    with pytest.raises(vectorfleet.StatusError, match="what was wrong") as caught:
        await harness.call("stats")
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, 3)


async def test_a_refusal_in_a_proxy_s_words_is_quoted_short(harness):
    """HTML of something in between does not fill the screen."""
    harness.open([httpx.Response(400, text="<html>\n<b>no</b>" + "x" * 5000)])
    with pytest.raises(vectorfleet.BadRequestError, match="<html> <b>no</b>") as caught:
        await harness.call("stats")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("body", ["<html>", "[]", '{"namespaces": 3}', "\xff"])
async def test_an_answer_that_is_not_the_api_s_is_an_error(harness, body):
    """Another server at that address is recognised, whatever it says."""
    harness.open([httpx.Response(200, content=body.encode("latin-1"))])
    with pytest.raises(vectorfleet.ReplyError, match="is the host a Vectorfleet gateway"):
        await harness.call("stats")


async def test_a_redirect_is_not_followed(harness):
    """The key goes to the host that was named and to no other."""
    harness.open([httpx.Response(307, headers={"Location": "http://elsewhere/"})])
    with pytest.raises(vectorfleet.StatusError, match="307"):
        await harness.call("stats")
    assert len(harness.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("closed"),
        httpx.Response(429),
        httpx.Response(503),
        httpx.Response(502),
    ],
    ids=str,
)
async def test_a_passing_failure_is_not_seen_by_the_caller(harness, failure):
    """What is idempotent is sent again, the same bytes."""
    harness.open([failure, failure, OK])
    assert (await harness.call("upsert", ROWS[:1])).upserted_count == 1
    assert len({request.content for request in harness.requests}) == 1
    assert len(harness.slept) == 2


async def test_a_write_that_is_sent_again_has_the_same_id(harness):
    """The connection broke after it was sent, so it may have been done: by its id it is done once."""
    harness.open([httpx.ReadError("reset"), httpx.Response(200, json={}), httpx.Response(200, json={})])
    await harness.call("delete", filter={"a": 1})
    await harness.call("delete", filter={"a": 1})
    first, again, other = (request.headers["x-vectorfleet-write-id"] for request in harness.requests)
    assert len(first) == 32
    assert first == again != other


async def test_a_session_s_reads_demand_what_it_wrote(harness):
    """The greatest position of each shard goes with each read; other clients' writes are not waited for."""
    answers = ["0:1:5,1:2:7", "1:1:9", None, None]
    positions = [{"x-vectorfleet-position": one} if one else {} for one in answers]
    replies = [httpx.Response(200, json={}, headers=headers) for headers in positions[:2]]
    rest = [httpx.Response(200, json={"vectors": {}, "namespace": ""})] * 2
    harness.open([*replies, *rest], consistency="session")
    for _ in range(2):
        await harness.call("delete", ids=["a"])
    await harness.call("fetch", ["a"])
    assert harness.requests[-1].headers["x-vectorfleet-at-least"] == "0:1:5,1:2:7"
    assert "x-vectorfleet-at-least" not in harness.requests[0].headers


async def test_a_strong_read_says_so(harness):
    """It needs no memory."""
    harness.open([httpx.Response(200, json={"vectors": {}, "namespace": ""})], consistency="strong")
    await harness.call("fetch", ["a"])
    assert harness.requests[0].headers["x-vectorfleet-consistency"] == "strong"


def test_a_consistency_that_does_not_exist_is_refused():
    """The message names those that do."""
    with pytest.raises(vectorfleet.InvalidInputError, match="eventual, session, strong"):
        vectorfleet.Client("http://127.0.0.1:1", "key", consistency="quorum")


async def test_the_last_error_is_what_the_caller_gets(harness):
    """After the times are used up."""
    harness.open([httpx.ReadError("reset"), httpx.Response(503), httpx.ConnectError("refused")], retries=2)
    with pytest.raises(vectorfleet.ConnectionFailedError, match="can't be reached: refused"):
        await harness.call("stats")


async def test_a_retry_waits_as_long_as_the_server_asks(harness):
    """Retry-After is heard."""
    busy = httpx.Response(429, headers={"Retry-After": "7"})
    harness.open([busy, httpx.Response(200, json=STATS)])
    await harness.call("stats")
    assert 7 <= harness.slept[0] < 7.2


async def test_no_answer_in_time_is_a_timeout(harness):
    """A timeout is told from a broken connection, and names the host."""
    harness.open([httpx.ReadTimeout("")], retries=0, timeout=3)
    with pytest.raises(vectorfleet.RequestTimeoutError, match="http://index:8080/ did not answer in time"):
        await harness.call("stats")
    assert harness.requests[0].extensions["timeout"] == {"connect": 3, "read": 3, "write": 3, "pool": 3}


async def test_list_walks_all_pages(harness):
    """Each page asks with the token of the one before."""
    pages = {None: ("a", "t1"), "t1": ("b", "t2"), "t2": ("c", None)}

    def answer(request):
        name, token = pages[request.url.params.get("paginationToken")]
        pagination = {"pagination": {"next": token}} if token else {}
        return httpx.Response(200, json={"vectors": [{"id": name}], **pagination})

    harness.open(answer)
    assert [page.ids for page in await harness.call("list")] == [("a",), ("b",), ("c",)]


async def test_namespaces_walks_all_pages(harness):
    """Namespaces come one by one, whatever the pages are."""
    first = {"namespaces": [{"name": "a", "record_count": 1}], "pagination": {"next": "t"}}
    second = {"namespaces": [{"name": "b", "record_count": 2}]}
    harness.open([httpx.Response(200, json=first), httpx.Response(200, json=second)])
    found = await harness.call("namespaces")
    assert found == [vectorfleet.Namespace("a", 1), vectorfleet.Namespace("b", 2)]


async def test_upsert_batch_goes_on_after_a_failed_batch(harness):
    """Ten rows, batches of three, the second refused: seven rows are there, three are named."""

    def answer(request):
        ids = [row["id"] for row in json.loads(request.content)["vectors"]]
        return httpx.Response(400, json={"message": "no"}) if "r4" in ids else OK

    harness.open(answer)
    result = await harness.call("upsert_batch", iter(ROWS), batch_size=3)
    assert (result.total, result.successful, result.failed, result.success_rate) == (10, 7, 3, 0.7)
    assert [failure.ids for failure in result.errors] == [("r3", "r4", "r5")]
    assert isinstance(result.errors[0].error, vectorfleet.BadRequestError)


async def test_upsert_batch_stops_when_the_key_is_refused(harness):
    """No later batch could fare better."""
    harness.open(lambda _: httpx.Response(401, json={"message": "no such key"}))
    with pytest.raises(vectorfleet.AuthenticationError):
        await harness.call("upsert_batch", iter(ROWS), batch_size=1, concurrency=2)
    assert len(harness.requests) < 10


async def test_an_error_of_the_source_reaches_the_caller(harness):
    """A file that ends in the middle is not taken for its end."""

    def source():
        yield ROWS[0]
        raise OSError("the disk is gone")

    harness.open(lambda _: OK)
    with pytest.raises(OSError, match="the disk is gone"):
        await harness.call("upsert_batch", source(), batch_size=1)


async def test_upsert_batch_reads_an_asynchronous_source():
    """The asyncio form takes both kinds of iterables."""

    async def source():
        for row in ROWS:
            yield row

    harness = Harness(aio.Client).open(lambda _: OK)
    result = await harness.call("upsert_batch", source(), batch_size=4)
    assert result.successful == 10


async def test_a_client_gives_its_connections_back(harness):
    """As a context manager it is closed at the end."""
    client = harness.open([OK]).client
    if harness.kind is vectorfleet.Client:
        with client:
            pass
    else:
        async with client:
            pass
    assert client._http.is_closed


def test_both_clients_offer_the_same_calls():
    """Same names, same parameters."""

    def shape(kind):
        public = {name: member for name, member in vars(kind).items() if name[0] != "_" and callable(member)}
        return {name: list(inspect.signature(member).parameters) for name, member in public.items()}

    assert shape(vectorfleet.Client) == shape(aio.Client)


async def test_a_client_says_of_which_shards_its_newest_read_may_be_stale(harness):
    """As the gateway says it of an answer; the next read's answer counts, and no write's."""
    named = {"x-vectorfleet-maybe-stale": "0,12"}
    stale = httpx.Response(200, json=STATS, headers=named)
    harness.open([stale, OK, httpx.Response(200, json=STATS)])
    assert harness.client.maybe_stale == frozenset()
    await harness.call("stats")
    assert harness.client.maybe_stale == {0, 12}
    await harness.call("upsert", ROWS)
    assert harness.client.maybe_stale == {0, 12}
    await harness.call("stats")
    assert harness.client.maybe_stale == frozenset()

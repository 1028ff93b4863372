"""Searches over a call that stays open: the gateway's client, a shard node's server, a made shard behind."""

import asyncio

import grpc
import pytest

from vectorfleet_gateway import errors
from vectorfleet_gateway.shards import remote
from vectorfleet_runtime import credentials
from vectorfleet_shardnode import errors as shard_errors
from vectorfleet_shardnode.api import shard_pb2, shard_pb2_grpc
from vectorfleet_shardnode.serving import conversing, rpc, server

PATIENCE = 30
TRUSTED = credentials.Trusted("between-the-two")


class Shard:
    """Answers a search with its first query's namespace, once `go` says so; each kind of call is counted."""

    def __init__(self):
        self.go = asyncio.Event()
        self.go.set()
        self.asked = []

    async def search(self, request):
        """See `server.Service`."""
        namespace = request.queries[0].namespace
        self.asked.append(namespace)
        if namespace == "wrong":
            raise shard_errors.BadRequestError("this is wrong")
        if namespace == "follower":
            raise shard_errors.NotPrimaryError("not here", 7, "other:1")
        if namespace == "fault":
            raise ZeroDivisionError
        if namespace == "slow":
            await self.go.wait()
        if namespace == "large":
            return shard_pb2.SearchReply(results=[shard_pb2.Matches(explanation=bytes(64 << 20))])
        return shard_pb2.SearchReply(results=[shard_pb2.Matches(explanation=namespace.encode())])

    async def nothing(self, _):
        """What the other methods do."""
        raise AssertionError

    write = fetch = list = stats = report = nothing


class Served:
    """A server of it, and a client."""

    def __init__(self, knows=True):
        self.shard, self.ending, self.single, self.knows = Shard(), asyncio.Event(), 0, knows

    async def start(self, port=0):
        """Listen."""
        self.ending.clear()
        if self.knows:
            self.server = server.make_server(self.shard, TRUSTED, self.ending)
        else:
            self.server = _of_before(self.shard)
        self.port = TRUSTED.listen(self.server, "127.0.0.1", port)
        await self.server.start()
        self.client = remote.RemoteShard(remote.Dial(3, f"127.0.0.1:{self.port}", TRUSTED))
        return self

    async def ask(self, *namespaces, seconds=PATIENCE, **query):
        """Search."""
        queries = [shard_pb2.Query(namespace=one, **query) for one in namespaces]
        reply = await self.client.search(shard_pb2.SearchRequest(queries=queries), seconds)
        return reply.results[0].explanation.decode()

    async def close(self):
        """End both."""
        await self.client.close()
        self.ending.set()
        await self.server.stop(None)


def _of_before(shard):
    allowed = {name: roles for name, roles in server.CALLERS.items() if not name.endswith("/Searches")}
    made = grpc.aio.server(interceptors=[credentials.gate(TRUSTED, allowed)])
    served = rpc.servicer(shard_pb2_grpc.ShardServicer, [("Search", shard.search)])
    shard_pb2_grpc.add_ShardServicer_to_server(served, made)
    return made


@pytest.fixture
async def served():
    """A server that converses, and its client."""
    one = await Served().start()
    yield one
    one.shard.go.set()
    await one.close()


async def test_each_search_gets_its_own_answer(served):
    """Whatever comes first; a slow one holds up none of the others."""
    served.shard.go.clear()
    slow = asyncio.create_task(served.ask("slow"))
    assert await asyncio.gather(*(served.ask(str(number)) for number in range(50))) == [
        str(number) for number in range(50)
    ]
    assert not slow.done()
    served.shard.go.set()
    assert await slow == "slow"


async def test_more_searches_than_are_taken_at_a_time(served):
    """Those beyond wait, and are answered."""
    count = 2 * conversing.MOST
    assert len(await asyncio.gather(*(served.ask("a") for _ in range(count)))) == count


@pytest.mark.parametrize(
    ("namespace", "kind", "said"),
    [
        ("wrong", errors.InvalidArgumentError, "this is wrong"),
        ("follower", errors.NotPrimaryError, "shard 3: not here"),
        ("fault", errors.InternalError, "shard 3: the shard node failed"),
    ],
)
async def test_a_refusal_is_of_its_search_alone(served, namespace, kind, said):
    """With status, message and what programs may know, as if it had been a call; the next one is answered."""
    with pytest.raises(kind, match=said) as refused:
        await served.ask(namespace)
    if namespace == "follower":
        assert (refused.value.epoch, refused.value.address) == (7, "other:1")
    assert await served.ask("a") == "a"


async def test_an_answer_that_is_too_large_is_refused_alone(served):
    """The conversation goes on: whoever else is in it gets its answer."""
    served.shard.go.clear()
    slow = asyncio.create_task(served.ask("slow"))
    await served.ask("a")
    with pytest.raises(errors.InvalidArgumentError, match="longer than 64 MiB"):
        await served.ask("large")
    served.shard.go.set()
    assert await slow == "slow"
    assert served.shard.asked == ["a", "slow", "large"]


async def test_a_search_has_its_time(served):
    """What takes longer is given up on both sides, and the next one is answered."""
    served.shard.go.clear()
    with pytest.raises(errors.DeadlineExceededError):
        await served.ask("slow", seconds=0.1)
    assert await served.ask("a") == "a"


async def test_who_goes_away_takes_nobody_along(served):
    """A search that is cancelled is one search less."""
    served.shard.go.clear()
    slow, other = asyncio.create_task(served.ask("slow")), asyncio.create_task(served.ask("slow"))
    await served.ask("a")
    slow.cancel()
    served.shard.go.set()
    assert await other == "slow"


async def test_large_searches_have_a_call_of_their_own(served):
    """Their answers would hold up all that comes behind them."""
    full = {"top_k": remote.SMALL_FULL_TOP_K + 1}
    for query in (
        {"top_k": remote.SMALL_TOP_K + 1},
        {"exact": True},
        full | {"include_values": True},
        full | {"include_metadata": True},
    ):
        assert await served.ask("a", **query) == "a"
    assert served.client._conversation is None
    assert await served.ask("a", top_k=remote.SMALL_TOP_K) == "a"
    assert served.client._conversation is not None


async def test_a_shard_that_stops_answers_what_it_has(served):
    """Its conversations end by themselves, and hold up no stop."""
    served.shard.go.clear()
    slow = asyncio.create_task(served.ask("slow"))
    await served.ask("a")
    served.ending.set()
    stopping = asyncio.create_task(served.server.stop(PATIENCE))
    await asyncio.sleep(0)
    served.shard.go.set()
    assert await slow == "slow"
    async with asyncio.timeout(PATIENCE / 2):
        await stopping
    with pytest.raises(errors.UnavailableError):
        await served.ask("a", seconds=0.5)


async def test_a_shard_that_is_gone_is_found_again(served):
    """Who waits is told at once, or tried again; when it is back, there is another conversation."""
    await served.ask("a")
    served.shard.go.clear()
    slow = asyncio.create_task(served.ask("slow"))
    await served.ask("a")
    await served.server.stop(None)
    served.shard.go.set()
    client = served.client
    await served.start(served.port)
    assert await slow == "slow"
    assert await served.ask("a") == "a"
    await client.close()


async def test_a_shard_from_before_is_asked_by_calls():
    """It knows no conversations, and nobody who asks it notices."""
    one = await Served(knows=False).start()
    try:
        assert await one.ask("a") == "a"
        assert await one.ask("b") == "b"
        with pytest.raises(errors.InvalidArgumentError, match="this is wrong"):
            await one.ask("wrong")
    finally:
        await one.close()


async def test_without_the_token_nobody_converses(served):
    """A conversation is checked where it begins, like a call."""
    stranger = remote.RemoteShard(
        remote.Dial(3, f"127.0.0.1:{served.port}", credentials.Trusted("wrong"), waits=False)
    )
    with pytest.raises(errors.InternalError, match="credentials"):
        await stranger.search(shard_pb2.SearchRequest(queries=[shard_pb2.Query(namespace="a")]), PATIENCE)
    await stranger.close()
    assert served.shard.asked == []

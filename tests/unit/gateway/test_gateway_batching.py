"""The lane of searches to one shard."""

import asyncio

import grpc
import pytest

from vectorfleet_gateway import batching, errors
from vectorfleet_gateway.shards import inprocess
from vectorfleet_shardnode.api import config, shard_pb2

SERVING = config.Generation(dimensions=2)


class Shard:
    """Answers each query with its own top_k as a row's id; waits at `gate`, refuses what filters on bad."""

    def __init__(self, refused):
        self.batches = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure = None
        self.refused = refused

    async def search(self, request):
        self.batches.append([query.top_k for query in request.queries])
        await self.gate.wait()
        if self.failure:
            raise self.failure
        if any(query.filter == b"bad" for query in request.queries):
            raise self.refused(grpc.StatusCode.INVALID_ARGUMENT, "bad filter")
        rows = [shard_pb2.Rows(ids=[str(query.top_k)]) for query in request.queries]
        return shard_pb2.SearchReply(results=[shard_pb2.Matches(rows=one) for one in rows])


@pytest.fixture
async def shard(refused):
    """A shard that can be held up."""
    return Shard(refused)


@pytest.fixture
async def lane(shard):
    """A lane to it."""
    return batching.Lane(inprocess.InProcessShard(0, shard), SERVING)


def query(number, **fields):
    """Return a query that is told by its top_k."""
    return shard_pb2.Query(top_k=number, **fields)


async def ask(lane, *queries):
    """Ask all at once; return ids, or the errors."""
    tasks = [asyncio.create_task(lane.search(one, 5.0)) for one in queries]
    await turn()
    return tasks


async def turn():
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def answers(tasks):
    """Return each task's id or error."""
    done = await asyncio.gather(*tasks, return_exceptions=True)
    return [one if isinstance(one, Exception) else one.matches.rows.ids[0] for one in done]


async def test_an_idle_lane_sends_at_once(lane, shard):
    """One query is one batch; the next one, after it, another."""
    assert await answers(await ask(lane, query(1))) == ["1"]
    assert await answers(await ask(lane, query(2))) == ["2"]
    assert shard.batches == [[1], [2]]


async def test_what_arrives_meanwhile_goes_together(lane, shard):
    """One batch is in flight; the next one gathers, and each query gets its own answer."""
    shard.gate.clear()
    first = await ask(lane, query(1))
    rest = await ask(lane, *map(query, range(2, 6)))
    assert shard.batches == [[1]]
    shard.gate.set()
    assert await answers(first + rest) == ["1", "2", "3", "4", "5"]
    assert shard.batches == [[1], [2, 3, 4, 5]]


async def test_who_was_answered_together_is_asked_for_together_again(lane, shard):
    """Callers who ask again at once stay one batch, though one of them came first."""
    shard.gate.wait = turn

    async def call(number):
        for _ in range(3):
            await lane.search(query(number), 5.0)
            await asyncio.sleep(0)

    await asyncio.gather(*map(call, range(1, 5)))
    assert [len(batch) for batch in shard.batches] == [1, 3, 4, 4]


async def test_nobody_is_waited_for_who_asks_no_more(lane, shard):
    """Who came meanwhile is searched for soon where those who were answered do not come back."""
    shard.gate.clear()
    first = await ask(lane, query(1))
    rest = await ask(lane, query(2), query(3))
    shard.gate.set()
    late = asyncio.create_task(lane.search(query(4), 5.0))
    assert await answers([*first, *rest, late]) == ["1", "2", "3", "4"]


async def test_a_batch_has_a_limit(lane, shard):
    """What does not fit goes with the one after."""
    shard.gate.clear()
    tasks = await ask(lane, query(1)) + await ask(lane, *map(query, range(2, 2 + batching.MAX_QUERIES + 3)))
    shard.gate.set()
    await answers(tasks)
    assert [len(batch) for batch in shard.batches] == [1, batching.MAX_QUERIES, 3]


async def test_one_bad_query_spoils_no_other(lane, shard):
    """The shard refuses a whole batch; its neighbours are asked again, alone."""
    shard.gate.clear()
    tasks = await ask(lane, query(1)) + await ask(lane, query(2), query(3, filter=b"bad"), query(4))
    shard.gate.set()
    done = await answers(tasks)
    assert done[:2] + done[3:] == ["1", "2", "4"]
    assert isinstance(done[2], errors.InvalidArgumentError)


async def test_a_bad_query_is_looked_for_by_halves(lane, shard):
    """Its neighbours are not asked for one by one: of 64 queries one that is wrong costs a dozen batches."""
    shard.gate.clear()
    first = await ask(lane, query(1))
    tasks = await ask(lane, *map(query, range(2, 40)), query(40, filter=b"bad"), *map(query, range(41, 66)))
    shard.gate.set()
    await answers(first)
    done = await answers(tasks)
    assert isinstance(done.pop(38), errors.InvalidArgumentError)
    assert done == [str(number) for number in range(2, 66) if number != 40]
    assert len(shard.batches) <= 2 + 2 * 6


async def test_a_batch_of_full_rows_has_a_limit(lane, shard):
    """With values or metadata an answer may have more MiB than one message takes: fewer go together."""
    shard.gate.clear()
    first = await ask(lane, query(1))
    count = batching.MAX_BATCH_FULL_ROWS // 100
    full = [query(100, include_values=True)] * count + [query(100, include_metadata=True)] * count
    tasks = await ask(lane, *full)
    shard.gate.set()
    await answers(first + tasks)
    assert max(map(sum, shard.batches)) <= batching.MAX_BATCH_FULL_ROWS + 100
    assert len(shard.batches) == 3


async def test_a_failure_is_told_to_all_and_the_lane_goes_on(lane, shard, refused):
    """A shard that is away fails what is in flight; the next query is asked as before."""
    shard.failure = refused(grpc.StatusCode.UNAVAILABLE, "gone")
    done = await answers(await ask(lane, query(1), query(2)))
    assert [type(one) for one in done] == [errors.UnavailableError] * 2
    shard.failure = None
    assert await answers(await ask(lane, query(3))) == ["3"]


async def test_a_shard_that_answers_too_few_is_an_error(lane, shard):
    """Nobody waits for ever for an answer that the shard forgot."""

    async def forget(_):
        return shard_pb2.SearchReply()

    shard.search = forget
    (error,) = await answers(await ask(lane, query(1)))
    assert isinstance(error, errors.InternalError)


async def test_whoever_left_is_not_searched_for(lane, shard):
    """A query whose caller gave up while it waited is dropped."""
    shard.gate.clear()
    first = await ask(lane, query(1))
    left, stays = await ask(lane, query(2), query(3))
    left.cancel()
    await turn()
    shard.gate.set()
    assert await answers([*first, stays]) == ["1", "3"]
    assert shard.batches == [[1], [3]]


@pytest.mark.parametrize(
    "large",
    [
        query(1001),
        query(101, include_values=True),
        query(101, include_metadata=True),
        query(9, exact=True),
        query(9, ef_search=10_000),
        query(9, probes=1_000_000),
        query(9, oversampling=100),
    ],
    ids=str,
)
async def test_slow_queries_go_beside_the_lane(lane, shard, large):
    """What is large, deep or exact neither waits for the lane nor holds it up."""
    shard.gate.clear()
    tasks = await ask(lane, query(1), large)
    assert sorted(shard.batches) == sorted([[1], [large.top_k]])
    shard.gate.set()
    assert len(await answers(tasks)) == 2


async def test_ways_of_scoring_do_not_wait_for_each_other(shard):
    """A search by text or by vector fields may be slow; those by vector go on meanwhile."""
    lanes = batching.Lanes(inprocess.InProcessShard(0, shard), SERVING)
    shard.gate.clear()
    parts = [shard_pb2.QueryPart(field="title")]
    tasks = await ask(lanes, query(1, text="a"), query(2), query(3, parts=parts))
    later = await ask(lanes, query(4, text="b"), query(5))
    assert sorted(shard.batches) == [[1], [2], [3]]
    shard.gate.set()
    assert await answers(tasks + later) == ["1", "2", "3", "4", "5"]

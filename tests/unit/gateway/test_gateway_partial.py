"""Answers that lack shards, and how long a request may take."""

import asyncio
import time

import grpc
import pytest

from vectorfleet_gateway import call, errors, routing

ROWS = [(f"r{number}", [1.0, number / 10]) for number in range(20)]


async def ask(gateway, headers=None, **body):
    """Send a query for all rows."""
    body = {"topK": 20, "vector": [1.0, 0.0]} | body
    return await gateway.ask("POST", "/query", body, headers=headers)


def broken(refused):
    """What a shard raises that is there no more."""
    return refused(grpc.StatusCode.UNAVAILABLE, "gone")


async def test_whoever_does_not_say_so_gets_all_or_an_error(gateway, refused):
    """Nobody takes a part for the whole unawares."""
    await gateway.upsert(ROWS)
    gateway.shards[1].failure = broken(refused)
    for body in ({}, {"allowPartial": False}, {"allowPartial": None}):
        answer = await ask(gateway, **body)
        assert (answer.status, answer.json["message"]) == (503, "shard 1 can't be reached")


@pytest.mark.parametrize("text", [False, True])
async def test_a_part_says_what_it_lacks(make_gateway, refused, text):
    """The other shards' rows, whether there is one list or two."""
    gateway = make_gateway(schema={"text": ["t"]})
    await gateway.upsert([(row_id, values, {"t": "word"}) for row_id, values in ROWS])
    gateway.shards[1].failure = broken(refused)
    answer = (await ask(gateway, allowPartial=True, **({"text": "word"} if text else {}))).json
    assert {match["id"] for match in answer["matches"]} == set(gateway.shards[0].rows[""])
    assert answer["partial"] is True
    assert answer["missingShards"] == [{"shard": 1, "message": "shard 1 can't be reached"}]
    assert answer["usage"] == {"readUnits": 1}


async def test_a_whole_answer_says_nothing(gateway):
    """Where every shard answers, the answer is as it always is."""
    await gateway.upsert(ROWS)
    assert set((await ask(gateway, allowPartial=True)).json) == {"matches", "namespace", "usage"}


async def test_no_shard_is_no_part(gateway, refused):
    """Where none answers it is an error all the same."""
    for shard in gateway.shards:
        shard.failure = broken(refused)
    assert (await ask(gateway, allowPartial=True)).status == 503


async def test_what_is_wrong_with_the_question_is_no_part(gateway):
    """A refusal is not told as a missing shard."""
    await gateway.upsert(ROWS)
    answer = await ask(gateway, allowPartial=True, filter={"n": {"$bad": 1}})
    assert answer.status == 400


async def test_a_slow_shard_is_left_out_in_time(gateway):
    """The caller's own time is what counts, and some of it is kept for answering."""
    await gateway.upsert(ROWS)
    gateway.shards[0].gate = asyncio.Event()
    started = time.monotonic()
    answer = await ask(gateway, {"x-request-timeout-ms": "300"}, allowPartial=True)
    assert answer.status == 200
    assert answer.json["missingShards"] == [{"shard": 0, "message": "shard 0 did not answer in time"}]
    assert time.monotonic() - started < 5  # the gateway's own bound is 30


async def test_the_callers_time_ends_a_request(gateway):
    """Without leave for a part, 504; the shard was told no longer time than there was."""
    gateway.shards[0].gate = asyncio.Event()
    answer = await ask(gateway, {"x-request-timeout-ms": "50"})
    assert (answer.status, answer.json["code"]) == (504, 4)


async def test_the_gateways_bound_stands(make_gateway):
    """Nobody gets more time by asking for it."""
    gateway = make_gateway(bounds={"timeout": 0.05})
    gateway.shards[0].gate = asyncio.Event()
    assert (await ask(gateway, {"x-request-timeout-ms": "60000"})).status == 504


async def test_the_callers_time_counts_from_the_head(gateway, make_exchange):
    """A body that does not come in time is not waited for."""
    exchange = make_exchange([b"{"], hang=True)
    headers = {"x-request-timeout-ms": "50", "content-length": None}
    await gateway.ask("POST", "/query", headers=headers, exchange=exchange)
    assert exchange.status == 408


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "1e3", "٣", "1" * 10, "10 s"])
def test_timeouts_that_are_none(text):
    """Refused, not guessed at."""
    with pytest.raises(errors.InvalidArgumentError, match="whole number of milliseconds"):
        call.parse_timeout(text)


def test_timeouts():
    """Milliseconds; nothing is nothing."""
    assert call.parse_timeout(None) is None
    assert call.parse_timeout("1500") == 1.5


def test_parts_of_answers():
    """In the order of the shards; an error that no shard is to blame for is raised, whoever else failed."""
    late, wrong = errors.DeadlineExceededError("late"), errors.InvalidArgumentError("wrong")
    assert routing.part_answers(["a", late, "c"]) == (["a", "c"], {1: "late"})
    for failures in (["a", late, wrong], [wrong, late]):
        with pytest.raises(errors.InvalidArgumentError):
            routing.part_answers(failures)
    with pytest.raises(errors.DeadlineExceededError):
        routing.part_answers([late, errors.UnavailableError("gone")])
    with pytest.raises(asyncio.CancelledError):
        routing.part_answers(["a", asyncio.CancelledError()])

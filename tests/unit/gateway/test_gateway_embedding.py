"""The pure parts of embedding: the wire, the probes, gathering; and the cache."""

import asyncio
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorfleet_gateway import errors, lru
from vectorfleet_gateway.embedding import gathering, probes, wire
from vectorfleet_gateway.outbound import pacing, verdicts
from vectorfleet_shardnode.api import config, services

GENERATION = config.Generation(dimensions=2)


def settings(**changes):
    """Return an embedder's configuration."""
    return services.Embedder(url="http://e/v1", model="m", **changes)


def answer(*embeddings, **fields):
    """Return an answer with these vectors, in this order."""
    data = [{"index": index, "embedding": values} for index, values in embeddings]
    return json.dumps({"data": data, "model": "named"} | fields).encode()


def test_the_request():
    """Prefixes, what the text is for, and the dimensions, as the configuration says."""
    plain = json.loads(wire.request(settings(), wire.Role.QUERY, ["a"], 2))
    assert plain == {"model": "m", "input": ["a"], "encoding_format": "float"}
    told = settings(query={"prefix": "query: "}, document={"inputType": "passage"}, sendDimensions=True)
    assert json.loads(wire.request(told, wire.Role.QUERY, ["a"], 2))["input"] == ["query: a"]
    rows = json.loads(wire.request(told, wire.Role.DOCUMENT, ["a", "b"], 2))
    assert (rows["input"], rows["input_type"], rows["dimensions"]) == (["a", "b"], "passage", 2)


def test_vectors_come_in_the_order_of_the_texts():
    """The answer's own order is by its indices."""
    found = wire.vectors(answer((1, [0, 1]), (0, [1, 0])), 2, GENERATION)
    assert found.vectors.tolist() == [[1, 0], [0, 1]]
    assert found.model == "named"
    assert wire.vectors(answer((0, [1, 0]), model=None), 1, GENERATION).model == ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"nothing", "not of the form"),
        (b'{"data": [{"index": 0, "embedding": ["a"]}]}', "not of the form"),
        (answer((0, [1, 0]), (0, [1, 0])), "answered 2 vectors for 2 texts"),
        (answer((0, [1, 0])), "answered 1 vectors for 2 texts"),
        (answer((0, [1]), (1, [1])), "have 1 dimensions; the index has 2"),
        (answer((0, [1, 0]), (1, [1])), "has 1 dimensions"),
        (answer((0, [1, 0]), (1, [0, 0])), "all zero"),
        (answer((0, [1, 0]), (1, [1e39, 0])), "which float32 can't hold"),
    ],
)
def test_answers_of_no_use(body, said):
    """It is the service's fault, and never the caller's."""
    with pytest.raises(errors.BadGatewayError, match=said):
        wire.vectors(body, 2, GENERATION)


def test_probes_tell_models_apart():
    """The least alike pair decides; a part of them is compared with the first."""
    remembered = np.eye(3, dtype=np.float32)
    assert probes.are_same(remembered * 7 + np.float32(0.01), remembered)
    other = remembered.copy()
    other[2] = [1, 0, 0]
    assert not probes.are_same(other, remembered)
    assert probes.are_same(other[:1], remembered)
    assert not probes.are_same(np.zeros((3, 3), np.float32), remembered)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), max_size=60))
def test_the_cache_keeps_its_bound(puts):
    """Whatever is put in: sizes add up to no more than the limit, and what came last is there if it fits."""
    cache = lru.Lru(50)
    for key, size in puts:
        cache.put(key, size, size)
        assert cache.size <= 50
        assert cache.get(key) == size
    assert cache.size == sum(cache.get(key) or 0 for key in range(6))
    cache.clear()
    assert (cache.size, len(cache)) == (0, 0)


def test_the_cache_forgets_what_was_used_longest_ago():
    """Reading counts as use; what is above the limit is not kept."""
    cache = lru.Lru(2)
    cache.put("a", 1, 1)
    cache.put("b", 2, 1)
    assert cache.get("a") == 1
    cache.put("c", 3, 1)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]
    cache.put("d", 4, 3)
    assert (cache.get("d"), cache.get("a")) == (None, 1)
    cache.drop("a")
    assert (cache.get("a"), cache.size) == (None, 1)


class Sender:
    """Embeds a text as its length; a gate holds batches up."""

    def __init__(self):
        self.batches = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, role, texts, seconds):
        assert seconds > 0
        self.batches.append((role, texts))
        await self.gate.wait()
        if "poison" in texts:
            raise errors.InvalidArgumentError("refused")
        if "crash" in texts:
            raise errors.UnavailableError("gone")
        return [np.array([len(text)]) for text in texts]


@pytest.fixture
def sender():
    """A sender whose gate is open."""
    return Sender()


async def ask(gatherer, *texts, role=wire.Role.DOCUMENT):
    """Return the lengths of texts."""
    return [int(one[0]) for one in await gatherer.vectors(role, texts, 5)]


async def test_many_texts_go_in_batches_at_the_same_time(sender):
    """Full batches, as many in flight as there may be."""
    sender.gate.clear()
    gatherer = gathering.Gatherer(sender, 3, 2)
    asked = asyncio.create_task(ask(gatherer, *("x" * number for number in range(8))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [len(texts) for _, texts in sender.batches] == [3, 3]
    sender.gate.set()
    assert await asked == list(range(8))
    assert [len(texts) for _, texts in sender.batches] == [3, 3, 2]


async def test_queries_go_before_rows(sender):
    """A load of rows holds a query up for one batch and no more."""
    sender.gate.clear()
    gatherer = gathering.Gatherer(sender, 2, 1)
    rows = asyncio.create_task(ask(gatherer, *"abcdef"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    question = asyncio.create_task(ask(gatherer, "question", role=wire.Role.QUERY))
    await asyncio.sleep(0)
    sender.gate.set()
    assert (await question, await rows) == ([8], [1] * 6)
    assert [role for role, _ in sender.batches] == ["document", "query", "document", "document"]


async def test_a_refused_text_fails_alone(sender):
    """Its batch is sent in halves, down to the one that is refused."""
    gatherer = gathering.Gatherer(sender, 8, 1)
    asked = [ask(gatherer, text) for text in ("a", "bb", "poison", "dddd", "eeeee")]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [one for one in found if isinstance(one, list)] == [[1], [2], [4], [5]]
    assert isinstance(found[2], errors.InvalidArgumentError)


async def test_a_failure_is_told_to_all_of_its_batch(sender):
    """And the next batch is another matter."""
    gatherer = gathering.Gatherer(sender, 2, 1)
    found = await asyncio.gather(
        *(ask(gatherer, text) for text in ("crash", "with", "next", "ones")), return_exceptions=True
    )
    assert [isinstance(one, errors.UnavailableError) for one in found] == [True, True, False, False]


async def test_who_has_gone_is_not_embedded_for(sender):
    """A text whose asker was cancelled while it waited is not sent."""
    sender.gate.clear()
    gatherer = gathering.Gatherer(sender, 1, 1)
    first, gone = (asyncio.create_task(ask(gatherer, text)) for text in ("first", "gone"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    sender.gate.set()
    assert await first == [5]
    assert [texts for _, texts in sender.batches] == [["first"]]


async def test_no_more_than_so_many_texts_wait(sender):
    """Beyond that, 429 at once: memory stays bounded."""
    sender.gate.clear()
    gatherer = gathering.Gatherer(sender, 1, 1)
    asked = asyncio.create_task(gatherer.vectors(wire.Role.DOCUMENT, ["x"] * gathering.MAX_WAITING, 5))
    await asyncio.sleep(0)
    with pytest.raises(errors.ExhaustedError, match="wait for the embedder already"):
        await gatherer.vectors(wire.Role.DOCUMENT, ["a", "b"], 5)
    sender.gate.set()
    assert await ask(gatherer, "a query", role=wire.Role.QUERY) == [7]
    assert len(await asked) == gathering.MAX_WAITING


def test_turns_are_evenly_spaced():
    """Two a second: the third waits a second; after a pause the next goes at once."""
    pace = pacing.Pace(2)
    assert [pace.take(10.0) for _ in range(3)] == [0, 0.5, 1]
    assert pace.wait(10.0) == 1.5
    assert pace.take(20.0) == 0
    assert [pacing.Pace(None).take(1.0) for _ in range(3)] == [0, 0, 0]


def test_pauses_double_and_heed_what_was_asked():
    """With jitter down to a half, up to a bound."""
    assert [pacing.delay_after(failures, None, 1) for failures in (1, 2, 3)] == pytest.approx([0.1, 0.2, 0.4])
    assert pacing.delay_after(1, None, 0) == pytest.approx(0.05)
    assert pacing.delay_after(50, None, 1) == pacing.MAX_SECONDS
    assert pacing.delay_after(1, 3, 0) == 3


@pytest.mark.parametrize(
    ("status", "kind", "may_pass"),
    [
        (400, errors.InvalidArgumentError, False),
        (401, errors.BadGatewayError, False),
        (404, errors.BadGatewayError, False),
        (307, errors.BadGatewayError, False),
        (418, errors.BadGatewayError, False),
        (429, errors.UnavailableError, True),
        (503, errors.UnavailableError, True),
    ],
)
def test_what_a_status_means(status, kind, may_pass):
    """To the caller, and for another attempt."""
    failure = verdicts.of_status("the service", status, {"retry-after": "2"}, b"")
    assert (type(failure.error), failure.may_pass) == (kind, may_pass)
    assert failure.retry_after == (2 if may_pass else None)
    assert verdicts.of_status("the service", 200, {}, b"") is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "too\\nlong"}}', ": too long"),
        (b'{"error": "too long"}', ": too long"),
        (b'{"message": "too long", "error": {}}', ": too long"),
        (b'{"detail": "too long"}', ": too long"),
        (b'{"detail": ["too long"]}', "HTTP 400"),
        (b"too long", "HTTP 400"),
        (b'{"error": "' + b"x" * 1000 + b'"}', ": " + "x" * 200),
    ],
)
def test_the_services_own_words(body, said):
    """A line of them at most, where they are in a form that is known."""
    assert str(verdicts.of_status("it", 400, {}, body).error).endswith(said)


def test_a_date_to_wait_for_is_not_heeded():
    """Clocks differ."""
    headers = {"retry-after": "Thu, 01 Jan 2026 00:00:00 GMT"}
    assert verdicts.of_status("it", 503, headers, b"").retry_after is None

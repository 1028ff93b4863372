"""Splitting by shard and merging answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorfleet_gateway import routing
from vectorfleet_shardnode.api import config, placement, shard_pb2

PLAIN = config.Generation(dimensions=2)
IDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)


def matches(scored):
    """Return a shard's answer of (id, score) pairs."""
    return shard_pb2.Matches(
        rows=shard_pb2.Rows(ids=[row_id for row_id, _ in scored]),
        scores=np.array([score for _, score in scored], "<f4").tobytes(),
    )


@given(st.lists(IDS), st.integers(1, 7), st.sampled_from(["", "shop"]))
def test_every_id_goes_to_its_shard_once(ids, shards, namespace):
    """Each to the one that placement says, in the order given."""
    split = routing.split_ids(namespace, ids, shards)

    assert sorted(row_id for part in split.values() for row_id in part) == sorted(ids)
    for number, part in split.items():
        assert part == [row_id for row_id in ids if placement.shard_of(namespace, row_id, shards) == number]


@given(
    st.lists(st.tuples(IDS, st.floats(-10, 10, width=32), st.sampled_from([b"", b'{"a":1}']))),
    st.integers(1, 4),
)
def test_rows_come_back_as_they_went(sent, shards):
    """The last row of an id counts; vectors are bit for bit the same, and metadata stays with its row."""
    rows = [
        routing.Row(row_id, np.array([value, -value], np.float32), metadata)
        for row_id, value, metadata in sent
    ]
    split = routing.split_rows("n", rows, shards)
    back = {row.id: row for part in split.values() for row in routing.unpack(part, PLAIN)}

    assert set(back) == {row.id for row in rows}
    for row in {row.id: row for row in rows}.values():
        assert back[row.id].metadata == row.metadata
        assert back[row.id].values.tobytes() == row.values.tobytes()
    for number, part in split.items():
        assert all(placement.shard_of("n", row_id, shards) == number for row_id in part.ids)


@pytest.mark.parametrize("metric", list(config.Metric))
@given(data=st.data())
def test_merged_answers_are_those_of_one_shard(metric, data):
    """However rows lie on shards, the best come first, and equal scores in the order of ids."""
    scores = data.draw(st.dictionaries(IDS, st.sampled_from([-1.5, -0.0, 0.0, 0.25, 3.0]), max_size=12))
    shards, top_k = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 6))
    sign = 1 if metric is config.Metric.EUCLIDEAN else -1
    ranked = sorted(scores.items(), key=lambda entry: (sign * entry[1], entry[0]))
    parts = [[] for _ in range(shards)]
    for entry in ranked:
        parts[data.draw(st.integers(0, shards - 1))].append(entry)

    answers = [matches(part[:top_k]) for part in parts]
    generation = config.Generation(dimensions=2, metric=metric)
    hits = routing.merge_matches(answers, shard_pb2.Query(top_k=top_k), generation)

    assert [(hit.row.id, float(hit.score)) for hit in hits] == ranked[:top_k]


def test_one_shard_keeps_its_order():
    """Nothing is to be merged where there is one answer."""
    hits = routing.merge_matches([matches([("b", 1.0), ("a", 1.0)])], shard_pb2.Query(top_k=5), PLAIN)
    assert [hit.row.id for hit in hits] == ["b", "a"]


def test_scores_of_text_are_the_better_the_greater():
    """Under Euclidean distance too, where a vector's are the better the smaller."""
    generation = config.Generation(dimensions=2, metric="euclidean")
    answers = [matches([("b", 2.0), ("a", 1.0)]), matches([("c", 1.5)])]
    by_text = routing.merge_matches(answers, shard_pb2.Query(top_k=5, text="word"), generation)
    assert [hit.row.id for hit in by_text] == ["b", "c", "a"]


@given(st.lists(st.lists(IDS), min_size=1, max_size=4), st.integers(1, 10))
def test_ids_are_merged_by_their_utf_8_bytes(lists, limit):
    """The order of a listing is that of bytes, and a page is no longer than its limit."""
    merged = routing.merge_ids([sorted(ids, key=str.encode) for ids in lists], limit)
    assert merged == sorted((row_id for ids in lists for row_id in ids), key=str.encode)[:limit]


def test_counts_are_added_by_namespace():
    """By name, ascending; a namespace without rows does not exist."""
    answers = [
        shard_pb2.StatsReply(namespaces={"b": 1, "a": 2, "none": 0}),
        shard_pb2.StatsReply(namespaces={"b": 4}),
    ]
    assert list(routing.merge_counts(answers).items()) == [("a", 2), ("b", 5)]

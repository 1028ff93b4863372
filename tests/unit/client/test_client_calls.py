"""Calls as values: what is sent, and how answers are read."""

import json

import numpy as np
import pytest

from vectorfleet import calls, errors, queries, results, rows


def question(**changes):
    """Return a query with some fields changed."""
    fields = {
        "vector": [1.0, 2.0],
        "id": None,
        "top_k": 3,
        "namespace": "",
        "filter": None,
        "include_values": False,
        "include_metadata": True,
    }
    return queries.Query(**fields | changes)


def body_of(call):
    """Return what a call sends."""
    return json.loads(call.content)


def test_an_upsert_is_one_json_object():
    """Rows encoded one by one are one valid body, the namespace's quotes included."""
    call = calls.upsert([("a", [1.0]), ("b", [2.0], {"x": 'q"'})], 'n"s')
    assert (call.method, call.path, call.writes) == ("POST", "vectors/upsert", True)
    assert body_of(call) == {
        "vectors": [{"id": "a", "values": [1.0]}, {"id": "b", "values": [2.0], "metadata": {"x": 'q"'}}],
        "namespace": 'n"s',
    }
    assert call.decode(b'{"upsertedCount": 2, "new": 1}') == results.UpsertResult(2)


def test_an_empty_upsert_is_refused():
    """Nothing to write is a mistake of the caller."""
    with pytest.raises(errors.InvalidInputError, match="at least one row"):
        calls.upsert([], "")


def test_a_query_says_all_that_was_asked():
    """Names are the API's; what was not asked for is left out."""
    call = calls.query(question(filter={"year": {"$gte": np.int32(2004)}}))
    assert body_of(call) == {
        "topK": 3,
        "namespace": "",
        "includeValues": False,
        "includeMetadata": True,
        "vector": [1.0, 2.0],
        "filter": {"year": {"$gte": 2004}},
    }
    assert "vector" not in body_of(calls.query(question(vector=None, id="a")))


@pytest.mark.parametrize(
    ("changes", "said"), [({"vector": None}, "needs a vector, the id of a row"), ({"id": "a"}, "not both")]
)
def test_a_query_needs_a_vector_or_an_id(changes, said):
    """Nothing to search for, and two vectors, are refused."""
    with pytest.raises(errors.InvalidInputError, match=said):
        calls.query(question(**changes))


def test_a_query_beyond_vectors():
    """Vector fields, weights, text, fusion and parameters travel under the API's names."""
    asked = question(
        vectors={"title": np.float32([1, 2]), "tokens": np.float32([[1], [2]])},
        weights={"title": 2},
        text="red apple",
        fusion=queries.Fusion(method="weighted", alpha=0.25),
        params=queries.SearchParams(ef_search=9),
        explain=True,
    )
    body = body_of(calls.query(asked))
    assert body["vectors"] == {"title": [1, 2], "tokens": [[1], [2]]}
    assert (body["weights"], body["text"], body["explain"]) == ({"title": 2}, "red apple", True)
    assert body["fusion"] == {"method": "weighted", "alpha": 0.25}
    assert body["params"] == {"efSearch": 9}
    assert "vector" not in body_of(calls.query(question(vector=None, text="red")))


def test_matches_have_vectors_and_explanations():
    """A matrix is two-dimensional; what was done is told as it came."""
    match = {"id": "a", "score": 1, "vectors": {"t": [[1, 2]], "u": [3]}, "explain": {"text": {"rank": 1}}}
    body = json.dumps({"matches": [match], "explain": {"fusion": {"k": 60}}}).encode()
    answer = calls.query(question()).decode(body)
    vectors = answer.matches[0].vectors
    assert {name: one.shape for name, one in vectors.items()} == {"t": (1, 2), "u": (1,)}
    assert answer.matches[0].explain == {"text": {"rank": 1}}
    assert answer.explain == {"fusion": {"k": 60}}


def test_matches_are_typed():
    """Values come as float32 that nobody changes by accident; what was not asked for is None."""
    body = b'{"matches":[{"id":"a","score":0.5,"values":[0.1,2]},{"id":"b","score":0.25}],"usage":{}}'
    first, second = calls.query(question()).decode(body).matches
    assert first == results.Match("a", 0.5, np.array([0.1, 2], np.float32))
    assert first.values.dtype == np.float32
    assert not first.values.flags.writeable
    assert second == results.Match("b", 0.25)


def test_a_long_fetch_is_split():
    """No URL grows beyond what servers take, whatever the ids are, and no id is lost."""
    ids = [f"é{n}" * 20 for n in range(300)]
    parts = list(calls.fetch(ids, "n"))
    asked = [value for part in parts for name, value in part.params if name == "ids"]
    lengths = [sum(len(value.encode()) * 3 for _, value in part.params) for part in parts]
    assert asked == ids
    assert len(parts) > 1
    assert max(lengths) < 8000
    assert all(("namespace", "n") in part.params for part in parts)


def test_fetched_parts_come_together():
    """The answer of several requests is one."""
    parts = [results.FetchResult({name: rows.Row(name)}) for name in "ab"]
    assert calls.merge_fetched(parts, "n") == results.FetchResult(
        {"a": rows.Row("a"), "b": rows.Row("b")}, "n"
    )


@pytest.mark.parametrize(("ids", "message"), [("abc", r"write \['abc'\]"), ([], "empty"), ([1], "not 1")])
def test_ids_are_a_list_of_strings(ids, message):
    """A lone string would be read as its letters."""
    with pytest.raises(errors.InvalidInputError, match=message):
        list(calls.fetch(ids, ""))


def test_deletes_say_what_goes():
    """By id, by filter, or all; each is a write, so it goes with an id."""
    assert calls.delete_namespace("n").writes
    assert calls.delete(None, None, True, "").writes
    assert body_of(calls.delete(None, None, True, "n")) == {"namespace": "n", "deleteAll": True}
    assert body_of(calls.delete(None, {"a": 1}, False, "")) == {"namespace": "", "filter": {"a": 1}}
    assert body_of(calls.delete(iter("ab"), None, False, "")) == {"namespace": "", "ids": ["a", "b"]}


@pytest.mark.parametrize("what", [(None, None, False), (["a"], None, True), (["a"], {}, False)])
def test_a_delete_has_one_target(what):
    """None would do nothing, two would surprise."""
    with pytest.raises(errors.InvalidInputError, match="one of ids, filter and delete_all"):
        calls.delete(*what, "")


def test_an_update_changes_something():
    """Values or a text, vectors, metadata, or several; None removes a vector."""
    vectors = calls.update("a", calls.Change(vectors={"title": [1], "tokens": None}), "")
    assert body_of(vectors) == {"id": "a", "namespace": "", "vectors": {"title": [1], "tokens": None}}
    both = calls.update("a", calls.Change([1], set_metadata={"x": 1}), "n")
    assert body_of(both) == {"id": "a", "namespace": "n", "values": [1], "setMetadata": {"x": 1}}
    assert body_of(calls.update("a", calls.Change(text="t"), "")) == {"id": "a", "namespace": "", "text": "t"}
    with pytest.raises(errors.InvalidInputError, match="an update needs"):
        calls.update("a", calls.Change(vectors={}), "")
    with pytest.raises(errors.InvalidInputError, match="and not both"):
        calls.update("a", calls.Change([1], "t"), "")


def test_a_page_of_ids_knows_the_next():
    """The token is the server's; the last page has none."""
    call = calls.list_page("p", "n", 7, "t")
    assert dict(call.params) == {"namespace": "n", "limit": "7", "prefix": "p", "paginationToken": "t"}
    assert call.decode(b'{"vectors":[{"id":"a"}],"pagination":{"next":"u"}}') == results.ListPage(("a",), "u")
    assert call.decode(b'{"vectors":[]}') == results.ListPage((), None)


def test_a_namespace_can_have_any_name():
    """A slash in a name does not reach into another route; the default one has a name of its own there."""
    assert calls.namespace("a/../b?").path == "namespaces/a%2F..%2Fb%3F"
    assert calls.namespace("").path == "namespaces/__default__"


def test_stats_are_typed():
    """Counts by namespace."""
    body = b'{"namespaces":{"":{"vectorCount":2}},"dimension":3,"indexFullness":0,"totalVectorCount":2}'
    stats = calls.stats(None).decode(body)
    assert (stats.dimension, stats.total_vector_count) == (3, 2)
    assert stats.namespaces[""].vector_count == 2
    assert body_of(calls.stats({"a": 1})) == {"filter": {"a": 1}}

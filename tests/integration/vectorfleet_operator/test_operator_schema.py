"""What the API server refuses by the CRD's schema and rules alone, and what it lets through."""

import json

import pytest
from apiserver import passes

from vectorfleet_operator import errors

REFUSED = [
    ({"shards": 3}, "spec.shards is immutable"),
    ({"metric": "euclidean"}, "spec.metric is immutable"),
    ({"model": {"name": "m", "dimensions": 4}}, "spec.model is immutable"),
    ({"index": {"m": 8}}, "spec.index.m is immutable"),
    ({"index": {"type": "flat"}}, "spec.index.type is immutable"),
    ({"index": {"profile": "recall"}}, "spec.index.profile is immutable"),
    ({"index": {"library": "hnswlib"}}, "spec.index.library is immutable"),
    ({"index": {"probes": 8}}, "lists and probes may only be given where type is ivf"),
    ({"quantization": {"type": "sq8"}}, "spec.quantization.type is immutable"),
    ({"vectors": [{"name": "a", "dimensions": 2}]}, "spec.vectors is immutable"),
    ({"storage": {"size": "1000Mi", "storageClassName": "fast"}}, "spec.storage.size may only grow"),
    ({"storage": {"size": 1024, "storageClassName": "fast"}}, "spec.storage.size may only grow"),
    ({"storage": {"size": "1024Mi"}}, "spec.storage.storageClassName is immutable"),
    ({"bootstrap": {"restore": {"backupName": "b"}}}, "spec.bootstrap is immutable"),
    ({"rollout": {"steps": [50, 10, 100]}}, "steps must grow, and end with 100"),
    ({"rollout": {"steps": [10, 10, 100]}}, "steps must grow, and end with 100"),
    ({"rollout": {"steps": [10, 50]}}, "steps must grow, and end with 100"),
    ({"resources": {"limits": {"memory": "4Gib"}}}, "spec.resources.limits.memory"),
    ({"replicas": 0}, "spec.replicas"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=lambda value: json.dumps(value)[:60])
async def test_the_schema_refuses_a_change(server, change, message):
    """With no webhook and no operator, the API server says what is wrong with it."""
    await server.apply(passes.INDEX)

    with pytest.raises(errors.Rejected, match=message):
        await server.apply(passes.INDEX | {"spec": passes.INDEX["spec"] | change})


def field(code):
    """Return a vector field with a code."""
    return {"name": "a", "dimensions": 6, "quantization": {"type": code}}


NEVER = [
    ({"index": {"profile": "recall", "m": 8}}, "profile may not be given together"),
    ({"index": {"type": "flat", "m": 8}}, "may only be given where type is hnsw"),
    ({"quantization": {"rescore": {}}}, "rescore and recallFloor may only be given"),
    ({"quantization": {"type": "sq8", "ratio": 8}}, "ratio may only be given where type is pq"),
    ({"vectors": [{"name": "a b", "dimensions": 2}]}, "spec.vectors"),
    ({"vectors": [{"name": "values", "dimensions": 2}]}, "a vector field may not be called values"),
    ({"vectors": [{"name": "a", "dimensions": 2}] * 2}, "a vector field is declared twice"),
    (
        {"metric": "euclidean", "vectors": [{"name": "a", "dimensions": 2, "lateInteraction": True}]},
        "late interaction adds up similarities",
    ),
    ({"index": {"library": "hnswlib"}, "quantization": {"type": "sq8"}}, "spec.quantization.type is none"),
    ({"index": {"type": "gpu"}, "quantization": {"type": "pq"}}, "can't search pq and rabitq codes"),
    ({"index": {"library": "hnswlib"}, "vectors": [field("sq8")]}, "and that of vector fields too"),
    ({"index": {"type": "gpu"}, "vectors": [field("rabitq")]}, "can't search pq and rabitq codes"),
    ({"vectors": [field("pq")]}, "pq can't cut the dimensions so"),
    ({"quantization": {"type": "pq"}}, "pq can't cut the dimensions so"),
    ({"quantization": {"type": "pq", "ratio": 6}}, "pq can't cut the dimensions so"),
    ({"index": {"type": "ivf", "lists": 2, "probes": 3}}, "probes may be at most lists"),
    ({"schema": {"fields": [{"name": "a", "type": "float"}] * 2}}, "declared twice in fields"),
    ({"schema": {"text": ["a", "a"]}}, "a field is named twice in text"),
    ({"schema": {"language": "klingon"}}, "spec.schema.language"),
    ({"schema": {"bm25": {"b": 1.5}}}, "spec.schema.bm25.b"),
    ({"metric": "hamming"}, "spec.metric"),
]


@pytest.mark.parametrize(("spec", "message"), NEVER, ids=lambda value: json.dumps(value)[:60])
async def test_the_schema_refuses_a_new_index(server, spec, message):
    """What contradicts itself is not stored."""
    with pytest.raises(errors.Rejected, match=message):
        await server.apply(passes.INDEX | {"spec": passes.INDEX["spec"] | spec})


@pytest.mark.parametrize("name", ["my.products", "1products", "p" * 41])
async def test_the_schema_refuses_names_that_do_not_fit(server, name):
    """Nothing could be named after it."""
    with pytest.raises(errors.Rejected, match=r"metadata\.name must be at most 40 characters"):
        await server.apply(passes.INDEX | {"metadata": {"name": name, "namespace": "default"}})


@pytest.mark.parametrize(
    "change",
    [
        {"storage": passes.INDEX["spec"]["storage"] | {"deletionPolicy": "Delete"}},
        {"storage": passes.INDEX["spec"]["storage"] | {"size": "2Gi"}},
        {"storage": passes.INDEX["spec"]["storage"] | {"size": 3_000_000_000}},
        {"gateway": {"replicas": 5}},
        {"image": {"tag": "2"}},
        {"paused": True},
        {"rollout": {"steps": [5, 100]}},
        {"index": {"efSearch": 300}},
        {"schema": {"fields": [{"name": "a", "type": "datetime"}], "text": ["b"], "bm25": {"k1": 1.5}}},
    ],
    ids=json.dumps,
)
async def test_the_schema_lets_other_changes_through(server, change):
    """Immutability is for what a generation is built from, and for volumes."""
    await server.apply(passes.INDEX)

    stored = await server.apply(passes.INDEX | {"spec": passes.INDEX["spec"] | change})

    assert stored["metadata"]["generation"] == 2


KEPT = [
    (
        {"index": {"profile": "recall"}},
        {"index": {"profile": "recall", "efSearch": 300}},
        {"index": {"profile": "recall", "efSearch": 300, "m": 3}},
    ),
    (
        {"index": {"type": "ivf", "lists": 64}},
        {"index": {"type": "ivf", "lists": 64, "probes": 4}},
        {"index": {"type": "ivf", "probes": 4}},
    ),
    (
        {"quantization": {"type": "pq", "ratio": 12}},
        {"quantization": {"type": "pq", "ratio": 12, "rescore": {"oversampling": 9}, "recallFloor": 0.5}},
        {"quantization": {"type": "pq", "ratio": 4}},
    ),
    (
        {"vectors": [{"name": "a", "dimensions": 2, "quantization": {"type": "sq8"}}]},
        {"vectors": [{"name": "a", "dimensions": 2, "quantization": {"type": "sq8", "recallFloor": 0.5}}]},
        {"vectors": [{"name": "a", "dimensions": 2, "quantization": {"type": "float16"}}]},
    ),
    (
        {"vectors": [{"name": "a", "dimensions": 8, "quantization": {"type": "pq", "ratio": 8}}]},
        {
            "vectors": [
                {"name": "a", "dimensions": 8, "quantization": {"type": "pq", "ratio": 8, "rescore": {}}}
            ]
        },
        {"vectors": [{"name": "a", "dimensions": 8, "quantization": {"type": "pq"}}]},
    ),
    (
        {"vectors": [{"name": "a", "dimensions": 2}]},
        {"vectors": [{"name": "a", "dimensions": 2}], "paused": True},
        {"vectors": [{"name": "a", "dimensions": 3}]},
    ),
]


@pytest.mark.parametrize(("first", "then", "never"), KEPT, ids=lambda value: json.dumps(value)[:60])
async def test_searching_is_tuned_in_place(server, first, then, never):
    """Beside what a generation is built from, what only concerns searching comes and goes."""
    for number, spec in enumerate((first, then, first), 1):
        stored = await server.apply(passes.INDEX | {"spec": passes.INDEX["spec"] | spec})
        assert stored["metadata"]["generation"] == number

    with pytest.raises(errors.Rejected):
        await server.apply(passes.INDEX | {"spec": passes.INDEX["spec"] | never})

"""The models: what a manifest may say, and how the operator answers where it may not."""

import pytest

from vectorfleet_operator import errors
from vectorfleet_operator.api import build_spec, parse, workload_spec

MODEL = {"name": "m", "dimensions": 3}
FIELD = {"name": "a", "dimensions": 2}


def parse_spec(**spec):
    """Return the parsed spec with these fields beside its model."""
    manifest = {"metadata": {"name": "products", "namespace": "shop"}, "spec": {"model": MODEL} | spec}
    return parse.parse_index(manifest).spec


def test_smallest_spec_has_the_documented_defaults():
    """A spec that names only its model is one shard of one replica, cosine, balanced HNSW, 10Gi retained."""
    spec = parse_spec()

    assert (spec.shards, spec.replicas, spec.metric.value) == (1, 1, "cosine")
    assert (spec.index.hnsw().m, spec.index.hnsw().ef_construction, spec.index.hnsw().ef_search) == (
        16,
        128,
        100,
    )
    assert (spec.storage.size, spec.storage.deletion_policy.value) == ("10Gi", "Retain")


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ({"profile": "latency"}, (12, 100, 64)),
        ({"profile": "recall"}, (24, 200, 200)),
        ({"m": 32}, (32, 128, 100)),
        ({"efSearch": 50, "efConstruction": 60}, (16, 60, 50)),
        ({"profile": "recall", "efSearch": 300}, (24, 200, 300)),
    ],
)
def test_hnsw_parameters_come_from_profile_or_values(index, expected):
    """A profile names three; efSearch beside it wins; explicit values replace those of `balanced`."""
    hnsw = parse_spec(index=index).index.hnsw()

    assert (hnsw.m, hnsw.ef_construction, hnsw.ef_search) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"index": {"profile": "latency", "m": 3}}, "spec.index: profile may not be given together with m"),
        (
            {"index": {"type": "flat", "efSearch": 3}},
            "spec.index: library, profile, m, efConstruction and efSearch may only",
        ),
        ({"index": {"type": "flat", "library": "faiss"}}, "may only be given where type is hnsw"),
        ({"index": {"probes": 3}}, "spec.index: lists and probes may only be given where type is ivf"),
        ({"index": {"type": "ivf", "lists": 2, "probes": 3}}, "spec.index: probes may be at most lists"),
        (
            {"quantization": {"rescore": {}}},
            "spec.quantization: rescore and recallFloor may only be given where type is not none",
        ),
        ({"quantization": {"recallFloor": 0.5}}, "rescore and recallFloor may only be given"),
        ({"quantization": {"type": "sq8", "ratio": 12}}, "ratio may only be given where type is pq"),
        ({"quantization": {"type": "binary"}}, "spec.quantization.type: Input should be 'none'"),
        ({"vectors": [{"name": "a b", "dimensions": 2}]}, "spec.vectors.0.name: String should match"),
        ({"vectors": [{"name": "values", "dimensions": 2}]}, "a vector field may not be called values"),
        ({"vectors": [{"name": "a", "dimensions": 2}] * 2}, "spec: a vector field is declared twice"),
        (
            {"vectors": [{"name": "a", "dimensions": 6, "quantization": {"type": "pq"}}]},
            'spec: vector field "a": pq can\'t cut 6 dimensions at ratio 16',
        ),
        (
            {"index": {"library": "hnswlib"}, "vectors": [FIELD | {"quantization": {"type": "sq8"}}]},
            'spec: vector field "a": the engine hnswlib can\'t search sq8 codes',
        ),
        (
            {"vectors": [FIELD | {"quantization": {"recallFloor": 0.5}}]},
            "spec.vectors.0.quantization: rescore and recallFloor may only be given where type is not none",
        ),
        (
            {"metric": "euclidean", "vectors": [{"name": "a", "dimensions": 2, "lateInteraction": True}]},
            "spec: late interaction adds up similarities",
        ),
        ({"schema": {"fields": [{"name": "a", "type": "float"}] * 2}}, "a field is declared twice in fields"),
        ({"schema": {"text": ["a", "a"]}}, "spec.schema: a field is named twice in text"),
        ({"schema": {"language": "klingon"}}, "spec.schema.language: Input should be"),
        ({"rollout": {"steps": [10, 5, 100]}}, "spec.rollout: steps must grow, and end with 100"),
        ({"rollout": {"steps": [10, 50]}}, "spec.rollout: steps must grow, and end with 100"),
        ({"shards": 0}, "spec.shards: Input should be greater than or equal to 1"),
        ({"storage": {"size": "10 GB"}}, "spec.storage.size: '10 GB' is not a quantity"),
        (
            {"storage": {"tuning": {"growingRows": 5}}},
            "spec.storage.tuning.growingRows: Input should be greater",
        ),
        (
            {"storage": {"tuning": {"indexMinRows": 1}}},
            "spec.storage.tuning.indexMinRows: Input should be greater",
        ),
        (
            {"storage": {"tuning": {"logRetainedMib": "all"}}},
            "spec.storage.tuning.logRetainedMib: Input should be",
        ),
        (
            {"storage": {"tuning": {"growingBytes": 5}}},
            "spec.storage.tuning.growingBytes: there is no such field",
        ),
        ({"sharts": 2}, "spec.sharts: there is no such field"),
        ({"embedder": {"url": "embedder:80"}}, "spec.embedder.url: String should match pattern"),
        (
            {"embedder": {"url": "http://me:secret@embedder"}},
            "spec.embedder.url: String should match pattern",
        ),
        ({"embedder": {"url": "http://169.254.169.254/v1"}}, "no service may be at 169.254.169.254"),
        (
            {"embedder": {"url": "http://embedder", "batchSize": 1}},
            "spec.embedder.batchSize: Input should be",
        ),
        ({"reranker": {"url": "http://[fe80::1]/v1", "model": "m"}}, "no service may be at fe80::1"),
        ({"reranker": {"url": "http://reranker/v1"}}, "spec.reranker.model: Field required"),
        ({"gateway": {"cache": {"size": "1Ki"}}}, "spec.gateway.cache: size is at least 1Mi"),
        ({"gateway": {"limits": {"requests": 0}}}, "spec.gateway.limits.requests: Input should be greater"),
        ({"gateway": {"limits": {"bodySize": "2Gi"}}}, "spec.gateway.limits: bodySize is 1Ki to 1Gi"),
        ({"gateway": {"limits": {"bodiesSize": "8"}}}, "spec.gateway.limits: bodiesSize is 1Ki to 1Ti"),
        ({"gateway": {"limits": {"bodiesSize": "1Mi"}}}, "bodiesSize is at least bodySize"),
        ({"gateway": {"log": {"audit": False}}}, "spec.gateway.log.audit: Input should be 'none', 'changes'"),
        ({"gateway": {"log": {"level": "LOUD"}}}, "spec.gateway.log.level: Input should be 'DEBUG'"),
        ({"metric": "hamming"}, "spec.metric: Input should be 'cosine', 'dotproduct' or 'euclidean'"),
    ],
)
def test_a_wrong_spec_names_field_and_reason(spec, message):
    """What is wrong is said with the path of its field and what would be right."""
    with pytest.raises(errors.InvalidSpec) as refusal:
        parse_spec(**spec)

    assert message in str(refusal.value)


def test_every_wrong_field_is_named_at_once():
    """A manifest with two mistakes is answered with both."""
    with pytest.raises(errors.InvalidSpec) as refusal:
        parse_spec(shards=0, metric="x")

    assert "spec.shards" in str(refusal.value)
    assert "spec.metric" in str(refusal.value)


@pytest.mark.parametrize("name", ["Products", "my.products", "1products", "products-", "p" * 41])
def test_names_that_no_service_could_have_are_refused(name):
    """StatefulSets, Services and volumes are named after the index, so its name has to fit them."""
    with pytest.raises(errors.InvalidSpec, match=r"metadata\.name"):
        parse.parse_index({"metadata": {"name": name}, "spec": {"model": MODEL}})


def test_a_missing_spec_is_an_invalid_spec():
    """A manifest without a spec is answered like any other mistake."""
    with pytest.raises(errors.InvalidSpec, match="spec: Field required"):
        parse.parse_index({"metadata": {"name": "products"}})


def test_quantities_may_be_written_as_numbers():
    """YAML's `cpu: 1` is the number 1, and means the quantity "1"."""
    assert parse_spec(resources={"requests": {"cpu": 1}}).resources.requests == {"cpu": "1"}


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("1", 1),
        ("1000m", 1),
        ("1.5Gi", 1.5 * 2**30),
        ("2k", 2000),
        ("1e3", 1000),
        ("12E", 12e18),
        ("1E3", 1000),
    ],
)
def test_amounts_are_what_kubernetes_takes_quantities_for(quantity, expected):
    """Equal amounts written differently compare equal."""
    assert workload_spec.amount(quantity) == expected


@pytest.mark.parametrize("quantity", ["", "x", "1Zi", "1.2.3"])
def test_what_is_no_quantity_has_no_amount(quantity):
    """Nonsense is an error, never zero."""
    with pytest.raises(ValueError, match=r"quantity|float"):
        workload_spec.amount(quantity)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ({}, "example.org:5000/vectorfleet/data-plane:0.1.0"),
        ({"tag": "0.2.0"}, "example.org:5000/vectorfleet/data-plane:0.2.0"),
        ({"repository": "mine/data-plane"}, "mine/data-plane:0.1.0"),
    ],
)
def test_image_overrides_replace_parts_of_the_default(override, expected):
    """Repository and tag are replaced one by one; a port in the repository is not taken for a tag."""
    image = workload_spec.Image.model_validate(override)

    assert image.reference("example.org:5000/vectorfleet/data-plane:0.1.0") == expected


def test_an_untagged_default_with_a_port_is_latest():
    """`host:5000/name` has no tag."""
    assert workload_spec.Image().reference("example.org:5000/name") == "example.org:5000/name:latest"


def test_index_type_is_one_of_the_enum():
    """The models' words are the manifest's words."""
    assert parse_spec(index={"type": "flat"}).index.type is build_spec.IndexType.FLAT

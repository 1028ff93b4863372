"""What the data plane reads of an index, and who starts anew for a change of it."""

import json

import pytest
from planning import desiring

from vectorfleet_operator.desired import config_map, names
from vectorfleet_operator.plan import guards
from vectorfleet_shardnode.api import config


def test_the_configuration_is_what_the_data_plane_reads():
    """The ConfigMap's entry parses as the data plane's configuration, with each replica's address."""
    [text] = desiring.build_all(shards=2, metric="euclidean", index={"m": 8})["ConfigMap", "products-config"][
        "data"
    ].values()
    parsed = config.IndexConfig.model_validate_json(text)

    assert (parsed.index, parsed.namespace, parsed.serving.name) == ("products", "shop", "g1")
    assert (parsed.serving.dimensions, parsed.serving.metric, parsed.serving.hnsw.m) == (3, "euclidean", 8)
    assert [shard.replicas for shard in parsed.serving.shards] == [
        ("products-g1-s0-0.products-shards.shop.svc:7400",),
        ("products-g1-s1-0.products-shards.shop.svc:7400",),
    ]


def test_pods_start_anew_when_what_they_read_changes():
    """A changed configuration changes what pods carry; a changed number of gateways does not."""
    digest = config_map.config_hash(desiring.build_inputs(), names.SHARD)

    assert config_map.config_hash(desiring.build_inputs(shards=2), names.SHARD) != digest
    assert config_map.config_hash(desiring.build_inputs(gateway={"replicas": 5}), names.SHARD) == digest


@pytest.mark.parametrize(
    ("spec", "components"),
    [
        ({"index": {"efSearch": 200}}, {names.GATEWAY}),
        ({"schema": {"language": "german"}}, {names.GATEWAY, names.SHARD}),
        ({"embedder": {"url": "http://embedder/v1"}}, {names.GATEWAY}),
        ({"reranker": {"url": "http://reranker/v1", "model": "m"}}, {names.GATEWAY}),
        ({"gateway": {"cache": {"size": "1Mi"}}}, {names.GATEWAY}),
        ({"quantization": {"type": "sq8", "rescore": {"oversampling": 8}}}, {names.GATEWAY}),
        ({"quantization": {"type": "sq8", "rescore": {"enabled": False}}}, {names.GATEWAY, names.SHARD}),
    ],
)
def test_who_starts_anew_for_a_change(spec, components):
    """How hard to search is said by gateways with each query, so that no shard restarts for it."""
    plain = {"quantization": {"type": "sq8"}} if "quantization" in spec else {}
    before, after = desiring.build_inputs(**plain), desiring.build_inputs(**spec)
    anew = {
        component
        for component in (names.GATEWAY, names.SHARD)
        if config_map.config_hash(before, component) != config_map.config_hash(after, component)
    }
    assert anew == components


def test_the_data_plane_reads_what_the_spec_says():
    """Engine, compression, vector fields and schema, each value where the data plane looks for it."""
    spec = {
        "index": {"type": "ivf", "lists": 64, "probes": 4},
        "quantization": {"type": "pq", "ratio": 12, "rescore": {"oversampling": 9}, "recallFloor": 0.5},
        "vectors": [
            {"name": "tokens", "dimensions": 8, "lateInteraction": True, "quantization": {"type": "rabitq"}}
        ],
        "schema": {
            "fields": [{"name": "day", "type": "datetime"}],
            "text": ["body"],
            "language": "german",
            "bm25": {"k1": 2},
        },
    }
    built = config_map.build_index_config(desiring.build_inputs(**spec))
    serving = built.serving

    assert (serving.engine, serving.ivf) == (
        config.EngineKind.IVF,
        config.IvfParameters(lists=64, probes=4),
    )
    assert serving.quantization == config.Quantization(
        kind="pq", ratio=12, rescore=True, oversampling=9, recall_floor=0.5
    )
    code = config.Quantization(kind="rabitq")
    assert serving.vectors == (
        config.VectorField(name="tokens", dimensions=8, late_interaction=True, quantization=code),
    )
    assert built.metadata == config.Schema(
        fields=[{"name": "day", "type": "datetime"}], text=["body"], language="german", bm25={"k1": 2}
    )


def test_the_embedder_of_the_data_plane():
    """Its model is the index's unless it is called otherwise; its cache is in bytes."""
    given = {"url": "http://embedder/v1/", "cacheSize": "1Mi", "timeoutSeconds": 3}
    built = config_map.build_index_config(desiring.build_inputs(embedder=given)).embedder
    assert (built.url, built.model, built.field) == ("http://embedder/v1", "m", None)
    assert (built.cache_bytes, built.timeout_seconds) == (2**20, 3)
    assert (
        config_map.build_index_config(desiring.build_inputs(embedder=given | {"model": "x"})).embedder.model
        == "x"
    )


def test_the_reranker_of_the_data_plane():
    """Field by field."""
    given = {"url": "http://reranker/v1", "model": "r", "field": "body", "maxCharacters": 100, "retries": 0}
    built = config_map.build_index_config(desiring.build_inputs(reranker=given)).reranker
    assert (built.url, built.model, built.field) == ("http://reranker/v1", "r", "body")
    assert (built.max_characters, built.retries, built.batch_size) == (100, 0, 100)


def test_the_embedders_key_is_a_file_of_the_gateway_alone():
    """One entry of the Secret; where it is missing, pods start all the same."""
    entry = {"name": "embedder", "key": "token"}
    made = desiring.build_all(embedder={"url": "http://embedder/v1", "secretRef": entry})
    gateway = made["Deployment", "products-gateway"]["spec"]["template"]["spec"]
    [volume] = [one for one in gateway["volumes"] if one["name"] == "embedder-key"]
    assert volume["secret"]["items"] == [{"key": "token", "path": "key"}]
    assert (volume["secret"]["secretName"], volume["secret"]["optional"]) == ("embedder", True)
    variables = {one["name"]: one.get("value") for one in gateway["containers"][0]["env"]}
    assert variables["VECTORFLEET_EMBEDDER_KEY_FILE"] == "/etc/vectorfleet/embedder/key"
    assert "embedder" not in json.dumps(made["StatefulSet", "products-g1-s0"])
    assert "embedder" not in json.dumps(desiring.build_all()["ConfigMap", "products-config"]["data"])


def test_what_is_searched_of_a_field_changes_in_place():
    """Shards start anew for it, and no guard sees another generation; what is not said is not written."""

    def told(**code):
        fields = [{"name": "title", "dimensions": 4} | ({"quantization": code} if code else {})]
        given = desiring.build_inputs(vectors=fields)
        return guards._generation(config_map.build_config_map(given)), config_map.config_hash(
            given, names.SHARD
        )

    plain, coded, tuned = told(), told(type="sq8"), told(type="sq8", rescore={"oversampling": 9})
    assert coded[0] == tuned[0] != plain[0]
    assert len({plain[1], coded[1], tuned[1]}) == 3
    text = json.dumps(
        config_map.build_config_map(desiring.build_inputs(vectors=[{"name": "a", "dimensions": 4}]))
    )
    assert "quantization" not in text.split("vectors")[1].split("]")[0]


def test_an_hnsw_of_hnswlib():
    """The library chooses the engine."""
    built = config_map.build_index_config(
        desiring.build_inputs(index={"library": "hnswlib", "profile": "recall"})
    )
    assert (built.serving.engine, built.serving.hnsw.m) == (config.EngineKind.HNSWLIB, 24)

"""The manifests of an index, as plain values."""

import base64
import dataclasses
import json
import os
import pathlib

import pytest
import yaml

from vectorfleet_operator import certificates, errors, pki, ports
from vectorfleet_operator.api import parse
from vectorfleet_operator.desired import build, config_map, inputs, names
from vectorfleet_runtime import parties
from vectorfleet_shardnode.api import config

GOLDEN = pathlib.Path(__file__).parent / "golden" / "products.yaml"
IMAGE = "vectorfleet/data-plane:0.1.0"
FULL = {
    "model": {"name": "all-MiniLM-L6-v2", "revision": "1", "dimensions": 384},
    "metric": "dotproduct",
    "index": {"type": "hnsw", "profile": "recall"},
    "quantization": {"type": "sq8", "rescore": {"oversampling": 6}, "recallFloor": 0.95},
    "vectors": [{"name": "title", "dimensions": 128, "lateInteraction": True}],
    "schema": {
        "fields": [{"name": "section", "type": "keyword"}, {"name": "published", "type": "datetime"}],
        "text": ["title", "body"],
        "language": "german",
        "bm25": {"k1": 1.5},
    },
    "embedder": {
        "url": "https://embedder.models.svc/v1",
        "secretRef": {"name": "embedder", "key": "token"},
        "query": {"prefix": "query: "},
        "document": {"inputType": "passage"},
        "requestsPerSecond": 50,
    },
    "reranker": {"url": "http://reranker/v1", "model": "r", "secretRef": {"name": "reranker", "key": "k"}},
    "shards": 2,
    "resources": {"requests": {"cpu": 1, "memory": "4Gi"}, "limits": {"memory": "4Gi"}},
    "storage": {"size": "20Gi", "storageClassName": "fast", "deletionPolicy": "Delete"},
    "gateway": {
        "replicas": 2,
        "cache": {"size": "128Mi", "maxStaleSeconds": 2},
        "resources": {"requests": {"cpu": "500m"}},
        "scheduling": {"nodeSelector": {"role": "edge"}},
        "service": {"type": "LoadBalancer", "annotations": {"cloud/internal": "true"}},
    },
    "image": {"tag": "0.1.1", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "scheduling": {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "vectors", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
    },
    "podLabels": {"team": "search"},
    "podAnnotations": {"note": "hello"},
}


INTERNAL = certificates.Internal(
    (pki.Pair("authority", "authority's key"), pki.Pair("authority before", "its key")),
    "trusted",
    {role: pki.Pair(f"certificate of {role}", f"key of {role}") for role in parties.Role},
)


def build_inputs(api_key="key", **spec):
    """Return the inputs of an index with these fields in its spec."""
    manifest = {
        "metadata": {"name": "products", "namespace": "shop", "uid": "uid-1"},
        "spec": {"model": {"name": "m", "dimensions": 3}} | spec,
    }
    parsed = parse.parse_index(manifest)
    internal = None if parsed.spec.internal_tls.issuer_ref else INTERNAL
    return inputs.Inputs(parsed, inputs.Credentials(internal, api_key), IMAGE)


def build_all(**given):
    """Return the index's manifests by kind and name."""
    return {
        (one["kind"], one["metadata"]["name"]): one for one in build.build(build_inputs(**given)).manifests
    }


def pod_specs(manifests):
    """Return the specs of all pods that the manifests ask for."""
    return [
        one["spec"]["template"]["spec"] for one in manifests.values() if "template" in one.get("spec", {})
    ]


def test_golden_manifests():
    """Every manifest of a spec that sets every supported field; VECTORFLEET_GOLDEN=write renews the file."""
    plain = json.loads(json.dumps(build.build(build_inputs(**FULL)).manifests))
    text = yaml.safe_dump_all(plain, sort_keys=False)
    if os.environ.get("VECTORFLEET_GOLDEN") == "write":
        GOLDEN.write_text(text)

    assert text == GOLDEN.read_text()


def test_names_are_those_that_users_are_told():
    """An index of two shards is exactly these objects."""
    assert sorted(build_all(shards=2)) == [
        ("ConfigMap", "products-config"),
        ("Deployment", "products-gateway"),
        ("PodDisruptionBudget", "products-g1-s0"),
        ("PodDisruptionBudget", "products-g1-s1"),
        ("PodDisruptionBudget", "products-gateway"),
        ("Secret", "products-api-key"),
        ("Secret", "products-ca"),
        ("Secret", "products-gateway-tls"),
        ("Secret", "products-operator-tls"),
        ("Secret", "products-shard-tls"),
        ("Service", "products"),
        ("Service", "products-shards"),
        ("ServiceAccount", "products-gateway"),
        ("ServiceAccount", "products-shard"),
        ("StatefulSet", "products-g1-s0"),
        ("StatefulSet", "products-g1-s1"),
        ("VectorShard", "products-g1-s0"),
        ("VectorShard", "products-g1-s1"),
    ]


def test_everything_belongs_to_the_index():
    """Each object is found by label and goes with its owner; volumes are no object of ours."""
    for manifest in build_all(shards=2).values():
        metadata = manifest["metadata"]
        [owner] = metadata["ownerReferences"]

        assert (owner["kind"], owner["uid"], owner["controller"]) == ("VectorIndex", "uid-1", True)
        assert metadata["namespace"] == "shop"
        assert metadata["labels"]["vectorfleet.io/index"] == "products"
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "vectorfleet-operator"


def test_pods_are_hardened():
    """No root, no writable root file system, no capability, no token of the API server."""
    for pod in pod_specs(build_all()):
        [container] = pod["containers"]

        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


def test_no_secret_is_in_a_pod_template_or_config():
    """Secrets are only in Secrets."""
    secret_free = [one for key, one in build_all().items() if key[0] != "Secret"]

    for text in ("key of shard", "key of gateway", "authority's key"):
        assert text not in json.dumps([one.get("data") for one in secret_free])
        assert base64.b64encode(text.encode()).decode() not in json.dumps(secret_free)


def test_each_role_mounts_its_own_certificate_alone():
    """No pod has another role's key, nor the authority's."""
    manifests = build_all()
    for (kind, name), role in {
        ("StatefulSet", "products-g1-s0"): "shard",
        ("Deployment", "products-gateway"): "gateway",
    }.items():
        pod = manifests[kind, name]["spec"]["template"]["spec"]
        mounted = {one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one}
        assert mounted - {"products-api-key"} == {f"products-{role}-tls"}
        [container] = pod["containers"]
        [variable] = [one for one in container["env"] if one["name"] == "VECTORFLEET_INTERNAL_TLS_DIR"]
        [mount] = [one for one in container["volumeMounts"] if one["mountPath"] == variable["value"]]
        assert mount["readOnly"] is True


def test_a_new_certificate_restarts_nothing():
    """Pods take up what is in their Secret; the templates stay as they are."""
    renewed = dataclasses.replace(
        INTERNAL, trusted="others", shown={role: pki.Pair("c", "k") for role in parties.Role}
    )
    before = build_inputs()
    after = dataclasses.replace(before, credentials=inputs.Credentials(renewed, "key"))
    for one, other in zip(build.build(before).manifests, build.build(after).manifests, strict=True):
        assert one == other or one["kind"] == "Secret"


NETWORK = ports.Network(
    "vectorfleet-system",
    {"app.kubernetes.io/component": "operator"},
    ({"namespaceSelector": {"matchLabels": {"name": "monitoring"}}},),
)


def policies(network=NETWORK, **spec):
    """Return the specs of an index's NetworkPolicies by name."""
    given = dataclasses.replace(build_inputs(**spec), network=network)
    made = [one for one in build.build(given).manifests if one["kind"] == "NetworkPolicy"]
    return {one["metadata"]["name"]: one["spec"] for one in made}


def test_policies_are_made_where_they_are_wanted():
    """One for each component, of both directions; none where the operator is told so, as on one machine."""
    assert policies(network=None) == {}
    made = policies()
    assert set(made) == {"products-gateway", "products-shard"}
    assert all(one["policyTypes"] == ["Ingress", "Egress"] for one in made.values())


def test_shards_let_in_their_own_index_and_the_operator():
    """By the port of gRPC; metrics from whom they were told; they go to their like and to DNS."""
    shard = policies()["products-shard"]
    ways, metrics = shard["ingress"]
    assert ways["ports"] == [{"protocol": "TCP", "port": 7400}]
    gateway, own, operator = ways["from"]
    for peer, component in ((gateway, "gateway"), (own, "shard")):
        assert peer["podSelector"]["matchLabels"] == {
            "vectorfleet.io/index": "products",
            "app.kubernetes.io/component": component,
        }
    namespace = operator["namespaceSelector"]["matchLabels"]
    assert namespace == {"kubernetes.io/metadata.name": "vectorfleet-system"}
    assert metrics == {"from": list(NETWORK.metrics_from), "ports": [{"protocol": "TCP", "port": 9090}]}
    to_shards, dns = shard["egress"]
    assert to_shards["ports"] == [{"protocol": "TCP", "port": 7400}]
    assert {one["port"] for one in dns["ports"]} == {53}


def test_nobody_scrapes_unless_it_is_named():
    """An empty list of peers would mean everybody."""
    for one in policies(network=dataclasses.replace(NETWORK, metrics_from=())).values():
        assert [port["port"] for rule in one["ingress"] for port in rule["ports"]] in ([8080], [7400])


def test_clients_may_be_named():
    """Everybody reaches the public port unless the manifest says who."""
    assert "from" not in policies()["products-gateway"]["ingress"][0]
    peers = [{"podSelector": {"matchLabels": {"app": "shop"}}}]
    assert policies(gateway={"clients": peers})["products-gateway"]["ingress"][0]["from"] == peers


def test_gateways_go_out_to_what_the_manifest_names():
    """Anywhere, where it names a service that they call; else to shards and DNS alone."""
    assert len(policies()["products-gateway"]["egress"]) == 2
    jwt = {"url": "https://issuer.test:8443/jwks", "audience": "a"}
    outside = policies(gateway={"auth": {"jwt": jwt}})["products-gateway"]["egress"][2]
    assert outside == {"ports": [{"protocol": "TCP"}]}
    embedder = {"url": "http://embedder", "model": "m"}
    assert len(policies(embedder=embedder)["products-gateway"]["egress"]) == 3


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ({"url": "https://issuer.test/jwks"}, "https://issuer.test/jwks"),
        ({"secretRef": {"name": "keys", "key": "jwks.json"}}, "/etc/vectorfleet/jwt/jwks.json"),
    ],
)
def test_tokens_by_manifest(where, keys):
    """The gateway is told of keys, audience and claims; a Secret is mounted."""
    jwt = where | {"audience": "shop", "algorithms": ["EdDSA"], "maxRole": "read"}
    pod = build_all(gateway={"auth": {"jwt": jwt}})["Deployment", "products-gateway"]["spec"]["template"][
        "spec"
    ]
    told = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    assert told["VECTORFLEET_JWT_KEYS"] == keys
    assert (told["VECTORFLEET_JWT_AUDIENCE"], told["VECTORFLEET_JWT_ALGORITHMS"]) == ("shop", "EdDSA")
    assert told["VECTORFLEET_JWT_MAX_ROLE"] == "read"
    mounted = [one["secret"]["secretName"] for one in pod["volumes"] if one["name"] == "jwt"]
    assert mounted == (["keys"] if "secretRef" in where else [])


@pytest.mark.parametrize(
    "gateway",
    [
        {"tls": {}},
        {"tls": {"secretRef": {"name": "a"}, "issuerRef": {"name": "b"}}},
        {"auth": {"jwt": {"audience": "a"}}},
        {"auth": {"jwt": {"audience": "a", "url": "http://issuer.test"}}},
        {"auth": {"jwt": {"url": "https://issuer.test"}}},
        {"auth": {"jwt": {"url": "https://issuer.test", "audience": "a", "algorithms": ["HS256"]}}},
    ],
)
def test_what_is_not_clear_or_not_safe_is_refused(gateway):
    """One certificate, one set of keys, by https, for a named audience, without shared secrets."""
    with pytest.raises(errors.InvalidSpec):
        build_inputs(gateway=gateway)


def test_https_by_a_secret():
    """The gateway mounts it, and the Service has the port of HTTPS."""
    manifests = build_all(gateway={"tls": {"secretRef": {"name": "mine"}}})
    pod = manifests["Deployment", "products-gateway"]["spec"]["template"]["spec"]
    assert {"name": "tls", "secret": {"secretName": "mine", "defaultMode": 0o440}} in pod["volumes"]
    assert {"name": "VECTORFLEET_TLS_DIR", "value": "/etc/vectorfleet/tls"} in pod["containers"][0]["env"]
    [port] = manifests["Service", "products"]["spec"]["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == ("https", 443, "http")
    assert not [key for key in manifests if key[0] == "Certificate"]


def test_cert_manager_signs_where_it_is_named():
    """One certificate for each role, by its name; one for the Service's names; the operator keeps no key."""
    issuer = {"issuerRef": {"name": "ours", "kind": "ClusterIssuer"}}
    manifests = build_all(
        internalTls=issuer, gateway={"tls": issuer | {"dnsNames": ["products.example.org"]}}
    )
    assert {key[1] for key in manifests if key[0] == "Secret"} == {"products-api-key"}
    made = {key[1]: one["spec"] for key, one in manifests.items() if key[0] == "Certificate"}
    assert {name: spec["secretName"] for name, spec in made.items()} == {
        name: name
        for name in (
            "products-gateway-tls",
            "products-shard-tls",
            "products-operator-tls",
            "products-public-tls",
        )
    }
    assert made["products-shard-tls"]["dnsNames"] == ["shard.products.shop.vectorfleet.internal"]
    assert made["products-shard-tls"]["usages"] == ["server auth", "client auth"]
    public = made["products-public-tls"]
    assert public["dnsNames"] == [
        "products",
        "products.shop",
        "products.shop.svc",
        "products.shop.svc.cluster.local",
        "products.example.org",
    ]
    assert public["issuerRef"] == {"name": "ours", "kind": "ClusterIssuer", "group": "cert-manager.io"}
    volumes = manifests["Deployment", "products-gateway"]["spec"]["template"]["spec"]["volumes"]
    assert {one["secret"]["secretName"] for one in volumes if "secret" in one} == {
        "products-gateway-tls",
        "products-public-tls",
        "products-api-key",
    }


def test_the_configuration_is_what_the_data_plane_reads():
    """The ConfigMap's entry parses as the data plane's configuration, with each replica's address."""
    [text] = build_all(shards=2, metric="euclidean", index={"m": 8})["ConfigMap", "products-config"][
        "data"
    ].values()
    parsed = config.IndexConfig.model_validate_json(text)

    assert (parsed.index, parsed.namespace, parsed.serving.name) == ("products", "shop", "g1")
    assert (parsed.serving.dimensions, parsed.serving.metric, parsed.serving.hnsw.m) == (3, "euclidean", 8)
    assert [shard.replicas for shard in parsed.serving.shards] == [
        ("products-g1-s0-0.products-shards.shop.svc:7400",),
        ("products-g1-s1-0.products-shards.shop.svc:7400",),
    ]


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_volumes_follow_the_deletion_policy(policy):
    """Retain keeps volumes when the index goes, and scaling in never deletes one."""
    stateful_set = build_all(storage={"deletionPolicy": policy})["StatefulSet", "products-g1-s0"]

    retention = stateful_set["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert retention == {"whenDeleted": policy, "whenScaled": "Retain"}


def test_the_number_of_gateways_may_be_left_to_others():
    """Where the spec gives no number, the Deployment names none, so that an autoscaler may own it."""
    assert "replicas" not in build_all()["Deployment", "products-gateway"]["spec"]
    assert build_all(gateway={"replicas": 3})["Deployment", "products-gateway"]["spec"]["replicas"] == 3


def test_a_named_secret_of_keys_is_mounted_and_none_is_made():
    """`auth.secretRef` takes the place of the operator's own Secret."""
    manifests = build_all(api_key=None, gateway={"auth": {"secretRef": {"name": "mine"}}})
    [gateway] = [one for one in pod_specs(manifests) if one["containers"][0]["name"] == "gateway"]
    [volume] = [one for one in gateway["volumes"] if one["name"] == "api-keys"]

    assert ("Secret", "products-api-key") not in manifests
    assert volume["secret"]["secretName"] == "mine"


def test_own_labels_win_over_the_users():
    """A pod label of the user's can't take a pod out of its Service."""
    manifests = build_all(podLabels={"vectorfleet.io/index": "other", "team": "search"})
    labels = manifests["StatefulSet", "products-g1-s0"]["spec"]["template"]["metadata"]["labels"]

    assert (labels["vectorfleet.io/index"], labels["team"]) == ("products", "search")


def test_selectors_select_the_pods_of_their_shard_alone():
    """Two shards' pods differ in the labels that StatefulSets and budgets select by."""
    manifests = build_all(shards=2)
    for number in range(2):
        name = f"products-g1-s{number}"
        chosen = manifests["StatefulSet", name]["spec"]["selector"]["matchLabels"]
        budget = manifests["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"]
        pods = [manifests["StatefulSet", f"products-g1-s{n}"]["spec"]["template"] for n in range(2)]
        hits = [chosen.items() <= pod["metadata"]["labels"].items() for pod in pods]

        assert hits == [number == 0, number == 1]
        assert budget == chosen


def test_pods_start_anew_when_what_they_read_changes():
    """A changed configuration changes what pods carry; a changed number of gateways does not."""
    digest = config_map.config_hash(build_inputs(), names.SHARD)

    assert config_map.config_hash(build_inputs(shards=2), names.SHARD) != digest
    assert config_map.config_hash(build_inputs(gateway={"replicas": 5}), names.SHARD) == digest


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
    before, after = build_inputs(**plain), build_inputs(**spec)
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
        "vectors": [{"name": "tokens", "dimensions": 8, "lateInteraction": True}],
        "schema": {
            "fields": [{"name": "day", "type": "datetime"}],
            "text": ["body"],
            "language": "german",
            "bm25": {"k1": 2},
        },
    }
    built = config_map.build_index_config(build_inputs(**spec))
    serving = built.serving

    assert (serving.engine, serving.ivf) == (
        config.EngineKind.IVF,
        config.IvfParameters(lists=64, probes=4),
    )
    assert serving.quantization == config.Quantization(
        kind="pq", ratio=12, rescore=True, oversampling=9, recall_floor=0.5
    )
    assert serving.vectors == (config.VectorField(name="tokens", dimensions=8, late_interaction=True),)
    assert built.metadata == config.Schema(
        fields=[{"name": "day", "type": "datetime"}], text=["body"], language="german", bm25={"k1": 2}
    )


def test_the_embedder_of_the_data_plane():
    """Its model is the index's unless it is called otherwise; its cache is in bytes."""
    given = {"url": "http://embedder/v1/", "cacheSize": "1Mi", "timeoutSeconds": 3}
    built = config_map.build_index_config(build_inputs(embedder=given)).embedder
    assert (built.url, built.model, built.field) == ("http://embedder/v1", "m", None)
    assert (built.cache_bytes, built.timeout_seconds) == (2**20, 3)
    assert config_map.build_index_config(build_inputs(embedder=given | {"model": "x"})).embedder.model == "x"


def test_the_reranker_of_the_data_plane():
    """Field by field."""
    given = {"url": "http://reranker/v1", "model": "r", "field": "body", "maxCharacters": 100, "retries": 0}
    built = config_map.build_index_config(build_inputs(reranker=given)).reranker
    assert (built.url, built.model, built.field) == ("http://reranker/v1", "r", "body")
    assert (built.max_characters, built.retries, built.batch_size) == (100, 0, 100)


def test_the_embedders_key_is_a_file_of_the_gateway_alone():
    """One entry of the Secret; where it is missing, pods start all the same."""
    entry = {"name": "embedder", "key": "token"}
    made = build_all(embedder={"url": "http://embedder/v1", "secretRef": entry})
    gateway = made["Deployment", "products-gateway"]["spec"]["template"]["spec"]
    [volume] = [one for one in gateway["volumes"] if one["name"] == "embedder-key"]
    assert volume["secret"]["items"] == [{"key": "token", "path": "key"}]
    assert (volume["secret"]["secretName"], volume["secret"]["optional"]) == ("embedder", True)
    variables = {one["name"]: one.get("value") for one in gateway["containers"][0]["env"]}
    assert variables["VECTORFLEET_EMBEDDER_KEY_FILE"] == "/etc/vectorfleet/embedder/key"
    assert "embedder" not in json.dumps(made["StatefulSet", "products-g1-s0"])
    assert "embedder" not in json.dumps(build_all()["ConfigMap", "products-config"]["data"])


def test_an_hnsw_of_hnswlib():
    """The library chooses the engine."""
    built = config_map.build_index_config(build_inputs(index={"library": "hnswlib", "profile": "recall"}))
    assert (built.serving.engine, built.serving.hnsw.m) == (config.EngineKind.HNSWLIB, 24)


def test_the_longest_name_fits():
    """With the longest name allowed and the last shard, every name is within Kubernetes's limits."""
    index = "p" * 40
    pod = names.replica(index, 255, 0)

    assert len(names.shard(index, 255)) <= 52  # a StatefulSet's revision label adds 11
    assert len(pod) <= 63
    assert len(f"data-{pod}") <= 63
    assert len(names.gateway(index)) <= 52


def test_digests_follow_content():
    """The same inputs give the same manifests; a changed image changes the workloads alone."""
    first, again = build_all(), build_all()
    newer = build_all(image={"tag": "9"})
    key = ("StatefulSet", "products-g1-s0")

    assert first == again
    assert first[key]["metadata"]["annotations"] != newer[key]["metadata"]["annotations"]
    assert first["Service", "products"] == newer["Service", "products"]

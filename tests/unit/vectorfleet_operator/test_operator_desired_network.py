"""Who may reach what by the manifests of an index, and by what certificate or token."""

import dataclasses

import pytest
from planning import desiring

from vectorfleet_operator import errors, ports
from vectorfleet_operator.desired import build

NETWORK = ports.Network(
    "vectorfleet-system",
    {"app.kubernetes.io/component": "operator"},
    ({"namespaceSelector": {"matchLabels": {"name": "monitoring"}}},),
)


def policies(network=NETWORK, **spec):
    """Return the specs of an index's NetworkPolicies by name."""
    given = dataclasses.replace(desiring.build_inputs(**spec), network=network)
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
    limits = {"requestsPerSecond": 2.5, "requestsPerDay": 100_000}
    jwt = where | {"audience": "shop", "algorithms": ["EdDSA"], "maxRole": "read", "limits": limits}
    pod = desiring.build_all(gateway={"auth": {"jwt": jwt}})["Deployment", "products-gateway"]["spec"][
        "template"
    ]["spec"]
    told = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    assert told["VECTORFLEET_JWT_KEYS"] == keys
    assert (told["VECTORFLEET_JWT_AUDIENCE"], told["VECTORFLEET_JWT_ALGORITHMS"]) == ("shop", "EdDSA")
    assert told["VECTORFLEET_JWT_MAX_ROLE"] == "read"
    assert (told["VECTORFLEET_JWT_REQUESTS_PER_SECOND"], told["VECTORFLEET_JWT_REQUESTS_PER_DAY"]) == (
        "2.5",
        "100000",
    )
    assert "VECTORFLEET_JWT_BURST" not in told
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
        desiring.build_inputs(gateway=gateway)


def test_https_by_a_secret():
    """The gateway mounts it, and the Service has the port of HTTPS."""
    manifests = desiring.build_all(gateway={"tls": {"secretRef": {"name": "mine"}}})
    pod = manifests["Deployment", "products-gateway"]["spec"]["template"]["spec"]
    assert {"name": "tls", "secret": {"secretName": "mine", "defaultMode": 0o440}} in pod["volumes"]
    assert {"name": "VECTORFLEET_TLS_DIR", "value": "/etc/vectorfleet/tls"} in pod["containers"][0]["env"]
    [port] = manifests["Service", "products"]["spec"]["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == ("https", 443, "http")
    assert not [key for key in manifests if key[0] == "Certificate"]


def test_cert_manager_signs_where_it_is_named():
    """One certificate for each role, by its name; one for the Service's names; the operator keeps no key."""
    issuer = {"issuerRef": {"name": "ours", "kind": "ClusterIssuer"}}
    manifests = desiring.build_all(
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

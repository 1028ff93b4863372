"""Story: an index lets nobody in but by its front door, and its pods go nowhere that they need not.

Each forbidden way is tried, from pods that would take it: policies first, certificates behind them.
"""

from __future__ import annotations

import base64
import ssl
import urllib.error
import urllib.request

import pytest
from cluster import commands
from harness import index, install, ways, workloads

OPERATOR = "app.kubernetes.io/component=operator"


@pytest.fixture(scope="module")
def strangers(small: index.Index, python_image: str) -> dict[str, str]:
    """Pods by what they pretend to be, with their namespaces; one is in a namespace of its own."""
    nodes = small.cluster.kubectl.get("nodes")["items"]
    elsewhere = f"{small.namespace}-elsewhere"
    small.kubectl("create", "namespace", elsewhere)
    claims = {
        "stranger": {},
        "other-gateway": {"vectorfleet.io/index": "other", "app.kubernetes.io/component": "gateway"},
        "other-operator": {
            "app.kubernetes.io/part-of": "vectorfleet",
            "app.kubernetes.io/component": "operator",
        },
    }
    made = {}
    for number, (name, labels) in enumerate((*claims.items(), ("far", {}))):
        where = elsewhere if name == "far" else small.namespace
        pod = workloads.build_client(where, name, python_image, nodes[number % 3]["metadata"]["name"])
        pod["metadata"]["labels"] |= labels
        small.cluster.kubectl.apply(pod)
        made[name] = where
    for name, where in made.items():
        small.cluster.kubectl("-n", where, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    yield made
    small.kubectl("delete", "namespace", elsewhere, "--wait=false")


def addresses(found: index.Index, component: str) -> list[str]:
    """The addresses of an index's pods."""
    chosen = f"vectorfleet.io/index={found.name},app.kubernetes.io/component={component}"
    return [address for _, address in ways.pods(found.cluster, found.namespace, chosen)]


def test_the_front_door_is_open(small: index.Index, strangers: dict[str, str]) -> None:
    """Whoever has the key is served; every pod reaches the public port."""
    stored = index.load(small)
    index.expect_rows(small, stored)
    for name, where in strangers.items():
        assert ways.connects(small.cluster, where, name, f"small.{small.namespace}.svc", 80)


def test_no_other_way_leads_in(small: index.Index, strangers: dict[str, str]) -> None:
    """Neither a shard, nor metrics, whatever a pod calls itself, from near or far."""
    gateways, shards = addresses(small, "gateway"), addresses(small, "shard")
    forbidden = [(host, port) for host in shards for port in (ways.SHARD, ways.METRICS, ways.PUBLIC)]
    forbidden += [(host, port) for host in gateways for port in (ways.SHARD, ways.METRICS)]
    commands.wait_until(
        lambda: not ways.connects(small.cluster, strangers["stranger"], "stranger", *forbidden[0]),
        "the policy",
        20,
    )
    open_ = [
        (name, way)
        for name, where in strangers.items()
        for way in forbidden
        if ways.connects(small.cluster, where, name, *way)
    ]
    assert open_ == []


def test_the_operator_lets_nobody_in(small: index.Index, strangers: dict[str, str]) -> None:
    """Its metrics are for whom the chart names, which is nobody."""
    [(_, address)] = ways.pods(small.cluster, install.NAMESPACE, OPERATOR)
    for name, where in strangers.items():
        assert not ways.connects(small.cluster, where, name, address, ways.METRICS)


def test_pods_go_where_they_need_and_nowhere_else(small: index.Index, strangers: dict[str, str]) -> None:
    """A gateway reaches shards and DNS; neither it nor a shard reaches the API server or another's pod."""
    own = f"vectorfleet.io/index={small.name},app.kubernetes.io/component=gateway"  # not the other-gateway
    gateway = small.get("pods", "-l", own)["items"][0]["metadata"]["name"]
    names = [f"small-g1-s{number}-0.small-shards.{small.namespace}.svc" for number in range(2)]
    stranger = ways.listen(small.cluster, small.namespace, "stranger", "other-gateway")
    for name in names:
        assert ways.connects(small.cluster, small.namespace, gateway, name, ways.SHARD)
    for pod in (gateway, "small-g1-s0-0"):
        for host, port in (("kubernetes.default.svc", 443), (stranger, ways.LISTENING)):
            assert not ways.connects(small.cluster, small.namespace, pod, host, port)


def test_the_operator_goes_where_it_needs_and_nowhere_else(
    small: index.Index, strangers: dict[str, str]
) -> None:
    """To the API server and to shards; to no gateway, no metrics, and no pod that is not of an index."""
    [(operator, _)] = ways.pods(small.cluster, install.NAMESPACE, OPERATOR)
    shards, gateways = addresses(small, "shard"), addresses(small, "gateway")
    stranger = ways.listen(small.cluster, small.namespace, "stranger", "other-gateway")
    needed = [("kubernetes.default.svc", 443), *((host, ways.SHARD) for host in shards)]
    forbidden = [(host, port) for host in gateways for port in (ways.PUBLIC, ways.METRICS)]
    forbidden += [(host, ways.METRICS) for host in shards] + [(stranger, ways.LISTENING)]
    reached = {
        way
        for way in (*needed, *forbidden)
        if ways.connects(small.cluster, install.NAMESPACE, operator, *way)
    }
    assert reached == set(needed)


def test_https_by_manifest(small: index.Index, python_image: str) -> None:
    """A Secret with a certificate turns the Service to HTTPS; the certificate is the Secret's."""
    service = small.get("service", "small")["spec"]["clusterIP"]
    stored = index.load(small)
    small.kubectl("get", "secret", "small-shard-tls")  # any certificate does to see that it is shown
    data = small.get("secret", "small-gateway-tls")["data"]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "public", "namespace": small.namespace},
        "data": {name: data[name] for name in ("tls.crt", "tls.key")},
    }
    small.cluster.kubectl.apply(secret)
    small.kubectl(
        "patch",
        "vi",
        "small",
        "--type=merge",
        "-p",
        '{"spec":{"gateway":{"tls":{"secretRef":{"name":"public"}}}}}',
    )
    small.wait_until_seen()
    small.wait_until_ready()
    assert small.get("vi", "small")["status"]["endpoint"] == f"https://small.{small.namespace}.svc"
    trusting = ssl.create_default_context(cadata=base64.b64decode(data["ca.crt"]).decode())
    trusting.check_hostname = False
    asked = urllib.request.Request(
        f"https://{service}/describe_index_stats", b"{}", {"Api-Key": small.key}, method="POST"
    )
    counted = f'"totalVectorCount":{len(stored)}'.encode()
    index.wait_until(lambda: counted in _answer(asked, trusting))  # a gateway of before may answer meanwhile


def _answer(asked: urllib.request.Request, trusting: ssl.SSLContext) -> bytes:
    try:
        with urllib.request.urlopen(asked, context=trusting, timeout=5) as answer:
            return bytes(answer.read())
    except OSError:
        return b""

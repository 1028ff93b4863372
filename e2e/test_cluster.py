"""The cluster does what the stories take for granted: volumes, names, policies, nodes that die and return."""

from __future__ import annotations

import secrets
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore.config
import pytest
from cluster import addresses, commands, errors, s3
from harness import handle, stopwatch, workloads

READY_SECONDS = 90
NOT_READY_SECONDS = 60
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"


@pytest.fixture(scope="module")
def web(cluster: handle.Handle, namespace: str, python_image: str) -> str:
    """Three web servers with a volume each, one a node; the namespace they are in."""
    cluster.kubectl.apply(*workloads.build_web(namespace, python_image, replicas=3))
    wait_for_web(cluster, namespace)
    return namespace


@pytest.fixture(scope="module")
def clients(cluster: handle.Handle, web: str, python_image: str) -> Iterator[tuple[str, ...]]:
    """A pod on each node to ask from: friend on the first, stranger on the second, guest on the third."""
    names = ("friend", "stranger", "guest")
    nodes = [addresses.node_name(number) for number in (1, 2, 3)]
    made = [
        workloads.build_client(web, name, python_image, node) for name, node in zip(names, nodes, strict=True)
    ]
    cluster.kubectl.apply(*made)
    pods = [f"pod/{name}" for name in names]
    cluster.kubectl("-n", web, "wait", "--for=condition=Ready", *pods, f"--timeout={READY_SECONDS}s")
    yield names
    cluster.kubectl("-n", web, "delete", "--now", *pods)


def wait_for_web(cluster: handle.Handle, namespace: str) -> None:
    """Return once every web server is Ready."""
    timeout = f"--timeout={READY_SECONDS}s"
    cluster.kubectl("-n", namespace, "rollout", "status", "statefulset/web", timeout)


def starts(cluster: handle.Handle, namespace: str, pod: str) -> list[str]:
    """The lines in the pod's volume, read through the pod's own server from the host."""
    address = cluster.kubectl.get("-n", namespace, "pod", pod)["status"]["podIP"]
    with urllib.request.urlopen(f"http://{address}:{workloads.PORT}/starts", timeout=10) as reply:
        return str(reply.read().decode()).split()


def run_in(cluster: handle.Handle, namespace: str, pod: str, script: str, *words: str) -> str:
    """What a script prints in a pod."""
    return cluster.kubectl("-n", namespace, "exec", pod, "--", "python3", "-c", script, *words, timeout=30)


def reaches(cluster: handle.Handle, namespace: str, pod: str, host: str, port: int = workloads.PORT) -> bool:
    """Whether a pod gets a connection to a host within a second."""
    try:
        run_in(cluster, namespace, pod, CONNECT, host, str(port))
    except errors.CommandFailedError:
        return False
    return True


def node_is(cluster: handle.Handle, number: int, ready: str) -> bool:
    """Whether a node's Ready condition is True, False or Unknown, as asked."""
    conditions = cluster.kubectl.get("node", addresses.node_name(number))["status"]["conditions"]
    return any(found["type"] == "Ready" and found["status"] == ready for found in conditions)


def test_stateful_set_gets_volumes_on_three_nodes(
    cluster: handle.Handle, namespace: str, python_image: str, timed: stopwatch.Stopwatch
) -> None:
    """Three pods that may write nothing but their volume, and are not root, get Ready on three nodes."""
    with timed("StatefulSet of 3 with volumes Ready"):
        cluster.kubectl.apply(*workloads.build_web(namespace, python_image, replicas=3))
        wait_for_web(cluster, namespace)

    pods = cluster.kubectl.get("-n", namespace, "pods", "-l", "app=web")["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"kn1", "kn2", "kn3"}
    assert starts(cluster, namespace, "web-1") == ["web-1"]


def test_volume_outlives_its_pod(cluster: handle.Handle, web: str) -> None:
    """A pod that is deleted comes back with what its volume held."""
    before = starts(cluster, web, "web-0")

    cluster.kubectl("-n", web, "delete", "pod", "web-0")
    wait_for_web(cluster, web)

    assert starts(cluster, web, "web-0") == [*before, "web-0"]


def test_names_resolve_on_every_node(cluster: handle.Handle, web: str, clients: tuple[str, ...]) -> None:
    """Service, pod and API server have names, whichever node one asks from."""
    for client in clients:
        for host in ("web", "web-vip", f"web-2.web.{web}.svc", f"web-0.web.{web}.svc.{addresses.DNS_DOMAIN}"):
            assert reaches(cluster, web, client, host), f"{client} does not reach {host}"
        assert reaches(cluster, web, client, "kubernetes.default", 443)
        assert not reaches(cluster, web, client, "nobody.default")


def test_host_reaches_cluster_addresses(cluster: handle.Handle, web: str) -> None:
    """The tests themselves can ask a Service by its ClusterIP."""
    address = cluster.kubectl.get("-n", web, "service", "web-vip")["spec"]["clusterIP"]
    with urllib.request.urlopen(f"http://{address}:{workloads.PORT}/starts", timeout=10) as reply:
        assert reply.status == 200


def test_policy_lets_through_whom_it_names_only(
    cluster: handle.Handle, web: str, clients: tuple[str, ...], timed: stopwatch.Stopwatch
) -> None:
    """With a policy only the friend gets through, to pods of every node; without it all do again."""
    hosts = [f"web-{number}.web" for number in range(3)]
    friend, *others = clients
    cluster.kubectl.apply(workloads.build_policy(web, allowed=friend))
    with timed("policy takes effect"):
        commands.wait_until(lambda: not reaches(cluster, web, others[0], hosts[0]), "the policy's effect", 10)

    assert all(reaches(cluster, web, friend, host) for host in hosts)
    assert not any(reaches(cluster, web, other, host) for other in others for host in (*hosts, "web-vip"))

    cluster.kubectl("-n", web, "delete", "networkpolicy", "web")
    commands.wait_until(lambda: reaches(cluster, web, others[0], hosts[0]), "the policy's end", 10)


def test_killed_node_comes_back(cluster: handle.Handle, web: str, timed: stopwatch.Stopwatch) -> None:
    """A node that loses power is NotReady within its grace; started again, its pod has its data."""
    before = starts(cluster, web, "web-1")
    node = cluster.kubectl.get("-n", web, "pod", "web-1")["spec"]["nodeName"]
    number = int(node.removeprefix("kn"))

    cluster.switch("node-kill", number)
    with timed("killed node is NotReady"):
        commands.wait_until(lambda: node_is(cluster, number, "Unknown"), "NotReady", NOT_READY_SECONDS)
    cluster.switch("node-start", number)
    with timed("started node is Ready, its pod too"):
        commands.wait_until(lambda: node_is(cluster, number, "True"), "Ready", NOT_READY_SECONDS)
        wait_for_web(cluster, web)

    assert starts(cluster, web, "web-1") == [*before, "web-1"]


def test_cut_node_goes_on_alone(cluster: handle.Handle, web: str, timed: stopwatch.Stopwatch) -> None:
    """A node whose cable is pulled is NotReady and its pods live on; healed, they were never restarted."""
    pod = cluster.kubectl.get("-n", web, "pod", "web-2")
    number = int(pod["spec"]["nodeName"].removeprefix("kn"))

    cluster.switch("node-cut", number)
    with timed("cut node is NotReady"):
        commands.wait_until(lambda: node_is(cluster, number, "Unknown"), "NotReady", NOT_READY_SECONDS)
    cluster.switch("node-heal", number)
    with timed("healed node is Ready"):
        commands.wait_until(lambda: node_is(cluster, number, "True"), "Ready", NOT_READY_SECONDS)
    wait_for_web(cluster, web)

    after = cluster.kubectl.get("-n", web, "pod", "web-2")
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_object_store_serves_host_and_pods(
    cluster: handle.Handle, web: str, clients: tuple[str, ...], s3_account: s3.Account
) -> None:
    """The host puts and gets an object; a pod reaches the same server under its name."""
    client = boto3.client(
        "s3",
        endpoint_url=s3_account.endpoint,
        region_name=s3_account.region,
        aws_access_key_id=s3_account.access_key,
        aws_secret_access_key=s3_account.secret_key,
        config=botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    bucket = f"cluster-{secrets.token_hex(4)}"
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="a/b", Body=b"seven")

    assert client.get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"seven"
    assert reaches(cluster, web, clients[0], "s3.e2e-infra", 9000)


def test_other_clusters_are_refused(tmp_path: Path, cluster: handle.Handle) -> None:
    """A kubeconfig that leads elsewhere, say to a cluster that matters, is not used."""
    foreign = tmp_path / "config"
    foreign.write_text(
        cluster.where.kubeconfig.read_text().replace(addresses.API_SERVER, "https://203.0.113.7:6443")
    )
    handle.expect_own(cluster.where.kubeconfig)
    with pytest.raises(handle.ForeignClusterError, match=r"203\.0\.113\.7"):
        handle.expect_own(foreign)

"""The port `Cluster` kept by both: the memory cluster of the unit tests, and a real API server.

The API server is kube-apiserver with etcd, no nodes: objects are stored, validated and defaulted as in any
cluster, and no pod ever starts. Where it was never built (`make e2e` does) its tests are skipped.
"""

import asyncio
import contextlib
import copy
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import pytest
import yaml
from kubernetes.aio import client
from services import loopback

from vectorfleet_operator import attend, errors, handlers, lookout, ports, reconcile
from vectorfleet_operator.adapters import kubernetes, memory, shards, system
from vectorfleet_operator.api import crd
from vectorfleet_operator.control import process, refusals, settings, wire

IMAGE = "vectorfleet/data-plane:0.1.0"
SERVED = [kind for kind in ports.KINDS.values() if kind is not ports.CERTIFICATE]  # cert-manager is not here
TOKEN = "test"
LIMITED = "control-plane"
"""Another caller and its token, who may do what the chart grants the control plane's API."""
CHART = pathlib.Path(__file__).parents[3] / "charts" / "vectorfleet"
KEY = ports.Key("default", "products")
CACHE = pathlib.Path(os.environ.get("CACHE") or pathlib.Path.home() / ".cache/vectorfleet/e2e")
START_SECONDS = 60
INDEX = {
    "apiVersion": "vectorfleet.io/v1alpha1",
    "kind": "VectorIndex",
    "metadata": {"name": "products", "namespace": "default"},
    "spec": {
        "model": {"name": "m", "dimensions": 3},
        "shards": 2,
        "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"memory": "1.5Gi"}},
        "storage": {"size": "1024Mi", "storageClassName": "fast"},
        "gateway": {
            "replicas": 2,
            "resources": {"requests": {"cpu": 1}},
            "service": {"type": "NodePort", "annotations": {"a": "b"}},
        },
        "imagePullSecrets": [{"name": "registry"}],
        "scheduling": {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"podAntiAffinity": {}},
            "priorityClassName": "high",
        },
        "podLabels": {"team": "search"},
        "podAnnotations": {"note": "hello"},
    },
}


def find_programs():
    """Return kube-apiserver and etcd, or None where one is missing."""
    servers = sorted(CACHE.glob("bin/kubernetes-*/kube-apiserver"), key=lambda path: path.stat().st_mtime)
    etcd = shutil.which("etcd")
    return (str(servers[-1]), etcd) if servers and etcd else None


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of an API server that knows our definitions."""
    programs = find_programs()
    if programs is None:
        pytest.skip("kube-apiserver and etcd are not there: `make e2e` builds and installs them")
    place = tmp_path_factory.mktemp("apiserver")
    etcd_port, peer_port, port = loopback.free_port(), loopback.free_port(), loopback.free_port()
    (place / "tokens.csv").write_text(f"{TOKEN},admin,1,system:masters\n{LIMITED},{LIMITED},2\n")
    subprocess.run(
        ["openssl", "genrsa", "-out", "sa.key", "2048"], cwd=place, check=True, capture_output=True
    )
    server, etcd = programs
    peer = f"http://127.0.0.1:{peer_port}"
    commands = (
        [
            etcd, "--data-dir", "etcd", "--unsafe-no-fsync", "--initial-cluster", f"default={peer}",
            "--listen-client-urls", f"http://127.0.0.1:{etcd_port}", "--listen-peer-urls", peer,
            "--advertise-client-urls", f"http://127.0.0.1:{etcd_port}", "--initial-advertise-peer-urls", peer,
        ],
        [
            server, "--etcd-servers", f"http://127.0.0.1:{etcd_port}", "--secure-port", str(port),
            "--bind-address", "127.0.0.1", "--cert-dir", "certs", "--token-auth-file", "tokens.csv",
            "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.97.0.0/24",
            "--service-account-issuer", "https://test.local", "--service-account-key-file", "sa.key",
            "--service-account-signing-key-file", "sa.key", "--disable-admission-plugins", "ServiceAccount",
        ],
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        for command in commands:
            log = stack.enter_context((place / f"{pathlib.Path(command[0]).name}.log").open("wb"))
            process = subprocess.Popen(command, cwd=place, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(stop, process)
        url = f"https://127.0.0.1:{port}"
        wait_until_ready(url)
        define_kinds(url)
        yield url


def stop(process):
    """End a process that the fixture started."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def call(url, path, method="GET", body=None, content="application/json"):
    """Call the API server as its administrator and return the answer."""
    request = urllib.request.Request(
        url + path,
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": content},
    )
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        text = answer.read()
    return json.loads(text) if text.startswith(b"{") else text


def wait_until_ready(url):
    """Wait for the API server."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            call(url, "/readyz")
            return
        time.sleep(0.2)
    raise AssertionError(f"the API server was not ready within {START_SECONDS} s")


def define_kinds(url):
    """Create our definitions, and wait until they are served."""
    for resource in crd.RESOURCES:
        definition = crd.build_crd(resource)
        call(url, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "POST", definition)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            for resource in crd.RESOURCES:
                call(url, f"/apis/{resource.kind.api_version}/namespaces/default/{resource.kind.plural}")
            return
        time.sleep(0.2)
    raise AssertionError("the definitions were not served")


@pytest.fixture
async def server(address):
    """The adapter, connected to the API server; what a test made is deleted after it."""
    configuration = client.Configuration(host=address, api_key={"BearerToken": f"Bearer {TOKEN}"})
    configuration.verify_ssl = False
    cluster = kubernetes.KubernetesCluster(client.ApiClient(configuration))
    yield cluster
    for kind in SERVED:
        for left in await cluster.list(kind, "default", {}):
            if left["metadata"]["name"] != "kubernetes":
                await cluster.delete(left)
    await kubernetes.close(cluster)


@pytest.fixture(params=["memory", "kubernetes"])
def cluster(request):
    """Each implementation of the port in turn."""
    return memory.MemoryCluster() if request.param == "memory" else request.getfixturevalue("server")


def config_map(name="one", labels=None, **data):
    """Return a small object."""
    metadata = {"name": name, "namespace": "default", "labels": labels or {"app": "test"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def test_apply_creates_and_returns_what_is_stored(cluster):
    """The object comes back with the identity that the cluster gave it."""
    stored = await cluster.apply(config_map(a="1"))

    assert stored["metadata"]["uid"]
    assert stored["metadata"]["resourceVersion"]
    assert await cluster.get(ports.CONFIG_MAP, "default", "one") == stored


async def test_applying_the_same_again_changes_nothing(cluster):
    """Not even the version."""
    first = await cluster.apply(config_map(a="1"))

    assert await cluster.apply(config_map(a="1")) == first


async def test_what_an_apply_no_longer_names_is_removed(cluster):
    """A field that was ours goes when we do not name it any more."""
    await cluster.apply(config_map(a="1", b="2"))

    assert (await cluster.apply(config_map(a="3")))["data"] == {"a": "3"}


async def test_a_missing_object_is_none(cluster):
    """It is no error to ask."""
    assert await cluster.get(ports.CONFIG_MAP, "default", "nobody") is None


async def test_list_selects_by_all_labels_and_orders_by_name(cluster):
    """An object that lacks one label is not listed."""
    await cluster.apply(config_map("b", {"app": "x", "part": "y"}))
    await cluster.apply(config_map("a", {"app": "x", "part": "y"}))
    await cluster.apply(config_map("c", {"app": "x"}))

    listed = await cluster.list(ports.CONFIG_MAP, "default", {"app": "x", "part": "y"})

    assert [one["metadata"]["name"] for one in listed] == ["a", "b"]
    assert {(one["apiVersion"], one["kind"]) for one in listed} == {("v1", "ConfigMap")}


async def test_delete_is_for_exactly_this_object(cluster):
    """A namesake with another uid stays; the object itself goes; once more is fine."""
    stored = await cluster.apply(config_map(a="1"))
    other = copy.deepcopy(stored)
    other["metadata"]["uid"] = "11111111-1111-1111-1111-111111111111"

    await cluster.delete(other)
    kept = await cluster.get(ports.CONFIG_MAP, "default", "one")
    await cluster.delete(stored)
    await cluster.delete(stored)

    assert kept == stored
    assert await cluster.get(ports.CONFIG_MAP, "default", "one") is None


def shard(number=0):
    """Return a VectorShard, the object whose status is changed by compare-and-swap."""
    spec = {"indexRef": {"name": "products"}, "generation": "g1", "number": number}
    metadata = {"name": f"products-g1-s{number}", "namespace": "default"}
    return {
        "apiVersion": "vectorfleet.io/v1alpha1",
        "kind": "VectorShard",
        "metadata": metadata,
        "spec": spec,
    }


async def test_status_and_spec_are_written_apart(cluster):
    """An apply does not touch the status, and the other way round."""
    await cluster.apply(shard())
    await cluster.apply_status(shard() | {"status": {"rows": 7, "seq": 9}})
    await cluster.apply(shard())

    stored = await cluster.get(ports.VECTOR_SHARD, "default", "products-g1-s0")

    assert (stored["status"], stored["spec"]) == ({"rows": 7, "seq": 9}, shard()["spec"])


async def test_a_status_is_replaced_whole(cluster):
    """A field that the new status does not name is gone."""
    await cluster.apply(shard())
    await cluster.apply_status(shard() | {"status": {"rows": 7, "seq": 9}})
    await cluster.apply_status(shard() | {"status": {"rows": 8}})

    assert (await cluster.get(ports.VECTOR_SHARD, "default", "products-g1-s0"))["status"] == {"rows": 8}


async def test_a_versioned_status_is_a_compare_and_swap(cluster):
    """Of two writers who read the same version, the second is refused and writes nothing."""
    read = await cluster.apply(shard())
    versioned = shard()
    versioned["metadata"] = versioned["metadata"] | {"resourceVersion": read["metadata"]["resourceVersion"]}
    await cluster.apply_status(versioned | {"status": {"reserved": 2}})

    with pytest.raises(errors.Transient):
        await cluster.apply_status(versioned | {"status": {"reserved": 3}})

    assert (await cluster.get(ports.VECTOR_SHARD, "default", "products-g1-s0"))["status"] == {"reserved": 2}


async def test_a_status_of_nothing_is_an_error(cluster):
    """The object has to exist."""
    with pytest.raises(errors.Transient):
        await cluster.apply_status(shard() | {"status": {"rows": 1}})


async def test_an_object_is_created_once(cluster):
    """The second is told that the name is taken, and changes nothing."""
    stored = await cluster.create(config_map(a="1"))
    with pytest.raises(errors.Taken):
        await cluster.create(config_map(a="2"))

    assert await cluster.get(ports.CONFIG_MAP, "default", "one") == stored


async def test_an_object_is_replaced_where_it_is_the_one_that_was_read(cluster):
    """What is not named goes; a change in between, or a deletion, is told and nothing is written."""
    read = await cluster.create(config_map(a="1", b="2"))
    stored = await cluster.replace({**read, "data": {"a": "3"}})
    assert stored["data"] == {"a": "3"}
    assert stored["metadata"]["uid"] == read["metadata"]["uid"]

    with pytest.raises(errors.Changed):
        await cluster.replace({**read, "data": {"a": "4"}})
    assert await cluster.get(ports.CONFIG_MAP, "default", "one") == stored
    await cluster.apply(config_map(a="5"))
    assert (await cluster.get(ports.CONFIG_MAP, "default", "one"))["metadata"]["uid"] == stored["metadata"][
        "uid"
    ]

    await cluster.delete(stored)
    with pytest.raises(errors.Changed):
        await cluster.replace(stored)


async def test_the_control_plane_needs_no_more_than_the_chart_grants(server, address):
    """By the chart's Role its calls work on a real API server; Secrets and other namespaces stay closed."""
    text = (CHART / "templates" / "control-plane" / "rights.yaml").read_text()
    rules = yaml.safe_load(text.partition("\nrules:\n")[2].partition("\n---")[0])
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    version, metadata = "rbac.authorization.k8s.io/v1", {"name": LIMITED}
    role = {"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules}
    call(address, f"{roles}/roles", "POST", role)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": LIMITED}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": LIMITED}
    binding = {"apiVersion": version, "kind": "RoleBinding", "metadata": metadata}
    binding |= {"roleRef": reference, "subjects": [subject]}
    call(address, f"{roles}/rolebindings", "POST", binding)

    configuration = client.Configuration(host=address, api_key={"BearerToken": f"Bearer {LIMITED}"})
    configuration.verify_ssl = False
    limited = kubernetes.KubernetesCluster(client.ApiClient(configuration), process.MANAGER)
    given = settings.Settings(
        namespace="default", api_keys_dir=pathlib.Path("unused"), index_keys_secret="keys"
    )
    served = process.build_indexes(given, limited)
    try:
        spec = {"pod": {"environment": "here", "replicas": 1}}
        body = {"name": "films", "dimension": 3, "spec": spec, "tags": {"a": "b"}}
        made = await served.create(wire.Create.model_validate(body))
        assert (made["status"]["state"], made["tags"]) == ("Initializing", {"a": "b"})
        with pytest.raises(refusals.Refused, match="already"):
            await served.create(wire.Create.model_validate(body))
        changed = await served.configure(
            "films", wire.Configure(spec=wire.NewSpec(pod=wire.NewPod(replicas=2)))
        )
        assert changed["spec"]["pod"]["replicas"] == 2
        assert (await served.list())[0]["name"] == "films"
        await served.delete("films")
        assert await served.list() == []
        for kind, namespace in ((ports.SECRET, "default"), (ports.VECTOR_INDEX, "kube-system")):
            with pytest.raises(errors.OperatorError, match="forbidden"):
                await limited.list(kind, namespace, {})
    finally:
        await kubernetes.close(limited)


async def test_an_event_is_recorded(server, address):
    """`kubectl describe` shows it."""
    about = await server.apply(config_map(a="1"))
    await server.emit(ports.Event(about, "Tested", "it was seen", warning=True))

    [event] = call(address, "/api/v1/namespaces/default/events?fieldSelector=reason=Tested")["items"]

    assert (event["type"], event["message"], event["involvedObject"]["name"]) == (
        "Warning",
        "it was seen",
        "one",
    )


async def test_what_the_server_never_accepts_is_rejected(server):
    """The message is the server's own."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "namespace": "default"}}

    with pytest.raises(errors.Rejected, match=r"spec\.ports"):
        await server.apply(service | {"spec": {"selector": {"a": "b"}}})


async def test_what_may_pass_is_transient(server):
    """A namespace that does not exist yet, a server that is away."""
    nowhere = config_map(a="1")
    nowhere["metadata"]["namespace"] = "nowhere"
    away = kubernetes.KubernetesCluster(client.ApiClient(client.Configuration(host="http://127.0.0.1:1")))

    with pytest.raises(errors.Transient, match="nowhere"):
        await server.apply(nowhere)
    with pytest.raises(errors.Transient):
        await away.get(ports.CONFIG_MAP, "default", "one")
    await kubernetes.close(away)


async def take_pass(server):
    """Take one pass over the index."""
    return await reconcile.reconcile(build_operator(server), KEY)


def build_operator(server):
    """Return an operator that works on a cluster."""
    nodes, clock = shards.GrpcShards(), system.SystemClock()
    given = ports.Ports(server, nodes, clock, system.SystemEntropy())
    return reconcile.Operator(given, lookout.Lookout(nodes, clock), IMAGE)


async def versions(server):
    """Return the version of every object of the index."""
    listed = [await server.list(kind, "default", {}) for kind in SERVED]
    return {
        (one["kind"], one["metadata"]["name"]): one["metadata"]["resourceVersion"]
        for kind in listed
        for one in kind
    }


async def test_a_second_pass_finds_nothing_to_do(server):
    """With all that a real server fills in, normalises and defaults, no object is written twice."""
    await server.apply(INDEX)
    await take_pass(server)
    before = await versions(server)

    await take_pass(server)

    assert len(before) > 15
    assert await versions(server) == before


DRIFTS = [
    ("services/products", {"spec": {"ports": [{"name": "http", "port": 81, "targetPort": "http"}]}}),
    ("services/products", {"spec": {"ports": [{"name": "other", "port": 81}, {"name": "http", "port": 80}]}}),
    ("services/products", {"spec": {"selector": {"vectorfleet.io/index": "other"}}}),
    ("configmaps/products-config", {"data": {"index.json": "{}"}}),
    ("configmaps/products-config", {"metadata": {"ownerReferences": None}}),
]


@pytest.mark.parametrize(("path", "patch"), DRIFTS, ids=lambda value: json.dumps(value)[:60])
async def test_what_somebody_changes_is_changed_back(server, address, path, patch):
    """Also where a list was changed so that an apply alone would clash or keep the stranger's item."""
    await server.apply(INDEX)
    await take_pass(server)
    before = without_history(call(address, f"/api/v1/namespaces/default/{path}"))
    call(address, f"/api/v1/namespaces/default/{path}", "PATCH", patch, "application/merge-patch+json")

    await take_pass(server)
    settled = await versions(server)
    await take_pass(server)

    if "ownerReferences" not in json.dumps(patch):  # an object without an owner may be anybody's
        assert without_history(call(address, f"/api/v1/namespaces/default/{path}")) == before
    assert await versions(server) == settled


def without_history(manifest):
    """Return an object without what every write changes."""
    changing = {"resourceVersion", "managedFields", "generation"}
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in changing}
    return manifest | {"metadata": metadata}


async def test_a_stranger_in_a_pod_template_is_taken_out(server, address):
    """A container that somebody added to a StatefulSet by hand does not stay."""
    await server.apply(INDEX)
    await take_pass(server)
    path = "/apis/apps/v1/namespaces/default/statefulsets/products-g1-s0"
    call(
        address,
        path,
        "PATCH",
        [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "x", "image": "y"}}],
        "application/json-patch+json",
    )

    await take_pass(server)

    containers = call(address, path)["spec"]["template"]["spec"]["containers"]
    assert [container["name"] for container in containers] == ["shard"]


@pytest.fixture
def storage_class(address, request):
    """A StorageClass `fast` that lets volumes grow, or not."""
    path = "/apis/storage.k8s.io/v1/storageclasses"
    made = {"provisioner": "test.local/none", "allowVolumeExpansion": request.param}
    made |= {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}
    call(address, path, "POST", made)
    yield made
    call(address, f"{path}/fast", "DELETE")


@pytest.fixture
def claim(address):
    """The claim of shard 0, bound: what the controllers of a whole cluster would make of the StatefulSet."""
    path = "/api/v1/namespaces/default/persistentvolumeclaims"
    one = f"{path}/data-products-g1-s0-0"
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "volumeName": "volume-0",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    metadata = {"name": "data-products-g1-s0-0", "labels": {"vectorfleet.io/index": "products"}}
    call(address, path, "POST", {"metadata": metadata, "spec": spec})
    status = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    call(address, f"{one}/status", "PATCH", {"status": status}, "application/merge-patch+json")
    yield one
    release(address, one)


def release(address, path):
    """Take the finalizers off an object, as their controllers would."""
    call(address, path, "PATCH", {"metadata": {"finalizers": None}}, "application/merge-patch+json")


LARGER = INDEX | {"spec": INDEX["spec"] | {"storage": {"size": "2Gi", "storageClassName": "fast"}}}
WORKLOAD = "/apis/apps/v1/namespaces/default/statefulsets/products-g1-s0"


def size_of(workload):
    """Return the size in the claim template of a StatefulSet."""
    return workload["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]


@pytest.mark.parametrize("storage_class", [True], indirect=True)
async def test_volumes_grow(server, address, storage_class, claim):
    """The claim first; then the StatefulSet goes without its pods, and comes back with larger templates."""
    await server.apply(INDEX)
    await take_pass(server)
    before = call(address, WORKLOAD)

    await server.apply(LARGER)
    await take_pass(server)
    grown, kept = call(address, claim), call(address, WORKLOAD)
    await take_pass(server)
    going = call(address, WORKLOAD)
    release(address, WORKLOAD)
    await take_pass(server)
    made = call(address, WORKLOAD)
    settled = await versions(server)
    await take_pass(server)

    assert grown["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert (kept["metadata"]["uid"], size_of(kept)) == (before["metadata"]["uid"], "1Gi")
    assert going["metadata"]["finalizers"] == ["orphan"]
    assert made["metadata"]["uid"] != before["metadata"]["uid"]
    assert size_of(made) == "2Gi"
    assert made["spec"]["template"] == before["spec"]["template"]
    assert await versions(server) == settled


@pytest.mark.parametrize("storage_class", [False], indirect=True)
async def test_volumes_whose_class_does_not_let_them_grow(server, address, storage_class, claim):
    """The condition says so in the server's words; everything else is done."""
    await server.apply(INDEX)
    await take_pass(server)
    await server.apply(LARGER | {"spec": LARGER["spec"] | {"podLabels": {"team": "other"}}})
    outcome = await take_pass(server)
    told = {one.type: one for one in outcome.status.conditions}["VolumesTooSmall"]
    workload = call(address, WORKLOAD)

    assert outcome.error is None
    assert (told.holds, told.reason) == (True, "NotExpandable")
    assert "data-products-g1-s0-0 can't grow to 2Gi" in told.message
    assert "must support resize" in told.message
    assert workload["spec"]["template"]["metadata"]["labels"]["team"] == "other"
    assert size_of(workload) == "1Gi"


SMALLER = INDEX | {"spec": INDEX["spec"] | {"storage": {"size": "1000Mi", "storageClassName": "fast"}}}


@pytest.mark.parametrize("storage_class", [False], indirect=True)
async def test_a_size_that_the_class_can_not_reach_is_taken_back(server, address, storage_class, claim):
    """As far as the volumes are: the API server lets it through, and nothing is too small any more."""
    await server.apply(INDEX)
    await take_pass(server)
    await server.apply(LARGER)
    await take_pass(server)
    with pytest.raises(errors.Rejected, match=r"smaller than status\.volumeSize"):
        await server.apply(SMALLER)
    back = await server.apply(INDEX)
    outcome = await take_pass(server)
    told = {one.type: one for one in outcome.status.conditions}

    assert back["status"]["volumeSize"] == "1Gi"
    assert back["spec"]["storage"]["size"] == "1Gi"
    assert (told["VolumesTooSmall"].holds, told["Stalled"].holds) == (False, False)


@pytest.mark.parametrize("storage_class", [True], indirect=True)
async def test_a_size_that_no_driver_reaches_is_taken_back(server, address, storage_class, claim):
    """Claims ask for it and get nothing: the StatefulSet is made again with what they have."""
    await server.apply(INDEX)
    await take_pass(server)
    await server.apply(LARGER)
    for _ in range(2):
        await take_pass(server)
    release(address, WORKLOAD)
    waiting = await take_pass(server)
    await server.apply(INDEX)
    await take_pass(server)
    release(address, WORKLOAD)
    outcome = await take_pass(server)
    told = {one.type: one for one in outcome.status.conditions}

    assert "ExpandingVolumes" in {one.reason for one in waiting.status.conditions}
    assert size_of(call(address, WORKLOAD)) == "1Gi"
    assert told["Reconciling"].reason != "ExpandingVolumes"


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
    await server.apply(INDEX)

    with pytest.raises(errors.Rejected, match=message):
        await server.apply(INDEX | {"spec": INDEX["spec"] | change})


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
        await server.apply(INDEX | {"spec": INDEX["spec"] | spec})


@pytest.mark.parametrize("name", ["my.products", "1products", "p" * 41])
async def test_the_schema_refuses_names_that_do_not_fit(server, name):
    """Nothing could be named after it."""
    with pytest.raises(errors.Rejected, match=r"metadata\.name must be at most 40 characters"):
        await server.apply(INDEX | {"metadata": {"name": name, "namespace": "default"}})


@pytest.mark.parametrize(
    "change",
    [
        {"storage": INDEX["spec"]["storage"] | {"deletionPolicy": "Delete"}},
        {"storage": INDEX["spec"]["storage"] | {"size": "2Gi"}},
        {"storage": INDEX["spec"]["storage"] | {"size": 3_000_000_000}},
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
    await server.apply(INDEX)

    stored = await server.apply(INDEX | {"spec": INDEX["spec"] | change})

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
        {"vectors": [{"name": "a", "dimensions": 2}]},
        {"vectors": [{"name": "a", "dimensions": 2}], "paused": True},
        {"vectors": [{"name": "a", "dimensions": 3}]},
    ),
]


@pytest.mark.parametrize(("first", "then", "never"), KEPT, ids=lambda value: json.dumps(value)[:60])
async def test_searching_is_tuned_in_place(server, first, then, never):
    """Beside what a generation is built from, what only concerns searching comes and goes."""
    for number, spec in enumerate((first, then, first), 1):
        stored = await server.apply(INDEX | {"spec": INDEX["spec"] | spec})
        assert stored["metadata"]["generation"] == number

    with pytest.raises(errors.Rejected):
        await server.apply(INDEX | {"spec": INDEX["spec"] | never})


async def test_pods_fit_the_restricted_standard(server, address):
    """A namespace that enforces Kubernetes's strictest pod security standard takes our pods."""
    await server.apply(INDEX)
    await take_pass(server)
    enforced = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    namespace = "/api/v1/namespaces/default"
    call(address, namespace, "PATCH", enforced, "application/merge-patch+json")

    for workload in ("statefulsets/products-g1-s0", "deployments/products-gateway"):
        template = call(address, f"/apis/apps/v1/namespaces/default/{workload}")["spec"]["template"]
        template["spec"].pop("priorityClassName", None)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try"}, "spec": template["spec"]}
        pod["spec"]["volumes"].append({"name": "data", "emptyDir": {}})
        call(address, f"{namespace}/pods?dryRun=All", "POST", pod)

    pod["spec"]["containers"][0]["securityContext"] = {}
    with pytest.raises(urllib.error.HTTPError, match="403"):
        call(address, f"{namespace}/pods?dryRun=All", "POST", pod)


async def test_the_whole_operator(server, address, tmp_path, monkeypatch):
    """Kopf's watches and the daemon: made, repaired, and let go at once when it is deleted."""
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, address)))
    ready, finish = asyncio.Event(), asyncio.Event()

    attendant = attend.build_attendant(build_operator(server))
    running = asyncio.create_task(handlers.operate(attendant, (), ready, finish))
    try:
        await asyncio.wait_for(ready.wait(), 20)
        await server.apply(INDEX)
        deployment = await eventually(lambda: server.get(ports.DEPLOYMENT, "default", "products-gateway"))
        await server.delete(deployment)
        again = await eventually(lambda: server.get(ports.DEPLOYMENT, "default", "products-gateway"))
        index = await server.get(ports.VECTOR_INDEX, "default", "products")
        assert index["metadata"]["finalizers"] == ["vectorfleet.io/operator"]
        assert "annotations" not in index["metadata"]

        await server.delete(index)
        await eventually(lambda: is_gone(server))
    finally:
        finish.set()
        await asyncio.wait_for(running, 20)

    assert again["metadata"]["uid"] != deployment["metadata"]["uid"]


async def is_gone(server):
    """Return whether the index is gone, finalizer and all."""
    return await server.get(ports.VECTOR_INDEX, "default", "products") is None


async def eventually(ask, seconds=10):
    """Return the first answer that is true, asking for some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := await ask():
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing within {seconds} s")


def write_kubeconfig(folder, address):
    """Write a kubeconfig for kopf, which reads its own."""
    path = folder / "kubeconfig"
    cluster = {"server": address, "insecure-skip-tls-verify": True}
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {"token": TOKEN}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path

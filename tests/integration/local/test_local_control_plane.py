"""The control plane's API by the official client, on real processes: indexes made, used and deleted."""

import json
import pathlib
import subprocess
import sys

import httpx
import pinecone
import pytest

from vectorfleet_operator.adapters.local import folder, view

SERVERLESS = pinecone.ServerlessSpec("aws", "us-east-1")


@pytest.fixture(scope="module")
def control(local):
    """Where the control plane of a state directory is, opened before there is any index."""
    opened = local.run("up", "--control-plane")
    assert opened.returncode == 0, opened.stderr
    assert opened.stdout.count("control plane: http://127.") == 1
    return view.control_plane(folder.Folder(local.state))


@pytest.fixture
def key(control):
    """The control plane's key."""
    return pathlib.Path(control.api_key_file).read_text()


@pytest.fixture
def client(control, key):
    """The official client with the control plane's key."""
    return pinecone.Pinecone(api_key=key, host=control.endpoint)


def test_an_index_lives_by_the_official_client_alone(local, client):
    """Made, found, filled, asked, changed, protected and deleted, by one key for both planes."""
    assert client.list_indexes().names() == []
    made = client.create_index("films", dimension=3, metric="dotproduct", spec=SERVERLESS, tags={"team": "a"})
    assert made.status.ready
    assert (made.name, made.dimension, made.metric, made.vector_type) == ("films", 3, "dotproduct", "dense")
    assert made.spec.serverless.to_dict() == {"cloud": "aws", "region": "us-east-1"}
    assert made.host == local.index("films")["endpoint"]

    index = client.Index("films")
    index.upsert([("a", [1.0, 0.0, 0.0]), ("b", [0.0, 1.0, 0.0])])
    assert [match.id for match in index.query(vector=[0.0, 2.0, 0.0], top_k=1).matches] == ["b"]

    client.configure_index("films", deletion_protection="enabled", tags={"team": "", "stage": "live"})
    changed = client.describe_index("films")
    assert (changed.deletion_protection, changed.tags.to_dict()) == ("enabled", {"stage": "live"})
    with pytest.raises(pinecone.exceptions.ForbiddenException, match="deletion protection"):
        client.delete_index("films")
    assert client.has_index("films")

    client.configure_index("films", deletion_protection="disabled")
    client.delete_index("films")
    assert not client.has_index("films")


def test_a_deleted_index_takes_its_rows_along(local, client):
    """An index of the same name begins empty, as it does at Pinecone."""
    for _ in range(2):
        client.create_index("again", dimension=2, spec=SERVERLESS)
        index = client.Index(host=client.describe_index("again").host)
        assert index.describe_index_stats().total_vector_count == 0
        index.upsert([("a", [1.0, 0.0])])
        client.delete_index("again")
        local.wait_until(lambda: not list((local.state / "volumes").glob("default/*again*")))


async def test_the_asyncio_client(control, key):
    """The same calls in asyncio, with shards and replicas as a pod spec gives them."""
    async with pinecone.PineconeAsyncio(api_key=key, host=control.endpoint) as client:
        made = await client.create_index(
            "pods", dimension=2, spec=pinecone.PodSpec("here", replicas=1, shards=2), timeout=-1
        )
        assert made.spec.pod.to_dict() == {
            "environment": "here", "pod_type": "p1.x1", "replicas": 1, "shards": 2, "pods": 2,
        }  # fmt: skip
        assert (made.status.ready, made.status.state) == (False, "Initializing")
        assert await client.has_index("pods")
        await client.configure_index("pods", replicas=2)
        assert (await client.describe_index("pods")).spec.pod.pods == 4
        assert (await client.list_indexes()).names() == ["pods"]
        await client.delete_index("pods")
        assert not await client.has_index("pods")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"name": "Films"}, "metadata.name"),
        ({"name": "9lives"}, "metadata.name"),
        ({"name": "a" * 41}, "metadata.name"),
        ({"spec": {"byoc": {"environment": "x"}}}, "spec.byoc: give serverless or pod"),
        ({"spec": pinecone.PodSpec("x", replicas=2, shards=2, pods=3)}, "replicas times shards, 4"),
        (
            {"spec": pinecone.PodSpec("x", source_collection="old")},
            "spec.pod.source_collection: there",
        ),
        ({"spec": pinecone.PodSpec("x", metadata_config={"indexed": ["a"]})}, "spec.pod.metadata_config"),
        ({"vector_type": "sparse", "dimension": None}, "sparse values alone is not supported"),
        ({"dimension": None}, "a dense index needs one"),
        ({"tags": {"a b": "c"}}, "tags"),
    ],
)
def test_what_there_can_not_be_is_refused_by_name(client, asked, reason):
    """With 400 and the field that is wrong; nothing is made."""
    usual = {"name": "films", "dimension": 2, "spec": SERVERLESS, "timeout": -1}
    with pytest.raises(pinecone.exceptions.PineconeApiException) as refused:
        client.create_index(**usual | asked)

    assert refused.value.status == 400
    assert reason in json.loads(refused.value.body)["error"]["message"]
    assert client.list_indexes().names() == []


def test_calls_that_are_not_served(client):
    """Models that Pinecone hosts, collections and backups: refused, and said so."""
    with pytest.raises(pinecone.exceptions.PineconeApiException, match="no models are hosted here"):
        client.create_index_for_model(
            "films", "aws", "us-east-1", {"model": "llama-text-embed-v2", "field_map": {"text": "plot"}}
        )
    with pytest.raises(pinecone.exceptions.NotFoundException, match="there is no such call"):
        client.list_collections()


def test_a_name_can_be_taken_once(local, client):
    """The second is answered 409, and changes nothing of the first."""
    client.create_index("one", dimension=2, spec=SERVERLESS, timeout=-1)
    with pytest.raises(pinecone.exceptions.PineconeApiException, match="there is an index 'one' already"):
        client.create_index("one", dimension=3, spec=SERVERLESS, timeout=-1)
    assert client.describe_index("one").dimension == 2
    client.delete_index("one")


def test_keys_are_followed_and_the_api_goes_with_everything(local, control):
    """Another key in the Secret is taken within seconds; `down` closes the API for good."""
    extra = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": view.CONTROL_SECRET}}
    extra |= {"stringData": {"second": "key-of-another"}}
    assert local.up(extra).returncode == 0
    headers = {"Api-Key": "key-of-another"}
    local.wait_until(lambda: httpx.get(f"{control.endpoint}/indexes", headers=headers).status_code == 200)

    assert local.run("down").returncode == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{control.endpoint}/indexes", headers=headers)
    assert view.control_plane(folder.Folder(local.state)) is None
    assert not (local.state / "control-plane").exists()


def test_nothing_is_open_unless_asked_for(local):
    """`up` with a manifest alone serves no control plane."""
    assert local.up(local.manifest("plain")).returncode == 0
    assert "controlPlane" not in json.loads(local.run("status", "--output", "json").stdout)
    address = view.control_plane(folder.Folder(local.state))
    assert address is None
    assert local.run("up").returncode == 2


def test_a_process_without_keys_does_not_start(tmp_path):
    """Closed by default: no folder of keys, or none in it, and there is no API."""
    program = pathlib.Path(sys.executable).parent / "vectorfleet-operator"
    for folder_of_keys in ("", str(tmp_path)):
        environment = {"VECTORFLEET_CONTROL_NAMESPACE": "search", "HOME": str(tmp_path)}
        environment |= {"VECTORFLEET_CONTROL_API_KEYS_DIR": folder_of_keys} if folder_of_keys else {}
        done = subprocess.run(
            [program, "control-plane"], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "can't start" in done.stderr
    environment["VECTORFLEET_CONTROL_INDEX_TEMPLATE"] = "{no json"
    done = subprocess.run(
        [program, "control-plane"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "index_template" in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr

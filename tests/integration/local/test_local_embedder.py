"""An index on this machine that names an embedder: texts in and out, its key, and changes in place."""

import base64

import pytest
import yaml
from services import embedder, proxy

import vectorfleet

MODEL = {"name": "e5", "dimensions": embedder.DIMENSIONS}
SCHEMA = {"text": ["about"]}
ROWS = [{"id": "apple", "text": "A sweet red fruit"}, {"id": "bus", "text": "A big car for many people"}]


@pytest.fixture(scope="module")
def behind():
    """A proxy before a real embedder, and its base URL."""
    with embedder.serving() as url, proxy.before(url) as made:
        yield made


def secret(key):
    """Return the Secret with the embedder's key."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "embedder"},
        "data": {"token": base64.b64encode(key.encode()).decode()},
    }


def manifest(local, url, **changes):
    """Return an index with an embedder."""
    named = {"url": url, "secretRef": {"name": "embedder", "key": "token"}} | embedder.ROLES | changes
    return local.manifest(model=MODEL, metric="cosine", shards=1, schema=SCHEMA, embedder=named)


def test_texts_and_their_key(local, behind):
    """The gateway serves before the key is there, and says what it lacks; then texts go in and are found."""
    seen, url = behind
    assert local.up(manifest(local, url)).returncode == 0
    with local.client() as index:
        with pytest.raises(vectorfleet.VectorfleetError, match="the file that holds it can't be read"):
            index.upsert(ROWS)
        path = local.folder / "secret.yaml"
        path.write_text(yaml.safe_dump(secret("first")))
        assert local.run("up", "-f", str(path)).returncode == 0
        local.wait_until(lambda: takes(index, ROWS))
        assert index.query(text="public transport", search="vector", top_k=1).matches[0].id == "bus"
        assert [match.id for match in index.query(text="fruit", search="text").matches] == ["apple"]
        assert index.stats().total_vector_count == 2
    local.wait_until(lambda: local.index()["vectors"] == 2)
    assert seen.seen[-1].headers["authorization"] == "Bearer first"
    assert seen.seen[-1].body["model"] == "e5"


def takes(index, rows):
    """Tell whether rows are written."""
    try:
        return index.upsert(rows).upserted_count == len(rows)
    except vectorfleet.ServerError:
        return False


def test_another_embedder_restarts_gateways_alone(local, behind):
    """The rows stay; what they were embedded by is remembered with them."""
    before = local.pids()
    assert local.up(manifest(local, behind[1], model="another-name")).returncode == 0
    changed = {name for name, pid in local.pids().items() if pid != before[name]}
    assert changed == {"small-gateway-0"}
    with local.client() as index:
        assert index.query(text="something to eat", search="vector", top_k=1).matches[0].id == "apple"
        assert behind[0].seen[-1].body["model"] == "another-name"
        behind[0].always = proxy.Change(reversed_vectors)
        with pytest.raises(vectorfleet.ServerError, match="another model"):
            index.upsert([{"id": "new", "text": "of another model"}])
        behind[0].heal()


def reversed_vectors(answer):
    """Make of a model's vectors those of another."""
    for item in answer["data"]:
        item["embedding"].reverse()
    return answer


def test_without_an_embedder_texts_are_words(local):
    """Taken out of the manifest, it is gone; what was written stays."""
    assert local.up(local.manifest(model=MODEL, metric="cosine", shards=1, schema=SCHEMA)).returncode == 0
    with local.client() as index:
        assert [match.id for match in index.query(text="fruit").matches] == ["apple"]
        with pytest.raises(vectorfleet.BadRequestError, match="the index has no embedder"):
            index.upsert(ROWS)

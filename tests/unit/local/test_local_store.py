"""Objects as files: the numbers and rules of an API server, and users' files before they get in."""

import pathlib

import pytest
import yaml

from vectorfleet_operator import errors
from vectorfleet_operator.adapters.local import folder, inbox, manifests, store

PLACE = ("ConfigMap", "shop", "a")


def config(data, owner=None, name="a"):
    """A ConfigMap."""
    metadata = {"name": name, "namespace": "shop"}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner}]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "spec": data}


@pytest.fixture
def changes():
    """The objects that a store told of."""
    return []


@pytest.fixture
def kept(tmp_path, changes):
    """An empty store."""
    return store.Store(tmp_path, changes.append)


def test_numbers(kept, changes):
    """The generation counts changes of the spec, the resourceVersion every change; no change is none."""
    first = kept.apply(config({"x": 1}))
    again = kept.apply(config({"x": 1}))
    kept.set_status(PLACE, {"seen": True})
    told = kept.find(PLACE)
    changed = kept.apply(config({"x": 2}))

    assert again == first
    assert (first["metadata"]["generation"], told["metadata"]["generation"]) == (1, 1)
    assert changed["metadata"]["generation"] == 2
    assert changed["status"] == {"seen": True}
    assert changed["metadata"]["uid"] == first["metadata"]["uid"]
    versions = [int(one["metadata"]["resourceVersion"]) for one in (first, told, changed)]
    assert versions == sorted(set(versions))
    assert len(changes) == 3


def test_stale_status_is_refused(kept):
    """A status for a version that is not the object's any more is not written."""
    first = kept.apply(config({"x": 1}))
    kept.apply(config({"x": 2}))
    with pytest.raises(errors.Transient, match="has changed"):
        kept.set_status(PLACE, {"seen": True}, first["metadata"]["resourceVersion"])
    with pytest.raises(errors.Transient, match="does not exist"):
        kept.set_status(("ConfigMap", "shop", "b"), {})

    assert "status" not in kept.find(PLACE)


def test_deletion_takes_along_what_belongs(kept):
    """What an object owns goes with it, over several steps."""
    first = kept.apply(config({}))
    second = kept.apply(config({}, owner=first["metadata"]["uid"], name="b"))
    kept.apply(config({}, owner=second["metadata"]["uid"], name="c"))
    kept.apply(config({}, name="d"))
    kept.delete(PLACE)

    assert [path.stem for path in sorted(pathlib.Path(kept._root).glob("*/*/*.json"))] == ["d"]


def test_objects_survive(kept, tmp_path):
    """The next run reads them from their files, with what the last apply named."""
    kept.apply(config({"x": 1, "y": 2}))
    again = store.Store(tmp_path, lambda _: None)

    assert again.find(PLACE) == kept.find(PLACE)
    assert again.apply(config({"x": 1}))["spec"] == {"x": 1}


def test_damaged_file_is_named(kept, tmp_path):
    """A file that somebody damaged is not taken for an object that was never there."""
    kept.apply(config({"x": 1}))
    path = next(tmp_path.glob("*/*/*.json"))
    path.write_text(path.read_text()[:20])
    with pytest.raises(errors.Rejected, match=str(path)):
        store.Store(tmp_path, lambda _: None)


def test_requests_are_carried_out_in_order(tmp_path):
    """Oldest first; one that can't be read is dropped and does not stop the others."""
    place = folder.Folder(tmp_path)
    place.create()
    inbox.leave(place, inbox.Apply({"kind": "x"}))
    (place.inbox / "00.json").write_text("{")
    inbox.leave(place, inbox.Delete(PLACE))
    done = []
    inbox.carry_out(place, done.append)

    assert done == [inbox.Apply({"kind": "x"}), inbox.Delete(PLACE)]
    assert inbox.is_empty(place)


INDEX = {
    "apiVersion": "vectorfleet.io/v1alpha1",
    "kind": "VectorIndex",
    "metadata": {"name": "a"},
    "spec": {"model": {"name": "m", "dimensions": 4}},
}


def read(tmp_path, *documents):
    """What a file of some documents gives."""
    path = tmp_path / "m.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return manifests.read(path)


def test_manifests_get_a_namespace(tmp_path):
    """`default`, where they name none."""
    assert read(tmp_path, INDEX)[0]["metadata"] == {"name": "a", "namespace": "default"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "a mapping, not list"),
        ({"kind": "Pod", "apiVersion": "v1"}, "not Pod of v1"),
        (INDEX | {"spec": {}}, "model"),
        (INDEX | {"spec": INDEX["spec"] | {"shrads": 1}}, "spec.shrads: there is no such field"),
        (INDEX | {"metadata": {"name": "a", "namespace": "../b"}}, "metadata.namespace"),
        ({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": {"a": "?"}}, "base64"),
        (
            {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "stringData": {"../a": "b"}},
            "no name",
        ),
    ],
)
def test_wrong_manifest_is_named(tmp_path, document, said):
    """The message names the file and what is wrong in it."""
    with pytest.raises(errors.InvalidSpec, match=f"m.yaml: .*{said}"):
        read(tmp_path, document)


def test_secrets_are_kept_as_data(tmp_path):
    """StringData becomes base64, as an API server has it."""
    secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
    (kept,) = read(tmp_path, secret)

    assert kept["data"] == {"a": "Yg=="}
    assert "stringData" not in kept


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": {"name": "m", "dimensions": 5}}, "spec.model is immutable"),
        ({"metric": "euclidean"}, "spec.metric is immutable"),
        ({"rollout": {}}, "not supported yet: spec.rollout"),
    ],
)
def test_changes_that_can_not_be_are_refused(tmp_path, change, said):
    """As the CRD's rules would refuse them, before anything is kept."""
    before = read(tmp_path, INDEX)
    after = read(tmp_path, INDEX | {"spec": INDEX["spec"] | change})
    with pytest.raises(errors.InvalidSpec, match=said):
        manifests.check_changes(after, before)

    manifests.check_changes(before, before)

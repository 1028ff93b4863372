"""The generated files: equal to what the models give, and fit for an API server."""

import pathlib

import pytest
import yaml

from vectorfleet_operator import generated
from vectorfleet_operator.api import crd, parse, support

ROOT = pathlib.Path(__file__).parents[3]
LIMIT_BYTES = 256 * 1024  # what client-side apply may put into an annotation


def nodes(schema, path=""):
    """Return every schema below `schema`, with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}[]")


def schemas():
    """Return every schema of every definition, with its path."""
    for resource in crd.RESOURCES:
        [version] = crd.build_crd(resource)["spec"]["versions"]
        yield from nodes(version["schema"]["openAPIV3Schema"], resource.kind.kind)


def test_committed_files_are_those_of_the_models():
    """`make generate` changes nothing."""
    assert generated.stale(generated.build_all(), ROOT) == ()


def test_a_stale_file_is_found(tmp_path):
    """The check above can fail: a changed and a missing file are both told."""
    generated.write(generated.build_crds(), tmp_path)
    (tmp_path / "vectorindexes.yaml").write_text("edited")
    (tmp_path / "vectorshards.yaml").unlink()

    assert set(generated.stale(generated.build_crds(), tmp_path)) == {
        "vectorindexes.yaml",
        "vectorshards.yaml",
    }


@pytest.mark.parametrize("resource", crd.RESOURCES, ids=lambda resource: resource.kind.kind)
def test_definitions_are_small_enough(resource):
    """`kubectl apply` without --server-side has to work too."""
    assert len(crd.to_yaml(resource)) < LIMIT_BYTES


def test_every_field_is_described():
    """`kubectl explain` has a sentence for each field."""
    wordless = [
        path
        for path, schema in schemas()
        if path.count(".") and not path.endswith(("[]", ".metadata")) and not schema.get("description")
    ]

    assert wordless == []


def test_schemas_are_structural():
    """An API server takes them: each node has one type, and no reference, null or closed set of fields."""
    for path, schema in schemas():
        assert not {"$ref", "$defs", "allOf", "oneOf", "title", "nullable", "const"} & set(schema), path
        assert "type" in schema or schema.get("x-kubernetes-int-or-string"), path
        assert not ("properties" in schema and "additionalProperties" in schema), path
        assert all(len(rule["message"]) < 2048 for rule in schema.get("x-kubernetes-validations", ())), path


def test_a_status_has_no_defaults():
    """A default in a status would make an unwritten status look written."""
    assert [path for path, schema in schemas() if ".status" in path and "default" in schema] == []


def test_columns_and_subresources():
    """`kubectl get vi` shows shards, readiness, vectors, model and age; `kubectl scale` finds replicas."""
    [version] = crd.build_crd(crd.RESOURCES[0])["spec"]["versions"]
    shown = [column["name"] for column in version["additionalPrinterColumns"] if not column.get("priority")]

    assert shown == ["Shards", "Ready", "Vectors", "Model", "Age"]
    assert version["subresources"]["scale"]["specReplicasPath"] == ".spec.replicas"
    assert version["subresources"]["status"] == {}


def test_immutable_fields_say_what_to_do():
    """A refused change names the field and the way out."""
    rules = {path: schema.get("x-kubernetes-validations", ()) for path, schema in schemas()}
    frozen = [
        path for path, found in rules.items() if any(rule["rule"] == "self == oldSelf" for rule in found)
    ]
    optional = [
        rule["message"].partition(" ")[0]
        for found in rules.values()
        for rule in found
        if rule["rule"].startswith("has(") and "oldSelf" in rule["rule"]
    ]

    assert frozen == [
        "VectorIndex.spec.model",
        "VectorIndex.spec.metric",
        "VectorIndex.spec.index.type",
        "VectorIndex.spec.quantization.type",
        "VectorIndex.spec.shards",
        "VectorShard.spec",
    ]
    assert optional == [
        "spec.vectors",
        "spec.bootstrap",
        *(f"spec.index.{name}" for name in ("library", "profile", "m", "efConstruction", "lists")),
        "spec.quantization.ratio",
        "spec.storage.storageClassName",
    ]
    [grows] = [rule["message"] for rule in rules["VectorIndex"] if "oldSelf" in rule["rule"]]
    assert grows.startswith("spec.storage.size may only grow: ")
    [message] = [rule["message"] for rule in rules["VectorIndex.spec.shards"]]
    assert message.startswith("spec.shards is immutable: ")
    assert message.endswith("create another VectorIndex")


def test_defaults_of_the_schema_are_those_of_the_models():
    """What an API server fills in is what the models fill in where there is none."""
    bare = {"metadata": {"name": "products"}, "spec": {"model": {"name": "m", "dimensions": 3}}}
    [version] = crd.build_crd(crd.RESOURCES[0])["spec"]["versions"]
    spec_schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    filled = bare | {"spec": fill(bare["spec"], spec_schema)}

    assert filled["spec"]["storage"] == {
        "size": "10Gi",
        "deletionPolicy": "Retain",
        "tuning": {"buildYields": False},
    }
    assert parse.parse_index(filled).spec == parse.parse_index(bare).spec


def fill(value, schema):
    """Return the value with defaults filled in, top down, as an API server does."""
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, inner in schema.get("properties", {}).items():
        if name not in filled and "default" in inner:
            filled[name] = inner["default"]
        if name in filled:
            filled[name] = fill(filled[name], inner)
    return filled


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/**/*.yaml")), ids=lambda path: path.name)
def test_examples_are_valid_and_supported(path):
    """Each VectorIndex that the examples show can be applied and asks only for what works."""
    for manifest in yaml.safe_load_all(path.read_text()):
        if manifest and manifest["kind"] == "VectorIndex":
            assert support.unsupported(parse.parse_index(manifest).spec) == ()


def test_the_page_names_every_field():
    """The field reference is complete."""
    page = (ROOT / "docs" / "vectorindex.md").read_text()

    for path, _ in schemas():
        name = path.partition(".spec.")[2]
        assert not name or name.endswith("[]") or f"`{name}`" in page, path

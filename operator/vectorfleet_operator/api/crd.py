"""The CustomResourceDefinitions, made from the models and written as YAML."""

import dataclasses

import yaml
from pydantic import BaseModel

from .. import ports
from . import schema, vector_index, vector_shard

_HEADER = "# Generated from operator/vectorfleet_operator/api by `vectorfleet-operator crds`. Do not edit.\n"


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of `kubectl get`; those of priority 1 are shown by `-o wide`."""

    name: str
    kind: str
    path: str
    description: str
    priority: int = 0


@dataclasses.dataclass(frozen=True)
class Resource:
    """A custom resource: its model, its names and its columns."""

    kind: ports.Kind
    model: type[BaseModel]
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    scale: bool = False


_READY = '.status.conditions[?(@.type=="Ready")]'
_AGE = Column("Age", "date", ".metadata.creationTimestamp", "Since when the object exists")

RESOURCES = (
    Resource(
        ports.VECTOR_INDEX,
        vector_index.VectorIndex,
        ("vi",),
        (
            Column("Shards", "integer", ".spec.shards", "Hash ranges that the ids are split into"),
            Column("Ready", "string", f"{_READY}.status", "Whether the index serves what the spec asks for"),
            Column("Vectors", "integer", ".status.vectors", "Live rows, as the shards last reported"),
            Column("Model", "string", ".spec.model.name", "The embedding model"),
            Column("Replicas", "integer", ".spec.replicas", "Copies of each shard", 1),
            Column("Ready-Shards", "integer", ".status.readyShards", "Shards that serve", 1),
            Column("Gateways", "integer", ".status.readyGateways", "Gateway pods that serve", 1),
            Column("Metric", "string", ".spec.metric", "How two vectors are compared", 1),
            Column("Status", "string", f"{_READY}.message", "What keeps the index from being ready", 1),
            _AGE,
        ),
        scale=True,
    ),
    Resource(
        ports.VECTOR_SHARD,
        vector_shard.VectorShard,
        ("vsh",),  # vs is Istio's
        (
            Column("Index", "string", ".spec.indexRef.name", "The index that the shard belongs to"),
            Column("Generation", "string", ".spec.generation", "The generation that the shard belongs to"),
            Column("Shard", "integer", ".spec.number", "Number of the shard"),
            Column("Ready", "string", f"{_READY}.status", "Whether the shard serves"),
            Column("Primary", "string", ".status.configuration.primary", "The member that orders writes"),
            Column("Epoch", "integer", ".status.configuration.epoch", "Number of the configuration"),
            Column("Rows", "integer", ".status.rows", "Live rows, as last reported"),
            Column("Seq", "integer", ".status.seq", "Position in the shard's log, as last reported", 1),
            _AGE,
        ),
    ),
)  # fmt: skip


def build_crd(resource: Resource) -> schema.Schema:
    """Return a resource's CustomResourceDefinition."""
    group, _, version = resource.kind.api_version.partition("/")
    names = {
        "kind": resource.kind.kind,
        "listKind": f"{resource.kind.kind}List",
        "plural": resource.kind.plural,
        "singular": resource.kind.kind.lower(),
        "shortNames": list(resource.short_names),
        "categories": ["vectorfleet"],
    }
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(column) for column in resource.columns],
        "schema": {"openAPIV3Schema": _root(resource.model)},
        "subresources": _subresources(resource),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.kind.plural}.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [served]},
    }


def to_yaml(resource: Resource) -> str:
    """Return the definition as the text of its file."""
    text = yaml.dump(build_crd(resource), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return _HEADER + text


class _Dumper(yaml.SafeDumper):
    """Writes equal parts out in full: anchors are hard to read, and templates can't hold them."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def file_name(resource: Resource) -> str:
    """Return the name of the definition's file."""
    return f"{resource.kind.plural}.yaml"


def _root(model: type[BaseModel]) -> schema.Schema:
    root = schema.build_schema(model, "", names=("spec", "status"))
    standard = {
        "apiVersion": {"type": "string", "description": "Version of this object's form."},
        "kind": {"type": "string", "description": "Kind of this object."},
        "metadata": {"type": "object"},
    }
    return root | {"properties": standard | root["properties"]}


def _column(column: Column) -> schema.Schema:
    shown = {
        "name": column.name,
        "type": column.kind,
        "jsonPath": column.path,
        "description": column.description,
    }
    return shown | ({"priority": column.priority} if column.priority else {})


def _subresources(resource: Resource) -> schema.Schema:
    scale = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    return {"status": {}} | ({"scale": scale} if resource.scale else {})

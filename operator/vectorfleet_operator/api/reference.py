"""The field reference of the documentation, made from the models."""

from collections.abc import Iterator, Mapping
from typing import Any

from . import crd, schema

_INTRODUCTION = """# The fields of a VectorIndex

<!-- Generated from operator/vectorfleet_operator/api by `vectorfleet-operator generate`. Do not edit. -->

`kubectl explain vectorindex.spec` tells the same. Fields in *italics* keep their first value, and
`storage.size` may only grow, or go back to `status.volumeSize`; the API server refuses a change and says
why. A field that is *not supported yet* is refused too: the index gets the condition `Stalled` with the
reason `NotSupportedYet` and the name of the field. Nothing is ignored.

Gateways say with each query how hard to search, so a change of `index.efSearch`, `index.probes` or
`quantization.rescore.oversampling` rolls the gateways alone. `schema`, `storage.tuning`,
`quantization.rescore.enabled` and `quantization.recallFloor` are read by the shards, which restart one
after the other. So they do for what may change of a vector field: its `quantization.rescore` and
`quantization.recallFloor`. A profile chooses `efSearch` with the parameters that a graph is built with; an
`efSearch` beside it wins.

The smallest index:

```yaml
apiVersion: vectorfleet.io/v1alpha1
kind: VectorIndex
metadata:
  name: products
spec:
  model: {name: all-MiniLM-L6-v2, dimensions: 384}
```
"""
_CONDITIONS = """
## Conditions

| type | True means |
|---|---|
| `Ready` | the index serves what the spec asks for |
| `Reconciling` | the operator is on its way to what the spec asks for; the reason says what it waits for |
| `Stalled` | only a person can help; the reason is one of the words below |
| `MemoryPressure`, `DiskPressure` | a shard is near its limit and refuses writes; reads go on |
| `VolumesTooSmall` | `storage.size` is beyond StorageClass or driver; the index serves on |
| `RecallLow` | on a shard's own sample, codes of values or fields find fewer than their `recallFloor` |

The last ones come from the shards, but for `VolumesTooSmall`, and each message names those that it is about;
one that nobody reports any more turns False. The shard's own `VectorShard` has it as well.

`Stalled` comes with the reason `InvalidSpec`, `NotSupportedYet`, `NameTaken`, `GenerationImmutable`,
`VolumesImmutable` or `Rejected`; the message says what would be right.

While `Stalled` is True nothing is changed, and an index that served before goes on serving as it was.
"""


def build_page() -> str:
    """Return the page in Markdown."""
    index, shard = (schema.build_schema(resource.model, "", ("spec", "status")) for resource in crd.RESOURCES)
    return "".join(
        (
            _INTRODUCTION,
            _section("Spec", index, "spec"),
            _section("Status", index, "status"),
            _CONDITIONS,
            "\n# The fields of a VectorShard\n\nThe operator writes one for each shard; nobody else does.\n",
            _section("Spec of a shard", shard, "spec"),
            _section("Status of a shard", shard, "status"),
        )
    )


def _section(title: str, root: Mapping[str, Any], part: str) -> str:
    rows = "\n".join(_rows(root["properties"][part], ""))
    return f"\n## {title}\n\n| field | type | default | meaning |\n|---|---|---|---|\n{rows}\n"


def _rows(parent: Mapping[str, Any], path: str) -> Iterator[str]:
    required = parent.get("required", ())
    for name, field in parent.get("properties", {}).items():
        here = f"{path}{name}"
        yield _row(here, field, required=name in required, frozen=_is_frozen(parent, name))
        inner = field.get("items", field)
        yield from _rows(inner, f"{here}[]." if "items" in field else f"{here}.")


def _is_frozen(parent: Mapping[str, Any], name: str) -> bool:
    """Return whether a rule of its own, or one of its parent, keeps the field at its first value."""
    own = [rule["rule"] for rule in parent["properties"][name].get("x-kubernetes-validations", ())]
    above = [rule["rule"] for rule in parent.get("x-kubernetes-validations", ())]
    return "self == oldSelf" in own or any(f"has(oldSelf.{name}) && " in rule for rule in above)


def _row(path: str, field: Mapping[str, Any], *, required: bool, frozen: bool) -> str:
    name = f"*`{path}`*" if frozen else f"`{path}`"
    default = "required" if required else _literal(field.get("default"))
    meaning = field["description"].replace("|", "\\|").replace("<", "&lt;")
    return f"| {name} | {_type(field)} | {default} | {meaning} |"


def _literal(default: object) -> str:
    return (
        "" if default in (None, {}) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    )


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return f"map of {_type(field['additionalProperties'])}"
    return str(field["type"]) + _range(field)


def _range(field: Mapping[str, Any]) -> str:
    least, most = field.get("minimum"), field.get("maximum")
    if least is None or most is None:
        return ""
    return f" {least:g}-{most:g}" if most < 1_000_000 else f" {least}-{most}"

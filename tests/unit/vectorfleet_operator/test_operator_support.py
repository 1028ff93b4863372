"""Fields whose behaviour does not exist yet: part of the manifest's shape, refused by name, never ignored."""

import types
import typing

import pytest
from pydantic import BaseModel

from vectorfleet_operator.api import base, parse, schema, support, vector_index

MODEL = {"name": "m", "dimensions": 16}
ASKING = {
    "spec.rollout": [{"rollout": {}}],
    "spec.bootstrap": [{"bootstrap": {"restore": {"backupName": "b"}}}],
    "spec.backup": [{"backup": {"objectStore": {"bucket": "b"}}}],
}
"""Each field that is not supported yet, with specs that ask for it."""


def marked(model: type[BaseModel], path: str) -> dict[str, base.Later]:
    """Return every field of the model that is marked, with its path."""
    found = {}
    for name, field in model.model_fields.items():
        here = f"{path}.{field.alias or name}"
        if (later := support.mark(field)) is not None:
            found[here] = later
        elif (part := schema.part_of(field.annotation)) is not None:
            found |= marked(part, here)
    return found


def parse_spec(**spec):
    """Return the parsed spec with these fields beside its model."""
    return parse.parse_index({"metadata": {"name": "products"}, "spec": {"model": MODEL} | spec}).spec


def test_every_marked_field_is_tried():
    """The table above covers the model: a newly marked field has to be added to it."""
    assert set(marked(vector_index.VectorIndexSpec, "spec")) == set(ASKING)


@pytest.mark.parametrize(("path", "spec"), [(path, spec) for path, specs in ASKING.items() for spec in specs])
def test_each_is_refused_by_name(path, spec):
    """Asking for one yields its path and nothing else."""
    assert support.unsupported(parse_spec(**spec)) == (path,)


def test_the_refusal_names_all_of_them():
    """A user learns of every such field at once."""
    spec = parse_spec(
        bootstrap={"restore": {"backupName": "b"}}, rollout={}, backup={"objectStore": {"bucket": "b"}}
    )

    refusal = support.refusal(support.unsupported(spec))

    assert refusal == "not supported yet: spec.rollout, spec.bootstrap, spec.backup"


def test_the_smallest_spec_asks_for_nothing_unsupported():
    """Defaults are what works."""
    assert support.unsupported(parse_spec()) == ()


def test_descriptions_say_so():
    """Whoever reads the field's description learns that it is not supported yet."""

    def described(model: type[BaseModel]) -> list[tuple[str, str]]:
        texts = []
        for field in model.model_fields.values():
            if support.mark(field) is not None:
                texts.append((str(field.alias), str(field.description)))
            elif (part := schema.part_of(field.annotation)) is not None:
                texts += described(part)
        return texts

    silent = [
        name
        for name, text in described(vector_index.VectorIndexSpec)
        if "not supported yet" not in text.lower()
    ]

    assert silent == []


def test_part_of_sees_through_wrappers():
    """The walk above reaches models inside Optional, tuple and Annotated."""
    part = base.NameReference

    assert schema.part_of(part | None) is part
    assert schema.part_of(tuple[part, ...]) is part
    assert schema.part_of(typing.Annotated[part, base.Later()]) is part
    assert schema.part_of(types.UnionType) is None

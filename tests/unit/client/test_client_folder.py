"""The folder of `vectorfleet serve`: one process at a time, and never another index's data."""

import pytest
import typer

from vectorfleet.cli import declared, errors, folder
from vectorfleet_shardnode.api import config


def wanted(path, dimensions=None, metric=None, profile=None):
    """Return what a command line asks for."""
    return folder.Wanted(path, dimensions, metric, profile)


def test_a_new_folder_needs_its_dimensions(tmp_path):
    """Nothing is written for an index that can't be."""
    with pytest.raises(errors.FolderError, match="say its --dimensions"):
        folder.settle(wanted(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_remembers_dimensions_and_metric(tmp_path):
    """They are needed once; cosine is what a new index has unless told."""
    assert folder.settle(wanted(tmp_path / ".", 3)).serving.metric == "cosine"
    again = folder.settle(wanted(tmp_path)).serving
    assert (again.dimensions, again.metric) == (3, "cosine")


@pytest.mark.parametrize(("dimensions", "metric"), [(4, None), (None, "cosine"), (4, "cosine")])
def test_another_index_is_refused_with_both_named(tmp_path, dimensions, metric):
    """The message says what is there and what was asked, and the folder stays as it is."""
    folder.settle(wanted(tmp_path, 3, "euclidean"))
    before = (tmp_path / "index.json").read_bytes()
    changed = {"dimensions": (3, dimensions), "metric": ("euclidean", metric)}
    said = [(name, there, asked) for name, (there, asked) in changed.items() if asked]
    message = (
        f"holds an index with {', '.join(f'{name} {there}' for name, there, _ in said)}, "
        f"not with {', '.join(f'{name} {asked}' for name, _, asked in said)}"
    )
    with pytest.raises(errors.FolderError, match=message):
        folder.settle(wanted(tmp_path, dimensions, metric))
    assert (tmp_path / "index.json").read_bytes() == before


TITLE = config.VectorField(name="title", dimensions=2)
SQ8 = config.Quantization(kind="sq8")
CODED = config.VectorField(name="t", dimensions=3, late_interaction=True, quantization=SQ8)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"engine": "flat"}, "engine hnsw, not with engine flat"),
        ({"quantization": "sq8"}, "quantization none, not with quantization sq8"),
        ({"vectors": (TITLE,)}, "vector fields none, not with vector fields title:2"),
        ({"vectors": (CODED,)}, "vector fields none, not with vector fields t:3:tokens:sq8"),
    ],
)
def test_what_vectors_are_built_from_stays(tmp_path, change, said):
    """Segments hold graphs and codes that another engine or code could not read."""
    folder.settle(wanted(tmp_path, 3))
    with pytest.raises(errors.FolderError, match=said):
        folder.settle(folder.Wanted(tmp_path, **change))


def test_a_folder_remembers_all_of_its_index(tmp_path):
    """Engine, fields and schema are needed once, as dimensions are."""
    fields = (config.SchemaField(name="year", type="integer"),)
    first = folder.settle(
        folder.Wanted(
            tmp_path, 3, engine="flat", vectors=(TITLE,), fields=fields, text=("body",), language="german"
        )
    )
    assert folder.settle(folder.Wanted(tmp_path)) == first
    assert (first.serving.engine, first.serving.vectors) == ("flat", (TITLE,))
    assert first.metadata == config.Schema(fields=fields, text=("body",), language="german")


def test_another_schema_is_welcome(tmp_path):
    """Each part of it may change from one start to the next, and the others stay."""
    folder.settle(folder.Wanted(tmp_path, 3, text=("body",), language="german"))
    later = folder.settle(folder.Wanted(tmp_path, text=("title", "body"))).metadata
    assert (later.text, later.language) == (("title", "body"), "german")


def test_an_index_that_can_t_be_is_refused(tmp_path):
    """The models' own words, and nothing is written."""
    tokens = config.VectorField(name="tokens", dimensions=2, late_interaction=True)
    with pytest.raises(errors.FolderError, match="there can't be such an index: late interaction"):
        folder.settle(folder.Wanted(tmp_path, 3, "euclidean", vectors=(tokens,)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["title"], "'title' is not NAME:DIMENSIONS"),
        (["title:x"], "'title:x' is not NAME:DIMENSIONS"),
        (["title:2:late"], "is not NAME:DIMENSIONS, or NAME:DIMENSIONS:tokens, with :CODE behind it"),
        (["title:2:sq8:tokens"], "to compress: float16, sq8, pq, rabitq"),
        (["a b:2"], "a b:2: String should match"),
        (["values:2"], "can't be called values"),
        (["title:0"], "greater than or equal to 1"),
    ],
)
def test_vector_fields_that_are_none(texts, said):
    """Each is named, with the form that it should have."""
    with pytest.raises(typer.BadParameter, match=said):
        declared.vector_fields(texts)


def test_fields_from_options():
    """A name, a number or a type, whether there is a vector for each token, and how they are compressed."""
    tokens = config.VectorField(name="t", dimensions=3, late_interaction=True)
    assert declared.vector_fields(["title:2", "t:3:tokens"]) == (TITLE, tokens)
    plain = config.VectorField(name="a", dimensions=4, quantization=SQ8)
    assert declared.vector_fields(["t:3:tokens:sq8", "a:4:sq8"]) == (CODED, plain)
    assert [declared.named(field) for field in (TITLE, tokens, CODED, plain)] == [
        *("title:2", "t:3:tokens", "t:3:tokens:sq8", "a:4:sq8")
    ]
    assert declared.typed_fields(["a:b:integer"]) == (config.SchemaField(name="a:b", type="integer"),)
    with pytest.raises(typer.BadParameter, match="'a:int' is not NAME:TYPE, of the types keyword"):
        declared.typed_fields(["a:int"])


def test_another_profile_is_welcome(tmp_path):
    """It changes how the index is built from now on, not what its vectors mean."""
    first = folder.settle(wanted(tmp_path, 3, profile="latency"))
    second = folder.settle(wanted(tmp_path, profile="recall"))
    assert first.serving.hnsw.m < second.serving.hnsw.m
    assert folder.settle(wanted(tmp_path)) == second


def test_a_damaged_configuration_is_not_replaced(tmp_path):
    """Guessing could serve old vectors under a new meaning."""
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(errors.FolderError, match="is not the configuration of an index"):
        folder.settle(wanted(tmp_path, 3))


def test_a_folder_has_one_process(tmp_path):
    """A second one is refused, until the first lets go."""
    with (
        folder.claim(tmp_path / "new" / "folder"),
        pytest.raises(errors.FolderError, match="another process serves"),
        folder.claim(tmp_path / "new" / "folder"),
    ):
        pass
    with folder.claim(tmp_path / "new" / "folder"):
        pass


def test_a_folder_that_can_t_be_made_is_told(tmp_path):
    """A file in its place, for example."""
    (tmp_path / "file").touch()
    with pytest.raises(errors.FolderError, match="can't use"), folder.claim(tmp_path / "file"):
        pass

"""Files of rows: JSON Lines, Parquet and .npy; what is no row is named by file and line."""

import io
import json
import os
import re
import sys

import numpy as np
import pyarrow
import pytest
import typer
from pyarrow import parquet

from vectorfleet import rows
from vectorfleet.cli import inputs


@pytest.fixture
def read(monkeypatch):
    """Return a function that reads a file: its rows as dicts, and the problems."""

    def _read(path, *, ids=None, need_ids=True):
        problems = []
        source = inputs.open_source(
            str(path), lambda *problem: problems.append(problem), ids=ids, need_ids=need_ids
        )
        return [json.loads(rows.encode(row)) for row in source.rows], problems

    return _read


def write(path, text):
    """Write a text file and return its path."""
    path.write_text(text, encoding="utf-8")
    return path


def test_json_lines_become_rows(tmp_path, read):
    """One row a line; empty lines mean nothing."""
    path = write(
        tmp_path / "rows.jsonl",
        '{"id":"a","values":[1,2.5]}\n\n{"id":"b","values":[3,4],"metadata":{"x":["é"]}}',
    )
    assert read(path) == (
        [{"id": "a", "values": [1, 2.5]}, {"id": "b", "values": [3, 4], "metadata": {"x": ["é"]}}],
        [],
    )


def test_lines_may_have_vectors_of_fields(tmp_path, read):
    """One vector, or one for each token; null is none."""
    vectors = {"t": [1, 2], "u": [[1], [2]], "v": None}
    path = write(tmp_path / "rows.jsonl", json.dumps({"id": "a", "values": [1], "vectors": vectors}))
    assert read(path) == ([{"id": "a", "values": [1], "vectors": vectors}], [])


def test_lines_may_have_sparse_values(tmp_path, read):
    """As the API has them, under the name that Python has for them."""
    pairs = {"indices": [7, 2**32 - 1], "values": [0.5, 1.0]}
    lines = [
        {"id": "a", "values": [1], "sparse_values": pairs},
        {"id": "b", "values": [1], "sparse_values": None},
    ]
    path = write(tmp_path / "rows.jsonl", "\n".join(map(json.dumps, lines)))
    assert read(path) == ([{"id": "a", "values": [1], "sparseValues": pairs}, {"id": "b", "values": [1]}], [])


@pytest.mark.parametrize("as_json", [False, True], ids=["struct", "json"])
def test_a_parquet_column_may_hold_sparse_values(tmp_path, read, as_json):
    """A struct of two lists, as Pinecone's imports have it, or JSON; an empty cell is none."""
    pairs = {"indices": [7, 2**31], "values": [0.5, 1.0]}
    table = pyarrow.table(
        {
            "id": ["a", "b"],
            "values": [[1.0], [2.0]],
            "sparse_values": [json.dumps(pairs) if as_json else pairs, None],
        }
    )
    parquet.write_table(table, tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet") == (
        [{"id": "a", "values": [1], "sparseValues": pairs}, {"id": "b", "values": [2]}],
        [],
    )


@pytest.mark.parametrize("as_json", [False, True], ids=["struct", "json"])
def test_a_parquet_column_may_hold_vectors_of_fields(tmp_path, read, as_json):
    """A struct, or JSON; an empty cell is no vector."""
    first, second = {"t": [1.0, 2.0], "u": [[1.0], [2.0]]}, {"t": [3.0, 4.0], "u": None}
    cells = [json.dumps(one) if as_json else one for one in (first, second)]
    table = pyarrow.table({"id": ["a", "b"], "values": [[1.0], [2.0]], "vectors": cells, "x": [1, None]})
    parquet.write_table(table, tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet") == (
        [
            {"id": "a", "values": [1], "vectors": first, "metadata": {"x": 1}},
            {"id": "b", "values": [2], "vectors": {"t": [3.0, 4.0]}},
        ],
        [],
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"id":"a"}', "the row needs values, or a text"),
        ('{"values":[1]}', "the row has no id"),
        ('{"id":7,"values":[1]}', r"Expected `str \| null`, got `int` - at `\$.id`"),
        ('{"id":"","values":[1]}', "length >= 1"),
        (json.dumps({"id": "x" * 513, "values": [1]}), "length <= 512"),
        ('{"id":"a","values":[]}', "length >= 1"),
        ('{"id":"a","values":[1,"2"]}', r"at `\$.values\[1\]`"),
        ('{"id":"a","values":[NaN]}', "malformed"),
        ('{"id":"a","values":[1e999]}', "out of range"),
        ('{"id":"a","values":[1],"metadata":[]}', "Expected `object | null`"),
        ('{"id":"a","values":[1],"colour":"red"}', "unknown field `colour`"),
        ('{"id":"\xff"}', "."),
    ],
)
def test_a_bad_line_is_named_and_the_rest_is_read(tmp_path, read, line, message):
    """File and line are told; the lines around it are rows."""
    path = write(tmp_path / "rows.jsonl", f'{{"id":"a","values":[1]}}\n{line}\n{{"id":"c","values":[1]}}\n')
    found, [(where, what)] = read(path)
    assert [row["id"] for row in found] == ["a", "c"]
    assert where == f"{path}:2"
    assert what.isprintable()
    assert re.search(message, what)


def test_a_line_that_is_no_utf_8_is_named(tmp_path, read):
    """Bytes of another encoding are told, not guessed."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id":"\xe9","values":[1]}\n')
    assert [where for where, _ in read(path)[1]] == [f"{path}:1"]


def test_standard_input_is_json_lines(monkeypatch, read):
    """`-` reads standard input, and says so in complaints."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"id":"a","values":[1]}\nno\n')))
    found, problems = read("-")
    assert [row["id"] for row in found] == ["a"]
    assert problems[0][0] == "standard input:2"


def test_queries_need_no_ids(tmp_path, read):
    """A row without an id is known by its line."""
    path = write(tmp_path / "queries.jsonl", '{"values":[1]}\n{"id":"q","values":[1]}\n')
    assert [row["id"] for row in read(path, need_ids=False)[0]] == ["1", "q"]


def test_a_matrix_has_its_ids_beside_it(tmp_path, read):
    """One id a line; without a file of ids, rows are numbered from 0."""
    np.save(tmp_path / "m.npy", np.arange(4, dtype=np.float32).reshape(2, 2))
    ids = write(tmp_path / "ids.txt", "a b\né\n")
    assert read(tmp_path / "m.npy", ids=ids)[0] == [
        {"id": "a b", "values": [0, 1]},
        {"id": "é", "values": [2, 3]},
    ]
    assert [row["id"] for row in read(tmp_path / "m.npy")[0]] == ["0", "1"]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3, np.float32), r"shape \(3,\)"),
        (np.array([["a"]]), "not numbers"),
        (np.array([[None]]), "is no .npy file of numbers"),
    ],
)
def test_a_matrix_of_another_kind_is_refused(tmp_path, read, array, message):
    """Objects, which only pickle could read, included."""
    np.save(tmp_path / "m.npy", array, allow_pickle=True)
    with pytest.raises(typer.BadParameter, match=message) as caught:
        read(tmp_path / "m.npy")
    assert "pickle" not in str(caught.value)


def test_ids_and_rows_are_equally_many(tmp_path, read):
    """Else every id after the gap would be wrong."""
    np.save(tmp_path / "m.npy", np.zeros((3, 2)))
    with pytest.raises(typer.BadParameter, match="2 ids for 3 rows"):
        read(tmp_path / "m.npy", ids=write(tmp_path / "ids.txt", "a\nb\n"))


def test_a_row_of_a_matrix_without_an_id_is_named(tmp_path, read):
    """An empty line among the ids is one bad row."""
    np.save(tmp_path / "m.npy", np.zeros((2, 2)))
    found, [(where, what)] = read(tmp_path / "m.npy", ids=write(tmp_path / "ids.txt", "\nb\n"))
    assert [row["id"] for row in found] == ["b"]
    assert where == f"{tmp_path / 'm.npy'}: row 1"
    assert "id" in what


def test_lines_may_have_a_text_in_place_of_values(tmp_path, read):
    """One of the two, and not both."""
    lines = ['{"id":"a","text":"t"}', '{"id":"b"}', '{"id":"c","text":"t","values":[1]}']
    found, problems = read(write(tmp_path / "rows.jsonl", "\n".join(lines)))
    assert found == [{"id": "a", "text": "t"}]
    assert [(where[-1], what) for where, what in problems] == [
        (line, "the row needs values, or a text, and not both") for line in "23"
    ]


def test_parquet_without_values_has_texts(tmp_path, read):
    """Beside values, a column text is metadata, as any other."""
    columns = {"id": ["a"], "text": ["t"], "year": [2004]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet") == ([{"id": "a", "text": "t", "metadata": {"year": 2004}}], [])
    parquet.write_table(pyarrow.table(columns | {"values": [[1.0]]}), tmp_path / "rows.parquet")
    metadata = {"text": "t", "year": 2004}
    assert read(tmp_path / "rows.parquet") == ([{"id": "a", "values": [1], "metadata": metadata}], [])


def test_parquet_columns_are_id_values_and_metadata(tmp_path, read):
    """Metadata is JSON or a struct, other columns are fields of it, and empty cells are no fields."""
    table = pyarrow.table(
        {
            "id": ["a", "b"],
            "values": [[1.0, 2.0], [3.0, 4.0]],
            "metadata": ['{"x": 1}', None],
            "year": [2004, None],
        }
    )
    parquet.write_table(table, tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet") == (
        [{"id": "a", "values": [1, 2], "metadata": {"x": 1, "year": 2004}}, {"id": "b", "values": [3, 4]}],
        [],
    )


def test_a_bad_row_of_parquet_is_named(tmp_path, read):
    """By its number in the file."""
    table = pyarrow.table({"id": ["a", None, "c"], "values": [[1.0]] * 3, "metadata": ["{", None, "[]"]})
    parquet.write_table(table, tmp_path / "rows.parquet")
    found, problems = read(tmp_path / "rows.parquet")
    assert found == []
    assert [where.rpartition(": ")[2] for where, _ in problems] == ["row 1", "row 2", "row 3"]


def test_parquet_without_the_columns_is_refused(tmp_path, read):
    """What is missing and what is there are named."""
    parquet.write_table(pyarrow.table({"id": ["a"], "embedding": [[1.0]]}), tmp_path / "rows.parquet")
    with pytest.raises(typer.BadParameter, match="has no column values; its columns are id, embedding"):
        read(tmp_path / "rows.parquet")


@pytest.mark.parametrize("name", ["rows.parquet", "rows.npy"])
def test_a_file_that_is_not_what_its_suffix_says_is_refused(tmp_path, read, name):
    """In one line."""
    with pytest.raises(typer.BadParameter, match=f"{name} is no ") as caught:
        read(write(tmp_path / name, "hello"))
    assert "\n" not in str(caught.value)


def test_a_pipe_is_read_once(tmp_path, read):
    """As the shell's `<(zcat rows.jsonl.gz)` gives one: counting its lines first would use them up."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as end:
        end.write('{"id":"a","values":[1]}\n')
    assert read(f"/dev/fd/{reading}") == ([{"id": "a", "values": [1]}], [])
    os.close(reading)


def test_a_folder_is_no_file(tmp_path, read):
    """It is there, so "there is no file" would mislead."""
    with pytest.raises(typer.BadParameter, match="is a folder; name the files in it"):
        read(tmp_path)


def test_a_missing_file_is_refused(tmp_path, read):
    """Before anything is sent."""
    with pytest.raises(typer.BadParameter, match="there is no file"):
        read(tmp_path / "none.jsonl")

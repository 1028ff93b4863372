"""Rows from files of columns: Parquet, and numpy's .npy with its ids beside it."""

import dataclasses
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import typer

from .. import errors, rows


@dataclasses.dataclass(frozen=True)
class Cells:
    """One row as its file has it; nothing is checked yet.

    Attributes:
        metadata: of Parquet's column of this name: a struct, or JSON in a string.
        vectors: likewise; each field is one vector, or a list of them.
        text: of a file that has no values: what is to be embedded in their place.
        sparse_values: of Parquet's column of this name: a struct of two lists, or JSON in a string.
        others: the columns that have no meaning of their own: fields of metadata.
    """

    id: Any
    values: Any
    metadata: Any = None
    vectors: Any = None
    text: Any = None
    sparse_values: Any = None
    others: dict[str, Any] = dataclasses.field(default_factory=dict)


def open_npy(path: str, ids_path: pathlib.Path | None) -> tuple[int, Iterator[Cells]]:
    """Open a matrix (rows, dimensions); without ids, a row is known by its number from 0.

    Raises:
        typer.BadParameter: it is no such matrix, or ids and rows are not equally many.
    """
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise _bad_file(path, f"can't be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        # numpy's own words advise to load the file with pickle, which runs what it holds.
        raise _bad_file(path, "is no .npy file of numbers, as numpy.save writes it") from error
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        raise _bad_file(
            path,
            f"holds {matrix.dtype} in the shape {matrix.shape}, not numbers in the shape (rows, dimensions)",
        )
    ids = [str(number) for number in range(len(matrix))] if ids_path is None else _read_ids(ids_path)
    if len(ids) != len(matrix):
        raise typer.BadParameter(f"{len(ids)} ids for {len(matrix)} rows of {path}", param_hint="'--ids'")
    return len(matrix), (Cells(id_, values) for id_, values in zip(ids, matrix, strict=True))


def open_parquet(path: str) -> tuple[int, Iterator[Cells]]:
    """Open a Parquet file with the columns `id` and `values`, and perhaps others: its metadata.

    `vectors` and `sparse_values` are what they are of a row.

    In a file without `values`, `text` is what is to be embedded.

    Raises:
        typer.BadParameter: it is no such file, or pyarrow is not installed.
    """
    try:
        from pyarrow import lib, parquet  # noqa: PLC0415  # an extra, needed only here
    except ImportError:
        raise _bad_file(path, "needs an extra: pip install 'vectorfleet[parquet]'") from None
    try:
        file = parquet.ParquetFile(path)
    except (lib.ArrowException, OSError) as error:
        raise _bad_file(path, f"is no Parquet file: {error}") from error
    names = file.schema_arrow.names
    missing = sorted({"id", *(() if "text" in names else ("values",))} - set(names))
    if missing:
        raise _bad_file(path, f"has no column {' nor '.join(missing)}; its columns are {', '.join(names)}")
    return file.metadata.num_rows, _parquet_cells(file)


def metadata_of(cells: Cells) -> rows.Metadata | None:
    """Return a row's metadata, the empty cells left out; None where none is left.

    Raises:
        InvalidInputError: the column `metadata` holds something else than objects.
    """
    merged = cells.others | (_object_of("metadata", cells.metadata) or {})
    # A column has a cell in every row; an empty one says that this row has no such field.
    return {name: value for name, value in merged.items() if not _is_empty(value)} or None


def vectors_of(cells: Cells) -> rows.Vectors | None:
    """Return a row's vector fields, the empty ones left out; None where none is left.

    Raises:
        InvalidInputError: the column `vectors` holds something else than objects.
    """
    given = _object_of("vectors", cells.vectors) or {}
    return {name: value for name, value in given.items() if not _is_empty(value)} or None


def sparse_of(cells: Cells) -> rows.Metadata | None:
    """Return a row's sparse values, None for an empty cell.

    Raises:
        InvalidInputError: the column `sparse_values` holds something else than objects.
    """
    return _object_of("sparse_values", cells.sparse_values) or None


def _object_of(column: str, given: Any) -> dict[str, Any] | None:
    if isinstance(given, str):
        try:
            given = msgspec.json.decode(given)
        except msgspec.DecodeError as error:
            raise errors.InvalidInputError(f"its {column} is not JSON: {error}") from error
    if given is not None and not isinstance(given, dict):
        raise errors.InvalidInputError(f"its {column} is no JSON object, but {type(given).__name__}")
    return given


def _parquet_cells(file: Any) -> Iterator[Cells]:
    for batch in file.iter_batches(batch_size=1000):
        for row in batch.to_pylist():
            text = None if "values" in row else row.pop("text")
            id_, values = row.pop("id"), row.pop("values", None)
            metadata, vectors = row.pop("metadata", None), row.pop("vectors", None)
            yield Cells(id_, values, metadata, vectors, text, row.pop("sparse_values", None), row)


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _read_ids(path: pathlib.Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except OSError as error:
        raise typer.BadParameter(f"can't read {path}: {error.strerror}", param_hint="'--ids'") from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{path} is not UTF-8: {error}", param_hint="'--ids'") from error


def _bad_file(path: str, what: str) -> typer.BadParameter:
    return typer.BadParameter(" ".join(f"{path} {what}".split()), param_hint="'FILE'")

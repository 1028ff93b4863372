"""Rows from files, read as they are used: JSON Lines here, Parquet and .npy in `columns`.

A line that is no row is reported by file and line, and left out; the reader goes on.
"""

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import IO, Annotated, Any

import msgspec
import typer

from .. import errors, rows, sparse
from . import columns

STDIN = "-"

Report = Callable[[str, str], None]
"""Takes where a row is (file and line) and what is wrong with it."""

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of JSON Lines."""

    values: Annotated[list[float], msgspec.Meta(min_length=1)] | None = None
    text: str | None = None
    id: Id | None = None
    metadata: dict[str, Any] | None = None
    vectors: dict[str, list[Any] | None] | None = None
    sparse_values: sparse.SparseValues | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """The rows of one file, and how many there will be, as far as that can be told before reading."""

    count: int | None
    rows: Iterator[rows.RowLike]


def open_source(path: str, report: Report, *, ids: pathlib.Path | None, need_ids: bool) -> Source:
    """Open a file of rows by its suffix, or standard input for `-`.

    Args:
        path: `.npy`, `.parquet`, or anything else for JSON Lines.
        report: told of each line that is no row.
        ids: a file with one id a line, for the rows of a `.npy` file.
        need_ids: whether a line of JSON must have an id; else it is known by its number.

    Raises:
        typer.BadParameter: the file can't be read, or is not what its suffix says.
    """
    suffix = pathlib.Path(path).suffix.lower()
    if ids is not None and suffix != ".npy":
        raise typer.BadParameter(f"only .npy files need a file of ids, not {path}", param_hint="'--ids'")
    if path != STDIN and pathlib.Path(path).is_dir():
        raise typer.BadParameter(f"{path} is a folder; name the files in it", param_hint="'FILE'")
    if path != STDIN and not pathlib.Path(path).exists():
        raise typer.BadParameter(f"there is no file {path}", param_hint="'FILE'")
    match suffix:
        case ".npy":
            count, found = columns.open_npy(path, ids)
            return Source(count, _checked(found, path, report))
        case ".parquet":
            count, found = columns.open_parquet(path)
            return Source(count, _checked(found, path, report))
        case _:
            # A pipe, such as the shell's <(…), can be read only once.
            regular = path != STDIN and pathlib.Path(path).is_file()
            return Source(_count_lines(path) if regular else None, _lines(path, report, need_ids))


def _count_lines(path: str) -> int:
    try:
        with pathlib.Path(path).open("rb") as file:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    except OSError as error:
        raise typer.BadParameter(f"can't read {path}: {error.strerror}", param_hint="'FILE'") from error


def _lines(path: str, report: Report, need_ids: bool) -> Iterator[rows.RowLike]:
    name = "standard input" if path == STDIN else path
    decode = msgspec.json.Decoder(Line).decode
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = decode(line)
            except (msgspec.MsgspecError, ValueError) as error:
                report(f"{name}:{number}", " ".join(str(error).split()))
                continue
            if row.id is None and need_ids:
                report(f"{name}:{number}", "the row has no id")
                continue
            if (row.values is None) == (row.text is None):
                report(f"{name}:{number}", "the row needs values, or a text, and not both")
                continue
            id_ = row.id or str(number)
            yield rows.Parts(id_, row.values, row.metadata, row.vectors, row.text, row.sparse_values)


def _opened(path: str) -> contextlib.AbstractContextManager[IO[bytes]]:
    return contextlib.nullcontext(sys.stdin.buffer) if path == STDIN else pathlib.Path(path).open("rb")


def _checked(found: Iterator[columns.Cells], name: str, report: Report) -> Iterator[rows.RowLike]:
    for number, cells in enumerate(found, 1):
        try:
            metadata, vectors = columns.metadata_of(cells), columns.vectors_of(cells)
            pairs = columns.sparse_of(cells)
            yield rows.fields_of(rows.Parts(cells.id, cells.values, metadata, vectors, cells.text, pairs))
        except errors.InvalidInputError as error:
            report(f"{name}: row {number}", str(error))

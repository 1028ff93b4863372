"""Results on standard output: tables for people, JSON documents for programs.

What comes from the data is shown with its control characters escaped, so that no row can steer a terminal.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import rich.box
import rich.console
import rich.table
import rich.text
import typer
from numpy.typing import NDArray

NOT_A_TERMINAL_WIDTH = 10_000
"""Columns of a pipe: nothing that a program reads is cut."""


def write_json(value: object) -> None:
    """Write a value as one JSON document."""
    typer.echo(to_json(value))


def to_json(value: object) -> str:
    """Return a value as one JSON document, for people to read too."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2).decode()


def write_json_line(value: object) -> None:
    """Write a value as one line of JSON Lines."""
    typer.echo(msgspec.json.encode(value, enc_hook=_plain).decode())


def without_none(value: msgspec.Struct) -> dict[str, object]:
    """Return a struct's fields in the order of the wire, those that are None left out."""
    return {name: field for name, field in msgspec.structs.asdict(value).items() if field is not None}


def write_table(
    headings: Sequence[str], lines: Iterable[Sequence[object]], numbers: Iterable[str] = ()
) -> None:
    """Write a table; the columns named in `numbers` are aligned right."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    aligned = set(numbers)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in aligned else "left", overflow="fold")
    for line in lines:
        table.add_row(*(rich.text.Text(printable(str(cell))) for cell in line))
    width = None if sys.stdout.isatty() else NOT_A_TERMINAL_WIDTH
    rich.console.Console(width=width, highlight=False).print(table)


def printable(text: str) -> str:
    """Return a text with everything that is not printable escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def short_values(values: NDArray[np.float32] | None, count: int = 4) -> str:
    """Return the first values of a vector and how many there are."""
    if values is None:
        return ""
    shown = ", ".join(f"{value:g}" for value in values[:count])
    return f"[{shown}]" if len(values) <= count else f"[{shown}, … {len(values)} values]"


def short_json(value: object) -> str:
    """Return metadata as JSON, or nothing where there is none."""
    return msgspec.json.encode(value).decode() if value else ""


def _plain(value: object) -> Any:
    if isinstance(value, np.ndarray) and value.ndim > 1:
        return list(value)
    if isinstance(value, np.ndarray):
        # The shortest decimal that is the same float32, as it was sent.
        return [float(str(number)) for number in value]
    raise TypeError(f"{type(value).__name__} is no JSON type")

"""A client for the time of a command: a failed request ends it with one line and status 1."""

import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import typer

from .. import client, errors
from . import options


@contextlib.contextmanager
def connect(
    host: str, api_key: str | None, api_key_file: pathlib.Path | None, timeout: float
) -> Iterator[client.Client]:
    """Open a client; turn the SDK's errors into a message and an exit status."""
    key = options.key_of(api_key, api_key_file)
    try:
        opened = client.Client(host, key, timeout=timeout)
    except errors.InvalidInputError as error:
        raise typer.BadParameter(str(error), param_hint="'--host' / '--api-key'") from error
    with opened:
        try:
            yield opened
        except KeyboardInterrupt:
            complain("interrupted")
            sys.stdout.flush()
            # Requests in flight may wait long for a server that does not answer; nobody waits for them.
            os._exit(130)
        except errors.InvalidInputError as error:
            fail(str(error), status=2)
        except errors.VectorfleetError as error:
            fail(str(error))


def fail(message: str, status: int = 1) -> NoReturn:
    """Say why in one line, and end the command.

    Raises:
        typer.Exit: always.
    """
    complain(f"error: {message}")
    raise typer.Exit(status)


def complain(message: str) -> None:
    """Write a line to standard error."""
    typer.echo(f"vectorfleet: {message}", err=True)


def json_object(text: str | None, name: str) -> dict[str, Any] | None:
    """Return an option's JSON object, or None where it was not given.

    Raises:
        typer.BadParameter: it is none.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=f"'{name}'") from error
    if not isinstance(value, dict):
        raise typer.BadParameter(
            f'a JSON object such as {{"colour": "red"}}, not {text}', param_hint=f"'{name}'"
        )
    return value

"""`vectorfleet docs`: the description of an index's API, as a page or as OpenAPI."""

import pathlib
from typing import Annotated

import typer

from . import options, output, session


def docs(
    *,
    openapi: Annotated[
        bool, typer.Option("--openapi", help="As OpenAPI 3.1, for programs, in place of a page.")
    ] = False,
    out: Annotated[
        pathlib.Path | None,
        typer.Option("--out", show_default=False, help="File to write; standard output otherwise."),
    ] = None,
    host: options.Host = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    api_key_file: options.ApiKeyFile = None,
    timeout: options.Timeout = 30.0,
) -> None:
    """Write the description of an index's API.

    A page of HTML that needs no network, or with --openapi a document for programs.
    """
    with session.connect(host, api_key, api_key_file, timeout) as index:
        text = output.to_json(index.openapi()) if openapi else index.docs()
    if out is None:
        typer.echo(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        session.fail(f"can't write {out}: {error.strerror}")

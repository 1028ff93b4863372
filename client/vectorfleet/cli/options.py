"""Options that several commands share, and how the API key is found without being shown."""

import enum
import pathlib
from typing import Annotated

import typer

DEFAULT_URL = "http://127.0.0.1:8080"


class Output(enum.StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"


Host = Annotated[str, typer.Option("--host", envvar="VECTORFLEET_URL", help="Address of the index.")]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="VECTORFLEET_API_KEY",
        show_default=False,
        help="API key. The environment or --api-key-file keep it out of the list of processes.",
    ),
]
ApiKeyFile = Annotated[
    pathlib.Path | None,
    typer.Option("--api-key-file", show_default=False, help="File that holds the API key."),
]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace; empty is the default one.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.001, help="Seconds that one attempt may take.")]
Format = Annotated[Output, typer.Option("--output", "-o", help="How the result is written.")]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter", show_default=False, help='Filter on metadata, as JSON: {"year": {"$gte": 2004}}'
    ),
]


def key_of(api_key: str | None, file: pathlib.Path | None) -> str:
    """Return the API key from a file, the option or the environment.

    Raises:
        typer.BadParameter: there is none.
    """
    if file is not None:
        try:
            api_key = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise typer.BadParameter(f"can't read {file}: {why}", param_hint="'--api-key-file'") from error
    if not api_key:
        raise typer.BadParameter(
            "an API key is needed: set VECTORFLEET_API_KEY, or give --api-key-file or --api-key",
            param_hint="'--api-key'",
        )
    return api_key

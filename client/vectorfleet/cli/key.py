"""`vectorfleet key`: a new API key, and the entry that grants it without holding it."""

import datetime
import enum
import hashlib
import pathlib
import secrets
from typing import Annotated

import msgspec
import typer

from . import output, session

_BYTES = 32


class Role(enum.StrEnum):
    """What a key allows; each includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


def key(  # noqa: PLR0913  # a command's options are its parameters
    *,
    role: Annotated[Role, typer.Option(help="What it allows; each includes those before.")] = Role.READ,
    namespace: Annotated[
        list[str] | None,
        typer.Option(help="A namespace that it allows, may be given more than once; all where not given."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until it expires; never where not given.")
    ] = None,
    requests_per_second: Annotated[
        float | None, typer.Option(min=0.001, help="Requests a second, of each gateway; any where not given.")
    ] = None,
    burst: Annotated[
        float | None,
        typer.Option(min=1, help="Requests at once after a pause; a second of them where not given."),
    ] = None,
    rows_per_second: Annotated[
        float | None, typer.Option(min=0.001, help="Rows upserted a second, of each gateway.")
    ] = None,
    requests_per_day: Annotated[
        int | None, typer.Option(min=1, help="Requests from midnight to midnight (UTC), of each gateway.")
    ] = None,
    entry_file: Annotated[
        pathlib.Path | None,
        typer.Option(help="Write the entry into this new file, and only the key to standard output."),
    ] = None,
) -> None:
    """Make an API key.

    The entry holds the key's digest. Put it into the Secret of the keys, or into the gateway's folder of
    keys; the key itself is shown once, and stored nowhere.
    """
    made = "vf-" + secrets.token_urlsafe(_BYTES)
    expires = None
    if days is not None:
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        expires = now + datetime.timedelta(days=days)
    entry = {"sha256": hashlib.sha256(made.encode()).hexdigest(), "role": role.value}
    limits = _given(
        requestsPerSecond=requests_per_second,
        burst=burst,
        rowsPerSecond=rows_per_second,
        requestsPerDay=requests_per_day,
    )
    granted = entry | _given(namespaces=namespace, expires=expires, limits=limits or None)
    if entry_file is None:
        output.write_json({"key": made, "entry": granted})
        return
    try:
        with entry_file.open("xb") as target:
            target.write(msgspec.json.encode(granted) + b"\n")
    except OSError as problem:
        session.fail(f"can't write {entry_file}: {problem.strerror or problem}")
    typer.echo(made)


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}

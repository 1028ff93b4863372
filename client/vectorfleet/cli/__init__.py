"""The `vectorfleet` command: the data of an index from the shell, and whole indexes on this machine.

Every command ends with 0 when all went well, 1 when something failed, 2 when it was called wrongly. Results
go to standard output; progress and complaints to standard error.
"""

import importlib
import importlib.util
from typing import Annotated

import typer

from .. import version
from . import data, docs, key, query, serve, upsert

app = typer.Typer(
    name="vectorfleet",
    help="Vector search clusters: run an index on this machine, and read and write the data of any.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,  # a pretty traceback could show an API key
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vectorfleet {version.VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version, and do nothing else."
        ),
    ] = False,
) -> None:
    pass


app.command("upsert")(upsert.upsert)
app.command("query")(query.query)
app.command("fetch")(data.fetch)
app.command("delete")(data.delete)
app.command("list")(data.list_ids)
app.command("stats")(data.stats)
app.command("docs")(docs.docs)
app.command("key")(key.key)
app.command("serve")(serve.serve)


def _add_local() -> None:
    # The local cluster's commands stand apart, so that this module does not know them by name only to fail.
    name = f"{__name__}.local"
    if importlib.util.find_spec(name) is None:
        return
    local = importlib.import_module(name)
    if isinstance(getattr(local, "app", None), typer.Typer):
        app.add_typer(local.app)
        return
    for command in ("up", "status", "down"):
        app.command(command)(getattr(local, command))


_add_local()


def main() -> None:
    """Run the command."""
    app()

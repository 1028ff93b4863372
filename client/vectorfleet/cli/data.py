"""`vectorfleet fetch | delete | list | stats`: rows by id, and what an index holds."""

from typing import Annotated

import typer

from . import options, output, session

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of rows.")]

PAGE_SIZE = 1000


def fetch(  # noqa: PLR0913  # a command's options are its parameters
    ids: Ids,
    *,
    host: options.Host = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    api_key_file: options.ApiKeyFile = None,
    namespace: options.Namespace = "",
    timeout: options.Timeout = 30.0,
    output_as: options.Format = options.Output.TABLE,
) -> None:
    """Show rows by id.

    Ids that don't exist are named on standard error, and the exit status is then 1.
    """
    with session.connect(host, api_key, api_key_file, timeout) as index:
        found = index.fetch(ids, namespace=namespace).vectors
    present = [found[id_] for id_ in dict.fromkeys(ids) if id_ in found]
    if output_as is options.Output.JSON:
        output.write_json({"vectors": [output.without_none(row) for row in present], "namespace": namespace})
    else:
        lines = [
            (row.id, output.short_values(row.values), output.short_json(row.metadata)) for row in present
        ]
        output.write_table(["id", "values", "metadata"], lines)
    missing = [id_ for id_ in dict.fromkeys(ids) if id_ not in found]
    if missing:
        session.fail(output.printable(f"there is no row {', '.join(missing)}"))


def delete(  # noqa: PLR0913  # a command's options are its parameters
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of rows.")] = None,
    *,
    filter_: options.Filter = None,
    everything: Annotated[bool, typer.Option("--all", help="Every row of the namespace.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --all.")] = False,
    host: options.Host = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    api_key_file: options.ApiKeyFile = None,
    namespace: options.Namespace = "",
    timeout: options.Timeout = 30.0,
) -> None:
    """Delete rows by id, by filter, or all of a namespace.

    Ids that don't exist are no error.
    """
    if bool(ids) + (filter_ is not None) + everything != 1:
        raise typer.BadParameter("give one of ids, --filter and --all", param_hint="'ID'")
    filter_by = session.json_object(filter_, "--filter")
    if everything and not yes:
        where = f"namespace {namespace!r}" if namespace else "the default namespace"
        typer.confirm(f"Delete every row of {where} at {host}?", abort=True, err=True)
    with session.connect(host, api_key, api_key_file, timeout) as index:
        index.delete(ids or None, filter=filter_by, delete_all=everything, namespace=namespace)


def list_ids(  # noqa: PLR0913  # a command's options are its parameters
    prefix: Annotated[str, typer.Argument(help="How the ids begin.")] = "",
    *,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, show_default=False, help="At most this many.")
    ] = None,
    host: options.Host = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    api_key_file: options.ApiKeyFile = None,
    namespace: options.Namespace = "",
    timeout: options.Timeout = 30.0,
    output_as: options.Format = options.Output.TABLE,
) -> None:
    """List ids in order.

    One a line; as JSON, each line is an object, so that it streams.
    """
    left = limit
    with session.connect(host, api_key, api_key_file, timeout) as index:
        for page in index.list(prefix, namespace=namespace, page_size=min(left or PAGE_SIZE, PAGE_SIZE)):
            for id_ in page.ids[:left]:
                if output_as is options.Output.JSON:
                    output.write_json_line({"id": id_})
                else:
                    typer.echo(output.printable(id_))
            left = None if left is None else left - len(page.ids)
            if left is not None and left <= 0:
                return


def stats(
    *,
    filter_: options.Filter = None,
    host: options.Host = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    api_key_file: options.ApiKeyFile = None,
    timeout: options.Timeout = 30.0,
    output_as: options.Format = options.Output.TABLE,
) -> None:
    """Count the rows by namespace.

    All of them, or those that pass a filter.
    """
    filter_by = session.json_object(filter_, "--filter")
    with session.connect(host, api_key, api_key_file, timeout) as index:
        found = index.stats(filter=filter_by)
    if output_as is options.Output.JSON:
        output.write_json(found)
        return
    lines = [
        (name or "(default)", f"{count.vector_count:,}") for name, count in sorted(found.namespaces.items())
    ]
    lines.append(("total", f"{found.total_vector_count:,}"))
    output.write_table(["namespace", "rows"], lines, numbers=["rows"])
    metric = f", {found.metric}" if found.metric else ""
    typer.echo(f"{found.dimension} dimensions{metric}")

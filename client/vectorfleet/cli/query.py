"""`vectorfleet query`: the nearest rows of a vector, of a row, or of each row of a file."""

import dataclasses
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer

from .. import client, results, rows
from . import inputs, options, output, progress, session


@dataclasses.dataclass(frozen=True)
class Asked:
    """What every query of one command has in common."""

    top_k: int
    namespace: str
    filter: dict[str, Any] | None
    include_values: bool
    include_metadata: bool


def query(  # noqa: PLR0913  # a command's options are its parameters
    vector: Annotated[
        str | None, typer.Argument(help="The vector as a JSON array: '[0.1, 0.2]'; - is standard input.")
    ] = None,
    *,
    id_: Annotated[
        str | None, typer.Option("--id", show_default=False, help="Id of a row, in its place.")
    ] = None,
    input_: Annotated[
        str | None,
        typer.Option("--input", show_default=False, help="A file of rows, as for upsert: a query for each."),
    ] = None,
    host: options.Host = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    api_key_file: options.ApiKeyFile = None,
    namespace: options.Namespace = "",
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=10_000, help="Number of matches.")] = 10,
    filter_: options.Filter = None,
    include_values: Annotated[bool, typer.Option("--include-values", help="Show the vectors.")] = False,
    include_metadata: Annotated[
        bool, typer.Option("--include-metadata/--no-include-metadata", help="Show the metadata.")
    ] = True,
    timeout: options.Timeout = 30.0,
    output_as: options.Format = options.Output.TABLE,
) -> None:
    """Find the rows nearest to a vector, best first.

    Scores are cosine similarity, dot product, or squared Euclidean distance, by the index's metric.
    With --input, the JSON form is one document a line, each with the query's id.
    """
    if [vector, id_, input_].count(None) != 2:
        raise typer.BadParameter("give one of VECTOR, --id and --input", param_hint="'VECTOR'")
    filter_by = session.json_object(filter_, "--filter")
    asked = Asked(top_k, namespace, filter_by, include_values, include_metadata)
    if input_ is not None:
        with session.connect(host, api_key, api_key_file, timeout) as index:
            _query_each(index, input_, asked, output_as)
        return
    values = None if vector is None else _vector_of(vector)
    with session.connect(host, api_key, api_key_file, timeout) as index:
        _show(index.query(values, id=id_, **dataclasses.asdict(asked)), asked, output_as)


def _query_each(index: client.Client, path: str, asked: Asked, output_as: options.Output) -> None:
    bad_lines: list[str] = []

    def report(where: str, what: str) -> None:
        bad_lines.append(where)
        session.complain(output.printable(f"{where}: {what}"))

    source = inputs.open_source(path, report, ids=None, need_ids=False)
    with progress.rows_bar("query", source.count) as show:
        answers = _answers(index, source, asked)
        found = []
        for number, (id_, answer) in enumerate(answers, 1):
            show(number)
            if output_as is options.Output.JSON:
                output.write_json_line({"query": id_, **_document(answer)})
            else:
                found += [(id_, *line) for line in _lines(answer, asked)]
    if output_as is options.Output.TABLE:
        output.write_table(["query", *_headings(asked)], found, numbers=["score"])
    if bad_lines:
        raise typer.Exit(1)


def _answers(
    index: client.Client, source: inputs.Source, asked: Asked
) -> Iterator[tuple[str, results.QueryResult]]:
    for row in source.rows:
        id_, values, _ = rows.fields_of(row)
        yield id_, index.query(values, **dataclasses.asdict(asked))


def _vector_of(text: str) -> list[float]:
    if text == inputs.STDIN:
        text = sys.stdin.read()
    try:
        return msgspec.json.decode(text, type=list[float])
    except (msgspec.MsgspecError, ValueError) as error:
        raise typer.BadParameter(
            f"a JSON array of numbers such as '[0.1, 0.2]' is needed: {error}", param_hint="'VECTOR'"
        ) from error


def _document(answer: results.QueryResult) -> dict[str, object]:
    return {
        "matches": [output.without_none(match) for match in answer.matches],
        "namespace": answer.namespace,
    }


def _show(answer: results.QueryResult, asked: Asked, output_as: options.Output) -> None:
    if output_as is options.Output.JSON:
        output.write_json(_document(answer))
    else:
        output.write_table(_headings(asked), _lines(answer, asked), numbers=["score"])


def _headings(asked: Asked) -> list[str]:
    values = ["values"] if asked.include_values else []
    return ["id", "score", *values, *(["metadata"] if asked.include_metadata else [])]


def _lines(answer: results.QueryResult, asked: Asked) -> Iterator[list[str]]:
    for match in answer.matches:
        values = [output.short_values(match.values)] if asked.include_values else []
        metadata = [output.short_json(match.metadata)] if asked.include_metadata else []
        yield [match.id, f"{match.score:.6g}", *values, *metadata]

"""`vectorfleet query`: the best rows by a vector, a row, a text, vector and text, or each row of a file."""

import dataclasses
import enum
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer

from .. import client, queries, results, rows
from . import inputs, options, output, progress, session


@dataclasses.dataclass(frozen=True)
class Asked:
    """What every query of one command has in common."""

    top_k: int
    namespace: str
    filter: dict[str, Any] | None
    include_values: bool
    include_metadata: bool
    vectors: dict[str, Any] | None = None
    weights: dict[str, float] | None = None
    text: str | None = None
    search: queries.Search | None = None
    fusion: queries.Fusion | None = None
    rerank: queries.Rerank | None = None
    params: queries.SearchParams | None = None
    explain: bool = False
    allow_partial: bool = False
    group_by: queries.GroupBy | None = None


class Search(enum.StrEnum):
    """How a text is searched."""

    VECTOR = "vector"
    TEXT = "text"
    HYBRID = "hybrid"


class Method(enum.StrEnum):
    """How the lists by vector and by text become one."""

    RRF = "rrf"
    WEIGHTED = "weighted"


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
    text: Annotated[
        str | None,
        typer.Option("--text", show_default=False, help="A text to search for; beside a vector, both count."),
    ] = None,
    search: Annotated[
        Search | None,
        typer.Option(
            "--search",
            show_default="each that the index has",
            help="How the text is searched: by its vector, by its words (text), or by both.",
        ),
    ] = None,
    vectors: Annotated[
        str | None,
        typer.Option(
            "--vectors", show_default=False, help='Vectors of vector fields, as JSON: {"title": [0.1, 0.2]}'
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", show_default=False, help='What each counts for: {"values": 1, "title": 2}'),
    ] = None,
    fusion: Annotated[
        Method | None, typer.Option("--fusion", show_default="rrf", help="How vector and text are fused.")
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            "--alpha", min=0, max=1, show_default=False, help="weighted: what the vector counts for."
        ),
    ] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Order the first matches anew, by the index's reranker.")
    ] = False,
    rerank_field: Annotated[
        str | None,
        typer.Option("--rerank-field", show_default=False, help="The metadata field that it judges."),
    ] = None,
    rerank_candidates: Annotated[
        int | None,
        typer.Option(
            "--rerank-candidates", min=1, max=1000, show_default="50", help="How many matches it looks at."
        ),
    ] = None,
    host: options.Host = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    api_key_file: options.ApiKeyFile = None,
    namespace: options.Namespace = "",
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=10_000, help="Number of matches.")] = 10,
    filter_: options.Filter = None,
    include_values: Annotated[
        bool, typer.Option("--include-values", help="Show the vectors; those of fields in JSON alone.")
    ] = False,
    include_metadata: Annotated[
        bool, typer.Option("--include-metadata/--no-include-metadata", help="Show the metadata.")
    ] = True,
    ef_search: Annotated[
        int | None, typer.Option("--ef-search", min=1, show_default=False, help="HNSW: candidates.")
    ] = None,
    probes: Annotated[
        int | None, typer.Option("--probes", min=1, show_default=False, help="IVF: lists to look into.")
    ] = None,
    oversampling: Annotated[
        int | None,
        typer.Option(
            "--oversampling",
            min=1,
            show_default=False,
            help="Candidates scored anew, as a multiple of top-k.",
        ),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every row.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Tell what was done, in the JSON form.")] = False,
    allow_partial: Annotated[
        bool,
        typer.Option("--allow-partial", help="Take an answer that lacks shards which can't answer; said so."),
    ] = False,
    group_by: Annotated[
        str | None,
        typer.Option("--group-by", show_default=False, help="A metadata field; --top-k counts groups then."),
    ] = None,
    group_rows: Annotated[int, typer.Option("--group-rows", min=1, max=100, help="Rows of each group.")] = 1,
    timeout: options.Timeout = 30.0,
    output_as: options.Format = options.Output.TABLE,
) -> None:
    """Find the best rows for a vector, a text, or both, best first.

    Scores are cosine similarity, dot product, or squared Euclidean distance, by the index's metric; of a
    text BM25's. With --input, the JSON form is one document a line, each with the query's id.
    """
    given = [one for one in (vector, id_, input_) if one is not None]
    if len(given) > 1 or not (given or text or vectors):
        raise typer.BadParameter(
            "give one of VECTOR, --id and --input, or --text or --vectors", param_hint="'VECTOR'"
        )
    hard = queries.SearchParams(ef_search=ef_search, exact=exact, probes=probes, oversampling=oversampling)
    asked = Asked(
        top_k=top_k,
        namespace=namespace,
        filter=session.json_object(filter_, "--filter"),
        include_values=include_values,
        include_metadata=include_metadata,
        vectors=session.json_object(vectors, "--vectors"),
        weights=session.json_object(weights, "--weights"),
        text=text,
        search=None if search is None else search.value,
        fusion=_fusion_of(fusion, alpha),
        rerank=_rerank_of(rerank, rerank_field, rerank_candidates),
        params=None if hard == queries.SearchParams() else hard,
        explain=explain,
        allow_partial=allow_partial,
        group_by=None if group_by is None else queries.GroupBy(group_by, group_rows),
    )
    if input_ is not None:
        with session.connect(host, api_key, api_key_file, timeout) as index:
            _query_each(index, input_, asked, output_as)
        return
    values = None if vector is None else _vector_of(vector)
    with session.connect(host, api_key, api_key_file, timeout) as index:
        answer = index.query(values, id=id_, **_arguments(asked))
    _tell_missing(answer)
    _show(answer, asked, output_as)


def _rerank_of(wanted: bool, field: str | None, candidates: int | None) -> queries.Rerank | None:
    if not wanted and field is None and candidates is None:
        return None
    return queries.Rerank(field=field, candidates=candidates)


def _fusion_of(method: Method | None, alpha: float | None) -> queries.Fusion | None:
    if method is None and alpha is None:
        return None
    if method is not Method.WEIGHTED and alpha is not None:
        raise typer.BadParameter("needs --fusion weighted", param_hint="'--alpha'")
    return queries.Fusion(method="rrf" if method is Method.RRF else "weighted", alpha=alpha)


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
        parts = rows.fields_of(row)
        own = {"vectors": parts.vectors, "text": parts.text}
        answer = index.query(parts.values, **_arguments(asked, own))
        _tell_missing(answer)
        yield parts.id, answer


def _arguments(asked: Asked, own: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what the client is asked; a row's own vectors and text go before those of all."""
    given = {field.name: getattr(asked, field.name) for field in dataclasses.fields(asked)}
    return given | {name: value for name, value in (own or {}).items() if value}


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
    document: dict[str, object] = {
        "matches": [output.without_none(match) for match in answer.matches],
        "namespace": answer.namespace,
    }
    if answer.groups:
        document["groups"] = [
            {"value": group.value, "matches": [output.without_none(match) for match in group.matches]}
            for group in answer.groups
        ]
        document["complete"] = answer.complete
    if answer.explain:
        document["explain"] = answer.explain
    if answer.partial:
        document |= {"partial": True, "missingShards": answer.missing_shards}
    return document


def _show(answer: results.QueryResult, asked: Asked, output_as: options.Output) -> None:
    if output_as is options.Output.JSON:
        output.write_json(_document(answer))
    else:
        output.write_table(_headings(asked), _lines(answer, asked), numbers=["score"])


def _tell_missing(answer: results.QueryResult) -> None:
    for one in answer.missing_shards:
        session.complain(output.printable(f"the answer is partial: {one.message}"))
    if not answer.complete:
        session.complain("there may be better groups than these: too many rows are in no group")


def _headings(asked: Asked) -> list[str]:
    values = ["values"] if asked.include_values else []
    group = [asked.group_by.field] if asked.group_by else []
    return [*group, "id", "score", *values, *(["metadata"] if asked.include_metadata else [])]


def _lines(answer: results.QueryResult, asked: Asked) -> Iterator[list[str]]:
    found: list[tuple[list[str], results.Match]] = [([], match) for match in answer.matches]
    found += [([str(group.value)], match) for group in answer.groups for match in group.matches]
    for group, match in found:
        values = [output.short_values(match.values)] if asked.include_values else []
        metadata = [output.short_json(match.metadata)] if asked.include_metadata else []
        yield [*group, match.id, f"{match.score:.6g}", *values, *metadata]

"""`vectorfleet query`: the best rows by a vector, a row, a text, vector and text, or each row of a file."""

import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import typer

from .. import client, queries, results, rows
from . import groups, inputs, options, output, progress, query_options, session


@dataclasses.dataclass(frozen=True)
class Asked:
    """What every query of one command has in common."""

    top_k: int
    namespace: str
    filter: dict[str, Any] | None
    include_values: bool
    include_metadata: bool
    sparse_vector: dict[str, Any] | None = None
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


@groups.grouped
def query(
    *,
    question: query_options.Question,
    ordering: query_options.Ordering,
    place: query_options.Place,
    taken: query_options.Taken,
    effort: query_options.Effort,
    telling: query_options.Telling,
) -> None:
    """Find the best rows for a vector, a text, or both, best first.

    Scores are cosine similarity, dot product, or squared Euclidean distance, by the index's metric; of a
    text BM25's. With --input, the JSON form is one document a line, each with the query's id.
    """
    given = [one for one in (question.vector, question.id_, question.input_) if one is not None]
    if len(given) > 1 or not (given or question.text or question.vectors):
        raise typer.BadParameter(
            "give one of VECTOR, --id and --input, or --text or --vectors", param_hint="'VECTOR'"
        )
    asked = _settle(question, taken, place.namespace) | _how(ordering, effort, telling)
    _ask(question, place, Asked(**asked), telling)


def _ask(
    question: query_options.Question,
    place: query_options.Place,
    asked: Asked,
    telling: query_options.Telling,
) -> None:
    values = None if question.vector is None else _vector_of(question.vector)
    with session.connect(place.host, place.api_key, place.api_key_file, telling.timeout) as index:
        if question.input_ is not None:
            _query_each(index, question.input_, asked, telling.output_as)
            return
        answer = index.query(values, id=question.id_, **_arguments(asked))
    _tell_missing(answer)
    _show(answer, asked, telling.output_as)


def _settle(question: query_options.Question, taken: query_options.Taken, namespace: str) -> dict[str, Any]:
    """Return what is looked for, and which matches are taken."""
    return {
        "top_k": taken.top_k,
        "namespace": namespace,
        "filter": session.json_object(taken.filter_, "--filter"),
        "include_values": taken.include_values,
        "include_metadata": taken.include_metadata,
        "sparse_vector": session.json_object(question.sparse, "--sparse"),
        "vectors": session.json_object(question.vectors, "--vectors"),
        "weights": session.json_object(question.weights, "--weights"),
        "text": question.text,
        "search": None if question.search is None else question.search.value,
    }


def _how(
    ordering: query_options.Ordering, effort: query_options.Effort, telling: query_options.Telling
) -> dict[str, Any]:
    """Return how it is searched, ordered and told."""
    hard = queries.SearchParams(**dataclasses.asdict(effort))
    return {
        "fusion": _fusion_of(ordering.fusion, ordering.alpha),
        "rerank": _rerank_of(ordering.rerank, ordering.rerank_field, ordering.rerank_candidates),
        "params": None if hard == queries.SearchParams() else hard,
        "explain": telling.explain,
        "allow_partial": telling.allow_partial,
        "group_by": None
        if telling.group_by is None
        else queries.GroupBy(telling.group_by, telling.group_rows),
    }


def _rerank_of(wanted: bool, field: str | None, candidates: int | None) -> queries.Rerank | None:
    if not wanted and field is None and candidates is None:
        return None
    return queries.Rerank(field=field, candidates=candidates)


def _fusion_of(method: query_options.Method | None, alpha: float | None) -> queries.Fusion | None:
    if method is None and alpha is None:
        return None
    if method is not query_options.Method.WEIGHTED and alpha is not None:
        raise typer.BadParameter("needs --fusion weighted", param_hint="'--alpha'")
    return queries.Fusion(method="rrf" if method is query_options.Method.RRF else "weighted", alpha=alpha)


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
        own = {"vectors": parts.vectors, "text": parts.text, "sparse_vector": parts.sparse_values}
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

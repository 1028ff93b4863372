"""The options of `vectorfleet query`, by what they are about."""

import dataclasses
import enum
from typing import Annotated

import typer

from . import options


class Search(enum.StrEnum):
    """How a text is searched."""

    VECTOR = "vector"
    TEXT = "text"
    HYBRID = "hybrid"


class Method(enum.StrEnum):
    """How the lists by vector and by text become one."""

    RRF = "rrf"
    WEIGHTED = "weighted"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """What is looked for."""

    vector: Annotated[
        str | None, typer.Argument(help="The vector as a JSON array: '[0.1, 0.2]'; - is standard input.")
    ] = None
    id_: Annotated[
        str | None, typer.Option("--id", show_default=False, help="Id of a row, in its place.")
    ] = None
    input_: Annotated[
        str | None,
        typer.Option("--input", show_default=False, help="A file of rows, as for upsert: a query for each."),
    ] = None
    text: Annotated[
        str | None,
        typer.Option("--text", show_default=False, help="A text to search for; beside a vector, both count."),
    ] = None
    search: Annotated[
        Search | None,
        typer.Option(
            "--search",
            show_default="each that the index has",
            help="How the text is searched: by its vector, by its words (text), or by both.",
        ),
    ] = None
    vectors: Annotated[
        str | None,
        typer.Option(
            "--vectors", show_default=False, help='Vectors of vector fields, as JSON: {"title": [0.1, 0.2]}'
        ),
    ] = None
    sparse: Annotated[
        str | None,
        typer.Option(
            "--sparse",
            show_default=False,
            help='Sparse values beside the vector, as JSON: {"indices": [7], "values": [0.5]}',
        ),
    ] = None
    weights: Annotated[
        str | None,
        typer.Option("--weights", show_default=False, help='What each counts for: {"values": 1, "title": 2}'),
    ] = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ordering:
    """How lists become one, and how that is ordered."""

    fusion: Annotated[
        Method | None, typer.Option("--fusion", show_default="rrf", help="How vector and text are fused.")
    ] = None
    alpha: Annotated[
        float | None,
        typer.Option(
            "--alpha", min=0, max=1, show_default=False, help="weighted: what the vector counts for."
        ),
    ] = None
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Order the first matches anew, by the index's reranker.")
    ] = False
    rerank_field: Annotated[
        str | None,
        typer.Option("--rerank-field", show_default=False, help="The metadata field that it judges."),
    ] = None
    rerank_candidates: Annotated[
        int | None,
        typer.Option(
            "--rerank-candidates", min=1, max=1000, show_default="50", help="How many matches it looks at."
        ),
    ] = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Which index, by which key, and which namespace."""

    host: options.Host = options.DEFAULT_URL
    api_key: options.ApiKey = None
    api_key_file: options.ApiKeyFile = None
    namespace: options.Namespace = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Taken:
    """Which matches are taken, and what is shown of each."""

    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=10_000, help="Number of matches.")] = 10
    filter_: options.Filter = None
    include_values: Annotated[
        bool, typer.Option("--include-values", help="Show the vectors; those of fields in JSON alone.")
    ] = False
    include_metadata: Annotated[
        bool, typer.Option("--include-metadata/--no-include-metadata", help="Show the metadata.")
    ] = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Effort:
    """How hard is searched."""

    ef_search: Annotated[
        int | None, typer.Option("--ef-search", min=1, show_default=False, help="HNSW: candidates.")
    ] = None
    probes: Annotated[
        int | None, typer.Option("--probes", min=1, show_default=False, help="IVF: lists to look into.")
    ] = None
    oversampling: Annotated[
        int | None,
        typer.Option(
            "--oversampling",
            min=1,
            show_default=False,
            help="Candidates scored anew, as a multiple of top-k.",
        ),
    ] = None
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every row.")] = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Telling:
    """What is told, and how."""

    explain: Annotated[bool, typer.Option("--explain", help="Tell what was done, in the JSON form.")] = False
    allow_partial: Annotated[
        bool,
        typer.Option("--allow-partial", help="Take an answer that lacks shards which can't answer; said so."),
    ] = False
    group_by: Annotated[
        str | None,
        typer.Option("--group-by", show_default=False, help="A metadata field; --top-k counts groups then."),
    ] = None
    group_rows: Annotated[int, typer.Option("--group-rows", min=1, max=100, help="Rows of each group.")] = 1
    timeout: options.Timeout = 30.0
    output_as: options.Format = options.Output.TABLE

"""The options of `vectorfleet serve`, by what they are about."""

import dataclasses
import enum
import pathlib
from typing import Annotated

import typer

from . import options


class Metric(enum.StrEnum):
    """How two vectors are compared."""

    COSINE = "cosine"
    DOTPRODUCT = "dotproduct"
    EUCLIDEAN = "euclidean"


class Profile(enum.StrEnum):
    """How much HNSW spends on finding every neighbour."""

    LATENCY = "latency"
    BALANCED = "balanced"
    RECALL = "recall"


class Engine(enum.StrEnum):
    """What searches a sealed segment."""

    HNSW = "hnsw"
    HNSWLIB = "hnswlib"
    IVF = "ivf"
    FLAT = "flat"
    GPU = "gpu"


class Quantization(enum.StrEnum):
    """How the vectors in memory are compressed."""

    NONE = "none"
    FLOAT16 = "float16"
    SQ8 = "sq8"
    PQ = "pq"
    RABITQ = "rabitq"


class AuditLevel(enum.StrEnum):
    """Which requests are audited: those that change something or are refused for who asks, or all."""

    OFF = "off"
    CHANGES = "changes"
    ALL = "all"


class LogLevel(enum.StrEnum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(enum.StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Basis:
    """The index: where it is, and what is needed once."""

    data_dir: Annotated[
        pathlib.Path, typer.Option("--data-dir", help="Folder of the index; made where it does not exist.")
    ]
    dimensions: Annotated[
        int | None,
        typer.Option(
            "--dimensions", min=1, max=20_000, show_default=False, help="Values of each vector; needed once."
        ),
    ] = None
    metric: Annotated[
        Metric | None, typer.Option("--metric", show_default="cosine", help="How vectors are compared.")
    ] = None
    profile: Annotated[
        Profile | None,
        typer.Option("--profile", show_default="balanced", help="How much HNSW spends on finding all."),
    ] = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listening:
    """Where requests come in, by which key, and what each process takes of them."""

    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="TCP port to listen on.")] = 8080
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=1,
            max=64,
            help="Processes that answer, by one port and over one folder; each adds a core to what is used "
            "for all but the search itself.",
        ),
    ] = 1
    api_key: options.ApiKey = None
    api_key_file: options.ApiKeyFile = None
    metrics_port: Annotated[
        int, typer.Option("--metrics-port", min=0, max=65_535, help="Port of health and metrics; 0 is none.")
    ] = 0
    max_requests: Annotated[
        int,
        typer.Option(
            "--max-requests",
            min=1,
            max=100_000,
            help="Requests under way at a time, in each process; one key may have half of them.",
        ),
    ] = 512
    max_body_bytes: Annotated[
        int, typer.Option("--max-body-bytes", min=1024, max=1024**3, help="Longest request body.")
    ] = 32 * 1024 * 1024
    max_bodies_bytes: Annotated[
        int,
        typer.Option(
            "--max-bodies-bytes",
            min=1024,
            max=1024**4,
            help="Bodies and large answers of all requests under way, in each process; one key may have "
            "half.",
        ),
    ] = 128 * 1024 * 1024
    request_timeout: Annotated[
        float,
        typer.Option(
            "--request-timeout",
            min=0.001,
            max=600,
            help="Seconds for a body to arrive, and again for its answer.",
        ),
    ] = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stored:
    """What rows are, and how they are searched."""

    engine: Annotated[
        Engine | None, typer.Option("--engine", show_default="hnsw", help="What searches; flat is exact.")
    ] = None
    quantization: Annotated[
        Quantization | None,
        typer.Option("--quantization", show_default="none", help="How vectors in memory are compressed."),
    ] = None
    vector_field: Annotated[
        list[str] | None,
        typer.Option(
            "--vector-field",
            show_default=False,
            help="A vector that rows may have beside their values, as NAME:DIMENSIONS, or "
            "NAME:DIMENSIONS:tokens for late interaction; a code behind it, such as :sq8, compresses it in "
            "memory; may be given again.",
        ),
    ] = None
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            show_default=False,
            help="A typed metadata field, as NAME:TYPE; may be given again. Types: keyword, integer, float, "
            "boolean, datetime.",
        ),
    ] = None
    text_field: Annotated[
        list[str] | None,
        typer.Option(
            "--text-field",
            show_default=False,
            help="A metadata field that is searched as text; may be given again.",
        ),
    ] = None
    language: Annotated[
        str | None, typer.Option("--language", show_default="english", help="Language of the texts.")
    ] = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Services:
    """Whom the index asks, and what it keeps of answers."""

    embedder: Annotated[
        str | None,
        typer.Option(
            "--embedder",
            show_default=False,
            help="Base URL of a service in the form of OpenAI's /v1/embeddings, such as "
            "http://127.0.0.1:8000/v1, that turns texts into vectors; none is none any more.",
        ),
    ] = None
    embedder_model: Annotated[
        str | None, typer.Option("--embedder-model", show_default=False, help="What it calls its model.")
    ] = None
    embedder_key_file: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--embedder-key-file",
            envvar="VECTORFLEET_EMBEDDER_KEY_FILE",
            show_default=False,
            help="File that holds its API key.",
        ),
    ] = None
    embedder_option: Annotated[
        list[str] | None,
        typer.Option(
            "--embedder-option",
            show_default=False,
            help="Another field of spec.embedder, as NAME=VALUE: query.inputType=query; may be given again.",
        ),
    ] = None
    reranker: Annotated[
        str | None,
        typer.Option(
            "--reranker",
            show_default=False,
            help="Base URL of a service in the form of Cohere's /v1/rerank, such as "
            "http://127.0.0.1:8000/v1, that orders matches anew; none is none any more.",
        ),
    ] = None
    reranker_model: Annotated[
        str | None, typer.Option("--reranker-model", show_default=False, help="What it calls its model.")
    ] = None
    reranker_key_file: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--reranker-key-file",
            envvar="VECTORFLEET_RERANKER_KEY_FILE",
            show_default=False,
            help="File that holds its API key.",
        ),
    ] = None
    reranker_option: Annotated[
        list[str] | None,
        typer.Option(
            "--reranker-option",
            show_default=False,
            help="Another field of spec.reranker, as NAME=VALUE: maxCharacters=2000; may be given again.",
        ),
    ] = None
    cache_mib: Annotated[
        int | None,
        typer.Option(
            "--cache-mib", min=0, show_default="0", help="MiB for answers that still hold; 0 keeps none."
        ),
    ] = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Guarding:
    """Who else is let in, and how."""

    api_keys_dir: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--api-keys-dir", show_default=False, help="Folder of keys, or of what `vectorfleet key` makes."
        ),
    ] = None
    jwt_keys: Annotated[
        str, typer.Option("--jwt-keys", help="Take tokens that these sign: a file or https URL of a JWKS.")
    ] = ""
    jwt_audience: Annotated[
        str, typer.Option("--jwt-audience", help="What the `aud` of tokens has to be.")
    ] = ""
    jwt_issuer: Annotated[
        str, typer.Option("--jwt-issuer", help="What the `iss` of tokens has to be; any where not given.")
    ] = ""
    jwt_requests_per_second: Annotated[
        float | None,
        typer.Option(
            "--jwt-requests-per-second",
            min=0.001,
            show_default=False,
            help="What each `sub` of tokens may send; all it likes where not given.",
        ),
    ] = None
    jwt_rows_per_second: Annotated[
        float | None,
        typer.Option(
            "--jwt-rows-per-second", min=0.001, show_default=False, help="What each `sub` may upsert."
        ),
    ] = None
    tls_dir: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--tls-dir", show_default=False, help="Speak HTTPS by the tls.crt and tls.key in this folder."
        ),
    ] = None
    open_docs: Annotated[
        bool, typer.Option("--open-docs", help="Show /docs and /openapi.json to whoever asks, without a key.")
    ] = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Logging:
    """What is logged."""

    log_level: Annotated[LogLevel, typer.Option("--log-level", help="The least that is logged.")] = (
        LogLevel.WARNING
    )
    log_format: Annotated[LogFormat, typer.Option("--log-format", help="For people, or for pods.")] = (
        LogFormat.TEXT
    )
    audit_log: Annotated[
        AuditLevel,
        typer.Option(
            "--audit-log", help="Which requests have a line of JSON that says who did what: never data."
        ),
    ] = AuditLevel.CHANGES

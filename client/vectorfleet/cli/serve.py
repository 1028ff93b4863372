"""`vectorfleet serve`: its options. What they start is in `serving`, which needs the servers' extras."""

import enum
import importlib
import pathlib
from typing import Annotated, Any

import typer

from . import errors, options, session

EXTRA = "this command needs the servers, which are extras: pip install 'vectorfleet[all]'"


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


def serve(  # noqa: PLR0913  # a command's options are its parameters
    *,
    data_dir: Annotated[
        pathlib.Path, typer.Option("--data-dir", help="Folder of the index; made where it does not exist.")
    ],
    dimensions: Annotated[
        int | None,
        typer.Option(
            "--dimensions", min=1, max=20_000, show_default=False, help="Values of each vector; needed once."
        ),
    ] = None,
    metric: Annotated[
        Metric | None, typer.Option("--metric", show_default="cosine", help="How vectors are compared.")
    ] = None,
    profile: Annotated[
        Profile | None,
        typer.Option("--profile", show_default="balanced", help="How much HNSW spends on finding all."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="TCP port to listen on.")] = 8080,
    api_key: options.ApiKey = None,
    api_key_file: options.ApiKeyFile = None,
    metrics_port: Annotated[
        int, typer.Option("--metrics-port", min=0, max=65_535, help="Port of health and metrics; 0 is none.")
    ] = 0,
    max_body_bytes: Annotated[
        int, typer.Option("--max-body-bytes", min=1024, help="Longest request body.")
    ] = 32 * 1024 * 1024,
    engine: Annotated[
        Engine | None, typer.Option("--engine", show_default="hnsw", help="What searches; flat is exact.")
    ] = None,
    quantization: Annotated[
        Quantization | None,
        typer.Option("--quantization", show_default="none", help="How vectors in memory are compressed."),
    ] = None,
    vector_field: Annotated[
        list[str] | None,
        typer.Option(
            "--vector-field",
            show_default=False,
            help="A vector that rows may have beside their values, as NAME:DIMENSIONS, or "
            "NAME:DIMENSIONS:tokens for late interaction; may be given again.",
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            show_default=False,
            help="A typed metadata field, as NAME:TYPE; may be given again. Types: keyword, integer, float, "
            "boolean, datetime.",
        ),
    ] = None,
    text_field: Annotated[
        list[str] | None,
        typer.Option(
            "--text-field",
            show_default=False,
            help="A metadata field that is searched as text; may be given again.",
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", show_default="english", help="Language of the texts.")
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(
            "--embedder",
            show_default=False,
            help="Base URL of a service in the form of OpenAI's /v1/embeddings, such as "
            "http://127.0.0.1:8000/v1, that turns texts into vectors; none is none any more.",
        ),
    ] = None,
    embedder_model: Annotated[
        str | None, typer.Option("--embedder-model", show_default=False, help="What it calls its model.")
    ] = None,
    embedder_key_file: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--embedder-key-file",
            envvar="VECTORFLEET_EMBEDDER_KEY_FILE",
            show_default=False,
            help="File that holds its API key.",
        ),
    ] = None,
    embedder_option: Annotated[
        list[str] | None,
        typer.Option(
            "--embedder-option",
            show_default=False,
            help="Another field of spec.embedder, as NAME=VALUE: query.inputType=query; may be given again.",
        ),
    ] = None,
    reranker: Annotated[
        str | None,
        typer.Option(
            "--reranker",
            show_default=False,
            help="Base URL of a service in the form of Cohere's /v1/rerank, such as "
            "http://127.0.0.1:8000/v1, that orders matches anew; none is none any more.",
        ),
    ] = None,
    reranker_model: Annotated[
        str | None, typer.Option("--reranker-model", show_default=False, help="What it calls its model.")
    ] = None,
    reranker_key_file: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--reranker-key-file",
            envvar="VECTORFLEET_RERANKER_KEY_FILE",
            show_default=False,
            help="File that holds its API key.",
        ),
    ] = None,
    reranker_option: Annotated[
        list[str] | None,
        typer.Option(
            "--reranker-option",
            show_default=False,
            help="Another field of spec.reranker, as NAME=VALUE: maxCharacters=2000; may be given again.",
        ),
    ] = None,
    cache_mib: Annotated[
        int | None,
        typer.Option(
            "--cache-mib", min=0, show_default="0", help="MiB for answers that still hold; 0 keeps none."
        ),
    ] = None,
    api_keys_dir: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--api-keys-dir", show_default=False, help="Folder of keys, or of what `vectorfleet key` makes."
        ),
    ] = None,
    jwt_keys: Annotated[
        str, typer.Option("--jwt-keys", help="Take tokens that these sign: a file or https URL of a JWKS.")
    ] = "",
    jwt_audience: Annotated[
        str, typer.Option("--jwt-audience", help="What the `aud` of tokens has to be.")
    ] = "",
    jwt_issuer: Annotated[
        str, typer.Option("--jwt-issuer", help="What the `iss` of tokens has to be; any where not given.")
    ] = "",
    tls_dir: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--tls-dir", show_default=False, help="Speak HTTPS by the tls.crt and tls.key in this folder."
        ),
    ] = None,
    open_docs: Annotated[
        bool, typer.Option("--open-docs", help="Show /docs and /openapi.json to whoever asks, without a key.")
    ] = False,
    log_level: Annotated[
        LogLevel, typer.Option("--log-level", help="The least that is logged.")
    ] = LogLevel.WARNING,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", help="For people, or for pods.")
    ] = LogFormat.TEXT,
) -> None:
    """Run one index in this process, until SIGTERM or Ctrl-C.

    What is acknowledged is on the disk, and the next read sees it. The folder remembers what its index is:
    that is needed the first time only, and what its vectors are built from can't be another one later.
    """
    alone = api_keys_dir is None or api_key or api_key_file
    key = options.key_of(api_key, api_key_file) if alone else ""
    # The folder is looked at before the servers are loaded, which takes a second.
    folder = _load("folder")
    declared = _load("declared")
    wanted = folder.Wanted(
        data_dir=data_dir,
        dimensions=dimensions,
        metric=metric,
        profile=profile,
        engine=engine,
        quantization=quantization,
        vectors=declared.vector_fields(vector_field) if vector_field else None,
        fields=declared.typed_fields(field) if field else None,
        text=tuple(text_field) if text_field else None,
        language=declared.language(language) if language else None,
        embedder=_service("Embedder", embedder, embedder_model, embedder_option or []),
        cache_mib=cache_mib,
        reranker=_service("Reranker", reranker, reranker_model, reranker_option or []),
    )
    try:
        with folder.claim(data_dir):
            settled = folder.settle(wanted)
            serving = _load("serving")
            guard = _load("guarding").Guard(
                key, api_keys_dir, jwt_keys, jwt_audience, jwt_issuer, tls_dir=tls_dir
            )
            door = serving.Door(
                host,
                port,
                guard,
                metrics_port=metrics_port,
                max_body_bytes=max_body_bytes,
                embedder_key_file=embedder_key_file,
                open_docs=open_docs,
                reranker_key_file=reranker_key_file,
            )
            how = serving.Logs(log_level, as_json=log_format is LogFormat.JSON)
            serving.run(settled, data_dir, door, how)
    except errors.ServeError as error:
        session.fail(str(error))


def _service(kind: str, url: str | None, model: str | None, given: list[str]) -> Any:
    option = f"--{kind.lower()}"
    if url == "none":
        return url
    if url is None:
        if model or given:
            raise typer.BadParameter(f"needs {option}", param_hint=f"'{option}-model'")
        return None
    declared = _load("declared")
    return declared.service(getattr(declared.services, kind), declared.Named(url, model, given))


def _load(name: str) -> Any:
    try:
        return importlib.import_module(f"{__package__}.{name}")
    except ModuleNotFoundError as error:
        session.fail(f"{EXTRA} (there is no module {error.name})")

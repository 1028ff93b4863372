"""`vectorfleet serve`: from its options to what they start, in `serving`, which needs the servers' extras."""

import importlib
from typing import Any

import typer

from . import errors, groups, options, serve_options, session

EXTRA = "this command needs the servers, which are extras: pip install 'vectorfleet[all]'"


@groups.grouped
def serve(
    *,
    basis: serve_options.Basis,
    listening: serve_options.Listening,
    stored: serve_options.Stored,
    services: serve_options.Services,
    guarding: serve_options.Guarding,
    logging: serve_options.Logging,
) -> None:
    """Run one index on this machine, until SIGTERM or Ctrl-C.

    What is acknowledged is on the disk, and the next read sees it. The folder remembers what its index is:
    that is needed the first time only, and what its vectors are built from can't be another one later.
    """
    key = _key(listening, guarding)
    # The folder is looked at before the servers are loaded, which takes a second.
    folder = _load("folder")
    wanted = _wanted(folder, basis, stored, services)
    try:
        with folder.claim(basis.data_dir):
            settled = folder.settle(wanted)
            serving = _load("serving")
            as_json = logging.log_format is serve_options.LogFormat.JSON
            how = _load("doors").Logs(logging.log_level, as_json=as_json)
            door = _door(key, listening, services, guarding, logging)
            serving.run(settled, basis.data_dir, door, how, listening.workers)
    except errors.ServeError as error:
        session.fail(str(error))


def _key(listening: serve_options.Listening, guarding: serve_options.Guarding) -> str:
    """Return the key that opens everything; empty where a folder of keys does in its place."""
    alone = guarding.api_keys_dir is None or listening.api_key or listening.api_key_file
    return options.key_of(listening.api_key, listening.api_key_file) if alone else ""


def _wanted(
    folder: Any, basis: serve_options.Basis, stored: serve_options.Stored, services: serve_options.Services
) -> Any:
    """Return the index that is asked for."""
    declared = _load("declared")
    return folder.Wanted(
        data_dir=basis.data_dir,
        dimensions=basis.dimensions,
        metric=basis.metric,
        profile=basis.profile,
        engine=stored.engine,
        quantization=stored.quantization,
        vectors=declared.vector_fields(stored.vector_field) if stored.vector_field else None,
        fields=declared.typed_fields(stored.field) if stored.field else None,
        text=tuple(stored.text_field) if stored.text_field else None,
        language=declared.language(stored.language) if stored.language else None,
        embedder=_service(
            "Embedder", services.embedder, services.embedder_model, services.embedder_option or []
        ),
        reranker=_service(
            "Reranker", services.reranker, services.reranker_model, services.reranker_option or []
        ),
        cache_mib=services.cache_mib,
    )


def _door(
    key: str,
    listening: serve_options.Listening,
    services: serve_options.Services,
    guarding: serve_options.Guarding,
    logging: serve_options.Logging,
) -> Any:
    """Return where requests come in, and who is let in."""
    guard = _load("guarding").Guard(
        key,
        guarding.api_keys_dir,
        guarding.jwt_keys,
        guarding.jwt_audience,
        guarding.jwt_issuer,
        tls_dir=guarding.tls_dir,
        jwt_requests_per_second=guarding.jwt_requests_per_second,
        jwt_rows_per_second=guarding.jwt_rows_per_second,
    )
    doors = _load("doors")
    return doors.Door(
        listening.host,
        listening.port,
        guard,
        metrics_port=listening.metrics_port,
        bounds=doors.app.Bounds(
            listening.max_body_bytes,
            listening.request_timeout,
            listening.max_requests,
            listening.max_bodies_bytes,
        ),
        embedder_key_file=services.embedder_key_file,
        reranker_key_file=services.reranker_key_file,
        open_docs=guarding.open_docs,
        audited=doors.audit.Level(logging.audit_log),
    )


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

"""The folder of `vectorfleet serve`: one index, one process at a time, and what the index was made with.

`index.json` holds the index's configuration from the first start on. What stored vectors and graphs are
built from stays as it is, so another one is refused; the rest changes from one start to the next.
"""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
from collections.abc import Iterator
from typing import Literal

import pydantic

from vectorfleet_shardnode.api import config, services

from . import declared, errors


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The index that was asked for; None is whatever the folder has."""

    data_dir: pathlib.Path
    dimensions: int | None = None
    metric: str | None = None
    profile: str | None = None
    engine: str | None = None
    quantization: str | None = None
    vectors: tuple[config.VectorField, ...] | None = None
    fields: tuple[config.SchemaField, ...] | None = None
    text: tuple[str, ...] | None = None
    language: str | None = None
    embedder: services.Embedder | Literal["none"] | None = None
    reranker: services.Reranker | Literal["none"] | None = None
    cache_mib: int | None = None


@contextlib.contextmanager
def claim(data_dir: pathlib.Path) -> Iterator[None]:
    """Make the folder where it does not exist, and keep other processes out of it.

    Raises:
        FolderError: it can't be made, or another process has it.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("w")
    except OSError as error:
        raise errors.FolderError(f"can't use {data_dir} as the data folder: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise errors.FolderError(
                f"another process serves {data_dir}: stop it, or choose another folder"
            ) from error
        yield


def settle(wanted: Wanted) -> config.IndexConfig:
    """Return the configuration of the folder's index, and note it there on the first start.

    Raises:
        FolderError: the folder's index is another one than was asked for, or can't be read.
    """
    path = wanted.data_dir / "index.json"
    kept = _read(path)
    try:
        generation = _first(wanted) if kept is None else _next(wanted, kept.serving)
        schema = _schema(wanted, config.Schema() if kept is None else kept.metadata)
    except pydantic.ValidationError as wrong:
        said = "; ".join(one["msg"].removeprefix("Value error, ") for one in wrong.errors(include_url=False))
        raise errors.FolderError(f"there can't be such an index: {said}") from wrong
    embedder, reranker = (None, None) if kept is None else (kept.embedder, kept.reranker)
    settled = config.IndexConfig(
        index="local",
        serving=generation,
        metadata=schema,
        embedder=None if wanted.embedder == "none" else wanted.embedder or embedder,
        reranker=None if wanted.reranker == "none" else wanted.reranker or reranker,
        cache=_cache(wanted, kept),
    )
    if settled != kept:
        _write(path, settled.model_dump_json(by_alias=True, indent=2))
    return settled


def _cache(wanted: Wanted, kept: config.IndexConfig | None) -> config.ResultCache | None:
    if wanted.cache_mib is None:
        return None if kept is None else kept.cache
    return config.ResultCache(max_bytes=wanted.cache_mib * 2**20) if wanted.cache_mib else None


def _first(wanted: Wanted) -> config.Generation:
    if wanted.dimensions is None:
        raise errors.FolderError(f"{wanted.data_dir} has no index yet: say its --dimensions")
    return config.Generation(
        dimensions=wanted.dimensions,
        metric=config.Metric(wanted.metric or config.Metric.COSINE),
        engine=config.EngineKind(wanted.engine or config.EngineKind.HNSW),
        hnsw=config.PROFILES[wanted.profile or "balanced"],
        quantization=config.Quantization(
            kind=config.QuantizationKind(wanted.quantization or config.QuantizationKind.NONE)
        ),
        vectors=wanted.vectors or (),
        shards=(config.ShardAddress(number=0, replicas=("in-process:0",)),),
    )


def _next(wanted: Wanted, has: config.Generation) -> config.Generation:
    there = _basis(has)
    asked = {
        "dimensions": wanted.dimensions,
        "metric": wanted.metric,
        "engine": wanted.engine,
        "quantization": wanted.quantization,
        "vector fields": None if wanted.vectors is None else _named(wanted.vectors),
    }
    other = {name: value for name, value in asked.items() if value is not None and value != there[name]}
    if other:
        holds = ", ".join(f"{name} {there[name] or 'none'}" for name in other)
        wants = ", ".join(f"{name} {value or 'none'}" for name, value in other.items())
        raise errors.FolderError(
            f"{wanted.data_dir} holds an index with {holds}, not with {wants}: start it as it is, "
            "or choose another folder"
        )
    return has.model_copy(update={"hnsw": config.PROFILES[wanted.profile]}) if wanted.profile else has


def _basis(has: config.Generation) -> dict[str, str | int]:
    """Return what an index is built from, as options say it."""
    return {
        "dimensions": has.dimensions,
        "metric": has.metric,
        "engine": has.engine,
        "quantization": has.quantization.kind,
        "vector fields": _named(has.vectors),
    }


def _named(fields: tuple[config.VectorField, ...]) -> str:
    return " ".join(declared.named(field) for field in fields)


def _schema(wanted: Wanted, has: config.Schema) -> config.Schema:
    asked = {"fields": wanted.fields, "text": wanted.text, "language": wanted.language}
    given = {name: value for name, value in asked.items() if value is not None}
    # Made anew, and not copied, so that it is checked.
    return config.Schema.model_validate(dict(has) | given)


def _read(path: pathlib.Path) -> config.IndexConfig | None:
    try:
        return config.read(path)
    except FileNotFoundError:
        return None
    except (OSError, pydantic.ValidationError) as error:
        raise errors.FolderError(f"{path} is not the configuration of an index: {error}") from error


def _write(path: pathlib.Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise errors.FolderError(f"can't write {path}: {error.strerror}") from error

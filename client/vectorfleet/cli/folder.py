"""The folder of `vectorfleet serve`: one index, one process at a time, and what the index was made with.

`index.json` holds the index's configuration from the first start on; the vectors in the folder mean
nothing under another number of dimensions or another metric, so these are refused.
"""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
from collections.abc import Iterator

import pydantic

from vectorfleet_shardnode.api import config

from . import errors


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The index that was asked for; None is whatever the folder has."""

    data_dir: pathlib.Path
    dimensions: int | None
    metric: str | None
    profile: str | None


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
    generation = _first(wanted) if kept is None else _next(wanted, kept.serving)
    settled = config.IndexConfig(index="local", serving=generation)
    if settled != kept:
        _write(path, settled.model_dump_json(by_alias=True, indent=2))
    return settled


def _first(wanted: Wanted) -> config.Generation:
    if wanted.dimensions is None:
        raise errors.FolderError(f"{wanted.data_dir} has no index yet: say its --dimensions")
    return config.Generation(
        dimensions=wanted.dimensions,
        metric=config.Metric(wanted.metric or config.Metric.COSINE),
        hnsw=config.PROFILES[wanted.profile or "balanced"],
        shards=(config.ShardAddress(number=0, replicas=("in-process:0",)),),
    )


def _next(wanted: Wanted, has: config.Generation) -> config.Generation:
    dimensions = wanted.dimensions or has.dimensions
    metric = wanted.metric or has.metric
    if (dimensions, metric) != (has.dimensions, has.metric):
        raise errors.FolderError(
            f"{wanted.data_dir} holds an index of {has.dimensions} dimensions and metric {has.metric}, "
            f"not of {dimensions} dimensions and metric {metric}: start it as it is, or choose another folder"
        )
    return has.model_copy(update={"hnsw": config.PROFILES[wanted.profile]}) if wanted.profile else has


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

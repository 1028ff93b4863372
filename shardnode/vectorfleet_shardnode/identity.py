"""Whose data a folder holds: written once, checked at every start, so that no index serves another's rows."""

import fcntl
import os
from pathlib import Path

import pydantic

from . import errors, files
from .api import config

VERSION = 1
FILE_NAME = "identity.json"
LOCK_NAME = "lock"


class Identity(pydantic.BaseModel):
    """What must not change under a folder's data."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    version: int = VERSION
    index: str
    generation: str
    shard: int
    dimensions: int
    metric: config.Metric


def of(settings: config.IndexConfig, shard: int) -> Identity:
    """Return the identity of a shard of an index's serving generation."""
    generation = settings.serving
    return Identity(
        index=settings.index,
        generation=generation.name,
        shard=shard,
        dimensions=generation.dimensions,
        metric=generation.metric,
    )


def exists(folder: Path) -> bool:
    """Tell whether the folder was ever set up."""
    return (folder / FILE_NAME).exists()


def write(folder: Path, identity: Identity) -> None:
    """Mark a folder that is set up, durable when this returns."""
    files.write_durably(folder / FILE_NAME, identity.model_dump_json(indent=1).encode())


def check(folder: Path, wanted: Identity) -> None:
    """Compare the folder's identity with the one that is wanted.

    Raises:
        WrongIdentityError: they differ; both are named.
        DataLossError: the identity can't be read.
    """
    try:
        found = Identity.model_validate_json((folder / FILE_NAME).read_bytes())
    except pydantic.ValidationError as broken:
        raise errors.DataLossError(f"{folder / FILE_NAME} can't be understood: {broken}") from broken
    stored, asked = found.model_dump(mode="json"), wanted.model_dump(mode="json")
    if differing := [name for name in asked if stored[name] != asked[name]]:
        words = ", ".join(f"{name} {stored[name]} stored, {asked[name]} wanted" for name in differing)
        raise errors.WrongIdentityError(f"the data in {folder} belongs to something else: {words}")


def lock(folder: Path) -> int:
    """Take the folder for this process; returns a descriptor, which holds it until it is closed.

    Raises:
        NotHereError: another process has it.
    """
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as taken:
        os.close(descriptor)
        raise errors.NotHereError(f"another process serves the data in {folder}; stop it first") from taken
    return descriptor

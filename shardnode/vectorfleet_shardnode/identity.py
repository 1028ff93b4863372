"""Whose data a folder holds: written once, checked at every start, so that no index serves another's rows."""

import fcntl
import os
import secrets
from pathlib import Path

import google_crc32c
import pydantic

from . import errors, files
from .api import config

VERSION = 1
FILE_NAME = "identity.json"
LOCK_NAME = "lock"


class Identity(pydantic.BaseModel):
    """What must not change under a folder's data.

    `vectors` is left out where there are none. Codes are no part of it: segments say which they have.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    index: str
    generation: str
    shard: int
    dimensions: int
    metric: config.Metric
    vectors: tuple[config.VectorField, ...] = pydantic.Field(default=(), exclude_if=lambda none: not none)


class Stored(Identity):
    """An identity as a folder holds it. `uid` is drawn once; log and manifest name it, so none are mixed."""

    version: int = VERSION
    uid: str

    @property
    def owner(self) -> int:
        """The uid as the header of a log file holds it."""
        owner: int = google_crc32c.value(self.uid.encode())
        return owner


class _Versioned(pydantic.BaseModel):
    version: int


def of(settings: config.IndexConfig, shard: int) -> Identity:
    """Return the identity of a shard of an index's serving generation."""
    generation = settings.serving
    return Identity(
        index=settings.index,
        generation=generation.name,
        shard=shard,
        dimensions=generation.dimensions,
        metric=generation.metric,
        vectors=tuple(sorted((field.uncoded for field in generation.vectors), key=lambda field: field.name)),
    )


def exists(folder: Path) -> bool:
    """Tell whether the folder was ever set up."""
    return (folder / FILE_NAME).exists()


def fresh(identity: Identity) -> Stored:
    """Return what a new folder of this identity is to hold."""
    return Stored(**identity.model_dump(), uid=secrets.token_hex(16))


def write(folder: Path, identity: Stored) -> None:
    """Mark a folder that is set up, durable when this returns."""
    files.write_durably(folder / FILE_NAME, identity.model_dump_json(indent=1).encode(), "identity")


def read(folder: Path) -> Stored:
    """Return the folder's identity.

    Raises:
        DataLossError: it can't be read, or is of a newer version.
    """
    path = folder / FILE_NAME
    content = path.read_bytes()
    try:
        version = _Versioned.model_validate_json(content).version
        if version != VERSION:
            raise errors.UnknownFormatError(
                f"{path} has format {version}; this program reads format {VERSION}"
            )
        return Stored.model_validate_json(content)
    except pydantic.ValidationError as broken:
        raise errors.DataLossError(f"{path} can't be understood: {broken}") from broken


def check(folder: Path, wanted: Identity) -> Stored:
    """Return the folder's identity, which must be the one that is wanted.

    Raises:
        WrongIdentityError: they differ; both are named.
        DataLossError: as `read`.
    """
    found = read(folder)
    if differing := [name for name in Identity.model_fields if getattr(found, name) != getattr(wanted, name)]:
        stored, asked = found.model_dump(mode="json"), wanted.model_dump(mode="json")
        words = ", ".join(
            f"{name} {stored.get(name, 'none')} stored, {asked.get(name, 'none')} wanted"
            for name in differing
        )
        raise errors.WrongIdentityError(
            f"the data in {folder} belongs to something else: {words} (says {FILE_NAME})"
        )
    return found


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

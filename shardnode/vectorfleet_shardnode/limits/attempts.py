"""Counts the starts that died while they loaded, in a file of the folder that is there only meanwhile.

A start that is killed can't say so; the next one finds the file. It counts only starts under the same
memory limit: whoever raises it begins anew.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import msgspec

FILE_NAME = "starting.json"


class _Noted(msgspec.Struct):
    limit: int
    died: int


@dataclasses.dataclass(frozen=True)
class Attempt:
    """How many starts before this one died with this limit."""

    died: int


@contextlib.contextmanager
def begun(folder: Path, limit: int) -> Iterator[Attempt]:
    """Count this start as dead until it has come through, or has failed in a way of which it could tell.

    Nothing is written where there is no limit.
    """
    path = folder / FILE_NAME
    died = _died(path, limit)
    if limit:
        with contextlib.suppress(OSError):  # a full disk must not keep a shard from being read
            path.write_bytes(msgspec.json.encode(_Noted(limit, died + 1)))
    try:
        yield Attempt(died)
    finally:
        path.unlink(missing_ok=True)


def _died(path: Path, limit: int) -> int:
    try:
        noted = msgspec.json.decode(path.read_bytes(), type=_Noted)
    except (OSError, msgspec.MsgspecError):
        return 0
    return noted.died if noted.limit == limit else 0

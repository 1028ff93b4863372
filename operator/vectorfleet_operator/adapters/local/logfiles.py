"""The logs' size: one that has grown is moved aside, while its writer appends on."""

import os
import pathlib
import shutil

LIMIT_BYTES = 10 * 1024 * 1024


def cap(path: pathlib.Path, limit: int = LIMIT_BYTES) -> None:
    """Move a log of more than `limit` bytes aside, over the one before it.

    Its writer opened it to append, so that it goes on at the new end. What it writes between the copy and the
    cut is lost; a log that must not lose a line belongs in a real cluster.
    """
    if path.exists() and path.stat().st_size > limit:
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        os.truncate(path, 0)

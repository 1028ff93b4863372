"""Tells a disk that fails from what else goes wrong while a shard is opened, and which file it was."""

import errno
import os
from pathlib import Path

from . import errors, files


def explain(folder: Path, failed: OSError) -> errors.UnreadableError | None:
    """Return what is said of a folder that can't be read; None where it was not the disk that failed.

    Args:
        folder: the shard's.
        failed: what opening it raised; without a name, as where a file was open already, the first file
            that can't be read is looked for.
    """
    if failed.errno not in files.FAILING:
        return None
    what = failed.strerror or os.strerror(failed.errno)
    path = failed.filename or _find(folder) or folder
    return errors.UnreadableError(
        f"the disk fails: {path}: {what} ({errno.errorcode[failed.errno]}); what it holds is not known"
    )


def _find(folder: Path) -> Path | None:
    for root, _, names in os.walk(folder):
        for path in (Path(root) / name for name in sorted(names)):
            try:
                files.read_through(path)
            except FileNotFoundError:
                continue
            except OSError:
                return path
    return None

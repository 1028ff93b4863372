"""What a folder has already of the segments that it is to copy: those files are linked, and not sent again.

```
manifest.json, segments/                what is served
kept/<uid>/manifest.json, segments/     what was given up, see `rebuilding`; no row of it counts any more
```
A file is known by its length and its sha256, as the manifest beside it says, and compared with them again
before it counts. So it does not matter whose it was, nor why it was given up.
"""

import shutil
from pathlib import Path

from .. import errors, files
from ..segments import descriptor, manifest

FOLDER = "kept"
Known = dict[descriptor.FileSum, Path]


def keep(folder: Path, uid: str) -> None:
    """Set the segments aside of a disk that is given up. May be done again, from wherever it was cut short.

    Raises:
        OSError: the disk fails.
    """
    home = folder / FOLDER / uid
    home.mkdir(parents=True, exist_ok=True)
    for name in (manifest.SEGMENTS, manifest.FILE_NAME):
        source, target = folder / name, home / name
        if source.exists() and not target.exists():
            source.rename(target)
    for path in (home, home.parent):
        files.fsync_path(path)


def known(folder: Path) -> Known:
    """Return the files of segments that are here, as far as readable manifests name them."""
    found: Known = {}
    for home in (folder, *(folder / FOLDER).glob("*")):
        try:
            stored = manifest.parse((home / manifest.FILE_NAME).read_bytes())
        except (errors.ShardError, OSError):
            continue  # there is none, or nothing that it says can be relied on
        for listed in stored.segments:
            place = home / manifest.SEGMENTS / listed.name
            found |= {content: place / name for name, content in listed.described.files.items()}
    return found


def drop(folder: Path) -> None:
    """Give up what was set aside."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)

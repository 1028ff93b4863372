"""JSON files with a checksum and a version: what is read is what was written, or it is refused.

```
{<name>: {"version": 1, ...}, "sha256": <of the value of name, with sorted keys and without spaces>}
```
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from . import errors, files


def write(path: Path, name: str, body: dict[str, Any]) -> None:
    """Replace the file, durable when this returns; `name` names its failpoints too.

    Raises:
        UnsureError: it has the new content, but a power cut may bring the old one back.
        OSError: the disk is full or failing; the file is what it was before.
    """
    files.write_durably(path, pack(name, body), name)


def pack(name: str, body: dict[str, Any]) -> bytes:
    """Return the bytes of such a file."""
    return json.dumps({name: body, "sha256": digest_of(body)}, indent=1).encode()


def read(path: Path, name: str, version: int) -> Any:
    """Return what the file holds under its name; None where there is no file.

    Raises:
        DataLossError: it is damaged, or of another version.
    """
    return unpack(path.read_bytes(), name, version, str(path)) if path.exists() else None


def unpack(content: bytes, name: str, version: int, path: str) -> Any:
    """Return what the bytes of such a file hold; `path` is what it is called.

    Raises:
        DataLossError: they are damaged, or of another version.
    """
    try:
        stored = json.loads(content)
        body, digest = stored[name], stored["sha256"]
        found_version, found_digest = body["version"], digest_of(body)
    except (ValueError, KeyError, TypeError, RecursionError) as broken:
        raise errors.DataLossError(f"{path} is damaged: {broken}") from broken
    if digest != found_digest:
        raise errors.DataLossError(f"{path} is damaged: its content does not have the checksum it names")
    if found_version != version:
        raise errors.UnknownFormatError(
            f"{path} has format {found_version}; this program reads format {version}"
        )
    return body


def digest_of(body: object) -> str:
    """Return the checksum of a value, in hex."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()

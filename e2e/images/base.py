"""The base images of the tests: Debian with Python, made from packages, no registry asked.

They stand in for `python:3.11-slim-bookworm` and its big brother with a compiler, where the
Dockerfiles would take these from. Made once and kept in the cache.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cluster import buildah, commands, errors, progress

from . import archive

SUITE = "bookworm"
BOOTSTRAP_SECONDS = 1800


@dataclass(frozen=True)
class Base:
    """One base image: its name in the store, and the packages beyond Debian's least."""

    tag: str
    packages: tuple[str, ...]


RUNTIME = Base("localhost/e2e/python:3.11", ("ca-certificates", "python3"))
BUILDER = Base("localhost/e2e/python-builder:3.11", ("ca-certificates", "g++", "python3-dev", "python3-venv"))


def ensure(store: buildah.Store, base: Base) -> str:
    """Make the image unless the store has it in this form; return its name."""
    tag = f"{base.tag}-{_digest(base)}"
    if not store.has(tag):
        with progress.step(f"base image {tag}"), tempfile.TemporaryDirectory(dir=store.cache) as scratch:
            root, packed = Path(scratch) / "root", Path(scratch) / "image.tar"
            _bootstrap(base, root, store.cache / "debs")
            archive.pack(root, packed, tag)
            store.pull_archive(packed)
    return tag


def _bootstrap(base: Base, root: Path, downloads: Path) -> None:
    downloads.mkdir(exist_ok=True)
    argv = [
        "debootstrap",
        "--variant=minbase",
        f"--cache-dir={downloads}",
        f"--include={','.join(base.packages)}",
    ]
    commands.run([*argv, SUITE, root, find_mirror()], timeout=BOOTSTRAP_SECONDS)


def find_mirror(folder: Path = Path("/etc/apt")) -> str:
    """The address that this machine's apt takes Debian from."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    for path in files:
        text = path.read_text() if path.is_file() else ""
        found = re.search(r"^(?:URIs:|deb(?: \[.*?\])?)\s+(\S+/debian)/?(?:\s|$)", text, re.MULTILINE)
        if found:
            return found.group(1)
    raise errors.ClusterError(f"no Debian archive is named in {folder}/sources.list or sources.list.d")


def _digest(base: Base) -> str:
    made_from = Path(archive.__file__).read_bytes() + repr((SUITE, base)).encode()
    return hashlib.sha256(made_from).hexdigest()[:12]

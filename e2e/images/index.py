"""How pip inside of a build reaches the package index: as it does on this machine.

The settings are handed in as a file that is there during the build only.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from cluster import commands

PASSED_ON = ("cert", "extra-index-url", "index-url", "proxy", "timeout", "trusted-host")
CERTIFICATES = Path("/etc/ssl/certs")


@contextlib.contextmanager
def mounts(folder: Path) -> Iterator[dict[Path, Path]]:
    """Files and folders of this machine → where a build shall see them; gone again at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pip.conf"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(_settings(commands.run([sys.executable, "-m", "pip", "config", "list"])))
    try:
        found = {path: Path("/etc/pip.conf")}
        if CERTIFICATES.exists():
            found[CERTIFICATES] = CERTIFICATES
        yield found
    finally:
        path.unlink()


def _settings(listing: str) -> str:
    """The lines of `pip config list` as a pip.conf; what the environment says comes last and wins."""
    chosen: dict[str, str] = {}
    lines = sorted(listing.splitlines(), key=lambda line: line.startswith(":env:"))
    for line in lines:
        found = re.fullmatch(r"(?:global|install|wheel|:env:)\.([a-z-]+)='(.*)'", line)
        if found and found.group(1) in PASSED_ON:
            chosen[found.group(1)] = found.group(2)
    return "\n".join(["[global]", *(f"{name} = {value}" for name, value in chosen.items()), ""])

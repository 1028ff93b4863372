"""A folder as an image, written by hand in the form that `docker save` has.

buildah could do it too, by copying the folder several times over. Files are sorted and dateless,
so equal folders make equal images.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

from cluster import commands

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# What no container needs; the list of sources would name the archive that this machine uses.
LEFT_OUT = (
    "./dev/*",
    "./etc/apt/sources.list",
    "./etc/hostname",
    "./etc/resolv.conf",
    "./proc/*",
    "./sys/*",
    "./usr/share/doc/*",
    "./usr/share/info/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./var/cache/*/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
)


def pack(root: Path, target: Path, tag: str) -> None:
    """Write the folder `root` to the archive `target` as an image of one layer, named `tag`."""
    layer = target.with_suffix(".layer")
    excluded = [f"--exclude={pattern}" for pattern in LEFT_OUT]
    fixed = ["--sort=name", "--mtime=@0", "--numeric-owner"]
    commands.run(
        ["tar", "--directory", root, *fixed, *excluded, "--create", "--file", layer, "."], timeout=600
    )
    config = json.dumps(_configuration(layer)).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [tag], "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w") as out:
        for name, content in ((config_name, config), ("manifest.json", json.dumps(manifest).encode())):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
        out.add(layer, "layer.tar")
    layer.unlink()


def _configuration(layer: Path) -> dict[str, object]:
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "debootstrap"}],
    }

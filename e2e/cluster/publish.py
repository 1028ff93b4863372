"""Put an image into the cluster's registry, where every node finds it under its real name."""

from __future__ import annotations

import time
from pathlib import Path

from . import buildah, node, progress, settings

REGISTRY_HOST_MARKS = (".", ":")  # what tells a registry's host from the first part of a name


def push(where: settings.Settings, image: str) -> str:
    """Push `image`, a name in the store or an archive of `docker save`; return the name for manifests."""
    store = buildah.Store(where.cache)
    began = time.monotonic()
    tag = store.pull_archive(Path(image)) if Path(image).is_file() else image
    reference = without_host(tag)
    record = where.cache / "registry" / f"{reference.replace('/', '_')}.pushed"
    identity = store.identity(tag)
    if not record.exists() or record.read_text() != identity:
        store.push(tag, reference)
        record.write_text(identity)
        node.forget_image(where, reference)
    progress.say(f"{reference} is in the registry: {time.monotonic() - began:.1f} s")
    return reference


def without_host(image: str) -> str:
    """An image's name as a manifest has it: without `localhost/` or another host, with its tag."""
    first, slash, rest = image.partition("/")
    has_host = slash and (first == "localhost" or any(mark in first for mark in REGISTRY_HOST_MARKS))
    name = rest if has_host else image
    return name if ":" in name else f"{name}:latest"

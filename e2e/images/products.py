"""The two images of Vectorfleet, built from the Dockerfiles in the repository.

Layers of the same content are kept, so after a change of code alone only the last one is made anew.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from cluster import buildah, progress

from . import base, index

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Product:
    """One image and its Dockerfile, relative to the repository."""

    repository: str
    dockerfile: str


PRODUCTS = {
    "operator": Product("vectorfleet/operator", "operator/Dockerfile"),
    "data-plane": Product("vectorfleet/data-plane", "shardnode/Dockerfile"),
}


def version() -> str:
    """The version of the code, which is the images' tag too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def build(store: buildah.Store, product: Product) -> str:
    """Build one image, unless the last one was made from the same, and return its name in the store."""
    tag = f"localhost/{product.repository}:{version()}"
    arguments = {
        "BASE": base.ensure(store, base.RUNTIME),
        "BUILDER": base.ensure(store, base.BUILDER),
        "VERSION": version(),
    }
    record = store.cache / "buildah" / f"{product.repository.replace('/', '_')}.built"
    digest = _digest(product, arguments)
    if record.exists() and record.read_text() == digest and store.has(tag):
        return tag
    with progress.step(f"image {tag}"), index.mounts(store.cache / "buildah") as mounts:
        store.build(buildah.Build(tag, ROOT / product.dockerfile, ROOT, arguments, mounts))
    record.write_text(digest)
    return tag


def _digest(product: Product, arguments: dict[str, str]) -> str:
    """Of all that an image is made from: buildah would take seconds to find out that nothing has changed."""
    digest = hashlib.sha256(repr((product, arguments)).encode())
    for path in [ROOT / product.dockerfile, *_context()]:
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _context() -> list[Path]:
    """The files that .dockerignore lets pass; a cached bytecode file is none of them."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    files: set[Path] = set()
    for allowed in (ROOT / line[1:] for line in lines if line.startswith("!")):
        files.update(
            [allowed] if allowed.is_file() else (path for path in allowed.rglob("*") if path.is_file())
        )
    return sorted(path for path in files if path.suffix != ".pyc")

"""buildah with a store of its own in the cache, so that layers are built once.

Rule: containers of a build are chroots, since this must work where the default runtime has no
control groups that it knows; and nothing of the host's configuration stays in an image.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from . import addresses, commands, errors

BUILD_SECONDS = 1800


@dataclass(frozen=True)
class Build:
    """One image to be built from a Dockerfile."""

    tag: str
    dockerfile: Path
    context: Path
    arguments: dict[str, str] = field(default_factory=dict)
    mounts: dict[Path, Path] = field(default_factory=dict)  # host → build, read-only, while it is built
    timestamp: int = 0  # of every file, so that equal content makes an equal image


@dataclass(frozen=True)
class Store:
    """Where images and layers are kept."""

    cache: Path

    def run(self, *words: commands.Argument, timeout: float = BUILD_SECONDS) -> str:
        """Run buildah on this store."""
        root = self.cache / "buildah"
        root.mkdir(parents=True, exist_ok=True)
        places = ["--root", f"{root}/root", "--runroot", f"{root}/run", "--storage-driver", "overlay"]
        isolated = {"BUILDAH_ISOLATION": "chroot"}
        return commands.run(["buildah", *places, *words], timeout=timeout, env=isolated)

    def build(self, build: Build) -> None:
        """Build one image; layers that are known are not made again."""
        argv: list[commands.Argument] = [
            "bud",
            "--layers",
            "--network",
            "host",
            "--timestamp",
            str(build.timestamp),
        ]
        for name, value in build.arguments.items():
            argv += ["--build-arg", f"{name}={value}"]
        for path, seen_as in build.mounts.items():
            argv += ["--volume", f"{path}:{seen_as}:ro"]
        self.run(*argv, "--tag", build.tag, "--file", build.dockerfile, build.context)

    def has(self, tag: str) -> bool:
        """Whether an image of this name is in the store."""
        return bool(self.run("images", "--quiet", "--filter", f"reference={tag}").strip())

    def identity(self, tag: str) -> str:
        """The digest of the image's configuration, which is that of its content."""
        return self.run("inspect", "--type", "image", "--format", "{{.FromImageID}}", tag).strip()

    def pull_archive(self, archive: Path) -> str:
        """Take the image out of a `docker save` archive and return its name."""
        identity = self.run("pull", "--quiet", f"docker-archive:{archive}").split()[-1]
        for image in json.loads(self.run("images", "--json", "--no-trunc")):
            if identity in image["id"] and image["names"]:
                return str(image["names"][0])
        raise errors.ClusterError(f"the image in {archive} has no name; save it as `docker save NAME:TAG`")

    def push(self, tag: str, reference: str) -> None:
        """Push an image to the cluster's registry."""
        source = tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest"
        self.run(
            "push", "--quiet", "--tls-verify=false", source, f"docker://{addresses.REGISTRY}/{reference}"
        )


def build_program(store: Store, tag: str, program: Path) -> None:
    """An image that is one static program and nothing else."""
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch)
        shutil.copy(program, context)
        dockerfile = context / "Dockerfile"
        dockerfile.write_text(
            f'FROM scratch\nCOPY {program.name} /{program.name}\nENTRYPOINT ["/{program.name}"]\n'
        )
        store.build(Build(tag, dockerfile, context))

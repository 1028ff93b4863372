"""A pod's volume as a file system of its own, that can be full: those of the class `local` are folders."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from replicated import volume

from . import index, shard

# The pod has a minute to end. And a kubelet that has missed the API server for a while asks it again after
# up to a minute: only then it hears that a pod is to end.
_STOPPED_SECONDS = 240


@contextlib.contextmanager
def apart(three: shard.Shard, pod: str) -> Iterator[volume.Volume]:
    """Give a member's volume a file system of its own, with what is in it, and take that away again.

    Its pod is started anew for either.
    """
    folder = _folder(three.of, pod)
    with _stopped(three, pod), tempfile.TemporaryDirectory() as aside:
        _move(folder, Path(aside))
        made = volume.Volume(folder)
        _move(Path(aside), folder)
    three.wait_until_whole()
    try:
        yield made
    finally:
        made.make_room()
        with _stopped(three, pod), tempfile.TemporaryDirectory() as aside:
            _move(folder, Path(aside))
            made.close()
            _move(Path(aside), folder)


def _folder(of: index.Index, pod: str) -> Path:
    """Where the volume of a pod lies on this machine."""
    name = of.get("pvc", f"data-{pod}")["spec"]["volumeName"]
    return Path(of.get("pv", name)["spec"]["local"]["path"])


@contextlib.contextmanager
def _stopped(three: shard.Shard, pod: str) -> Iterator[None]:
    """There is no pod of a member meanwhile: no node takes the new one."""
    every = ("-l", "kubernetes.io/os=linux")
    three.of.cluster.kubectl("cordon", *every)
    try:
        patience = f"--timeout={_STOPPED_SECONDS}s"
        three.of.kubectl("delete", "pod", pod, patience, timeout=_STOPPED_SECONDS + 30)
        yield
    finally:
        three.of.cluster.kubectl("uncordon", *every)


def _move(source: Path, target: Path) -> None:
    """Move what is in a folder into another one, owners and rights too."""
    subprocess.run(["cp", "-a", f"{source}/.", str(target)], check=True)
    for inside in source.iterdir():
        shutil.rmtree(inside) if inside.is_dir() else inside.unlink()

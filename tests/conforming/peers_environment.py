"""An environment with what is built on Pinecone's client, in the versions of `requirements/peers.lock`."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
INSTALL_SECONDS = 200


def make(folder: pathlib.Path, *more: str) -> pathlib.Path:
    """Return the environment's Python.

    Args:
        folder: where it is made.
        more: what is installed besides, in the versions of `requirements/dev.lock`.

    Raises:
        OSError, subprocess.SubprocessError: it can't be had; why.
    """
    uv, python = pathlib.Path(sys.executable).with_name("uv"), folder / "bin" / "python"
    install, locks = [uv, "pip", "install", "--quiet", "--python", python], ROOT / "requirements"
    _run([uv, "venv", "--quiet", "--python", sys.executable, folder])
    _run([*install, "--require-hashes", "-r", locks / "peers.lock"])
    if more:
        _run([*install, "--constraint", locks / "dev.lock", *more])
    return python


def _run(command: list[str | pathlib.Path]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)

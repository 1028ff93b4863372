"""Build the Go programs of the cluster, once for each state of their sources.

Each folder under `tools/` is a Go module: its programs are its `tool` lines, or itself where it has
a `main.go`. Files that a program needs beside it, out of the modules that it is made of, are named in
`carried.txt`. Rule: a binary lies in the cache under the hash of all that it is made from, so what is
there is right and is never built again.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import commands, errors, progress

SOURCES = Path(__file__).parent / "tools"
OLDEST_GO = (1, 21)  # the first that fetches the newer toolchain which a go.mod asks for
LINK_FLAGS = {
    "kubernetes": "-s -w -X k8s.io/component-base/version.gitVersion=v{version}"
    " -X k8s.io/component-base/version.gitMajor={major} -X k8s.io/component-base/version.gitMinor={minor}",
}
BUILD_SECONDS = 3600
CARRIED = "carried"
"""The folder beside a program in which the files are that it needs."""


@dataclass(frozen=True)
class Toolchain:
    """The built programs, by name."""

    programs: dict[str, Path]

    def __getitem__(self, name: str) -> Path:
        return self.programs[name]


def build_all(cache: Path) -> Toolchain:
    """Build what the cache lacks and return every program; from nothing, about ten minutes on two cores."""
    programs: dict[str, Path] = {}
    for module in sorted(path for path in SOURCES.iterdir() if (path / "go.mod").exists()):
        programs.update(_build_module(module, cache))
    return Toolchain(programs)


def _build_module(module: Path, cache: Path) -> dict[str, Path]:
    target = cache / "bin" / f"{module.name}-{_digest(module)}"
    packages = _packages(module)
    for name, package in packages.items():
        if not (target / name).exists():
            with progress.step(f"built {name}"):
                _carry(module, target)
                _build(module, package, target / name)
    return {name: target / name for name in packages}


def _packages(module: Path) -> dict[str, str]:
    """Program name → package, read without Go, so that a filled cache needs none."""
    if (module / "main.go").exists():
        return {module.name: "."}
    block = re.search(r"^tool \((.*?)^\)", (module / "go.mod").read_text(), re.MULTILINE | re.DOTALL)
    single = re.findall(r"^tool (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    paths = block.group(1).split() if block else single
    return {path.rsplit("/", 1)[-1]: path for path in paths}


def _build(module: Path, package: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        built = Path(scratch) / target.name
        argv = ["nice", find_go(), "build", "-trimpath", "-buildvcs=false", "-ldflags", _link_flags(module)]
        commands.run(
            [*argv, "-o", built, package], cwd=module, env={"CGO_ENABLED": "0"}, timeout=BUILD_SECONDS
        )
        built.rename(target)


def _carry(module: Path, target: Path) -> None:
    """Copy what `carried.txt` names, a module and a pattern of its files on each line, beside the program."""
    listed = module / "carried.txt"
    for line in listed.read_text().splitlines() if listed.exists() else ():
        name, pattern = line.split()
        argv = [find_go(), "list", "-m", "-f", "{{.Dir}}", name]
        folder = Path(commands.run(argv, cwd=module, timeout=BUILD_SECONDS).strip())
        (target / CARRIED).mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob(pattern)):
            (target / CARRIED / path.name).write_bytes(path.read_bytes())


def _link_flags(module: Path) -> str:
    template = LINK_FLAGS.get(module.name, "-s -w")
    version = re.search(r"k8s\.io/kubernetes v(\S+)", (module / "go.mod").read_text())
    if version is None:
        return template
    major, minor, _ = version.group(1).split(".", 2)
    return template.format(version=version.group(1), major=major, minor=minor)


def _digest(module: Path) -> str:
    digest = hashlib.sha256(json.dumps(LINK_FLAGS.get(module.name)).encode())
    for path in sorted(module.rglob("*")):
        is_code = path.suffix == ".go" and not path.name.endswith("_test.go")
        if is_code or path.name in {"go.mod", "go.sum", "carried.txt"}:
            digest.update(f"{path.relative_to(module)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def find_go() -> str:
    """The `go` to build with, from PATH or its usual place."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    wanted = f"Go {'.'.join(map(str, OLDEST_GO))} or newer is needed to build the cluster's programs"
    if found is None:
        raise errors.ToolMissingError(f"{wanted}; there is none in PATH or /usr/local/go/bin")
    text = commands.run([found, "env", "GOVERSION"])
    version = re.match(r"go(\d+)\.(\d+)", text)
    if version is None or (int(version.group(1)), int(version.group(2))) < OLDEST_GO:
        raise errors.ToolMissingError(f"{wanted}; {found} is {text.strip()}")
    return found

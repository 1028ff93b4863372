"""Runs Pinecone's own integration tests of the data plane against `vectorfleet up --control-plane`.

```
PYTHONPATH=tests python -m conforming.pinecone_suite [SOURCE] [pytest's options]
```
SOURCE is what `git clone` takes: by default the repository of Pinecone's client. Its tests are taken as they
are at the client's release; they make their indexes by the client, and are told where by its own environment
variables. Those of indexes that we don't have are skipped, see `pinecone_plugin`.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

from conforming import peers_environment

RELEASE = "7.3.0"
SOURCE = "https://github.com/pinecone-io/pinecone-python-client"
TESTS = ("tests/integration/data", "tests/integration/data_asyncio")
NEEDED = ("pytest", "pytest-asyncio", "pytest-timeout", "python-dotenv")
HERE = pathlib.Path(__file__).parent
BIN = pathlib.Path(sys.executable).parent


def main() -> int:
    """Return what pytest returned."""
    source, *options = sys.argv[1:] or [SOURCE]
    with tempfile.TemporaryDirectory(prefix="vectorfleet-pinecone-") as name:
        folder = pathlib.Path(name)
        tests, python = _tests(source, folder / "tests"), peers_environment.make(folder / "venv", *NEEDED)
        state = ["--state-dir", folder / "state"]
        try:
            said = _run([BIN / "vectorfleet", "up", "--control-plane", "--show-key", *state])
            return _ask(python, tests, options, _variables(said))
        finally:
            subprocess.run([BIN / "vectorfleet", "down", *state], check=False, capture_output=True)


def _run(command: list[str | pathlib.Path], **more: pathlib.Path) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def _tests(source: str, folder: pathlib.Path) -> pathlib.Path:
    """Take the tests of the release, and not the client beside them: that is the installed one."""
    tag = f"v{RELEASE}"
    clone = ["git", "clone", "--quiet", "--no-checkout", "--depth", "1", "--branch", tag, source, folder]
    _run(clone)
    _run(["git", "checkout", "--quiet", "HEAD", "--", "tests", "pyproject.toml"], cwd=folder)
    return folder


def _variables(said: str) -> dict[str, str]:
    """Return what the client reads from its environment: where indexes are made, and the key."""
    found = re.search(r"control plane: (\S+), API key (\S+)", said)
    assert found is not None, said
    # What names of indexes begin with: ours may not begin with a digit, as the date behind it does.
    return {"PINECONE_CONTROLLER_HOST": found[1], "PINECONE_API_KEY": found[2], "USER": "suite"}


def _ask(python: pathlib.Path, tests: pathlib.Path, options: list[str], variables: dict[str, str]) -> int:
    quiet = ["-o", "addopts=", "-q", "-p", "no:cacheprovider", "-p", "pinecone_plugin", "--timeout", "120"]
    environment = {**os.environ, **variables, "PYTHONPATH": str(HERE)}
    command = [python, "-W", "ignore", "-m", "pytest", *quiet, *TESTS, *options]
    return subprocess.run(command, check=False, cwd=tests, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())

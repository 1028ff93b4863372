"""What is built on Pinecone's client, unchanged, in an environment of its own: LangChain and data frames."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[3]
PROGRAM = pathlib.Path(__file__).with_name("peers_program.py")
INSTALL_SECONDS = 200
KEY = "test-key"


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    """An environment with what `requirements/peers.lock` names; skips where that can't be had."""
    folder = tmp_path_factory.mktemp("peers")
    uv, python = pathlib.Path(sys.executable).with_name("uv"), folder / "venv" / "bin" / "python"
    steps = [
        [uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"],
        [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes"],
    ]
    steps[1] += ["-r", ROOT / "requirements" / "peers.lock"]
    for step in steps:
        try:
            subprocess.run(step, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            why = getattr(error, "stderr", "") or error
            pytest.skip(f"langchain-pinecone can't be installed here: {str(why).strip()[-300:]}")
    return python


def test_langchain_and_data_frames(peers, serve, tmp_path):
    """Texts go in, are found, filtered, spread by relevance and deleted, in threads and in asyncio."""
    url = serve("--dimensions", "4", "--metric", "cosine").until_ready().url
    options = ("--dimensions", "4", "--metric", "dotproduct")
    hybrid = serve(*options, data_dir=tmp_path / "hybrid").until_ready().url
    command = [peers, "-W", "ignore", PROGRAM, url, hybrid, KEY]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "done" in done.stdout

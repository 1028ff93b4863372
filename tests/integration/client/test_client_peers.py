"""What is built on Pinecone's client, unchanged, in an environment of its own: LangChain and data frames."""

import pathlib
import subprocess

import pytest
from conforming import peers_environment

PROGRAM = pathlib.Path(__file__).with_name("peers_program.py")
KEY = "test-key"


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    """An environment with what `requirements/peers.lock` names; skips where that can't be had."""
    try:
        return peers_environment.make(tmp_path_factory.mktemp("peers") / "venv")
    except (OSError, subprocess.SubprocessError) as error:
        why = getattr(error, "stderr", "") or error
        pytest.skip(f"langchain-pinecone can't be installed here: {str(why).strip()[-300:]}")


def test_langchain_and_data_frames(peers, serve, tmp_path):
    """Texts go in, are found, filtered, spread by relevance and deleted, in threads and in asyncio."""
    url = serve("--dimensions", "4", "--metric", "cosine").until_ready().url
    options = ("--dimensions", "4", "--metric", "dotproduct")
    hybrid = serve(*options, data_dir=tmp_path / "hybrid").until_ready().url
    command = [peers, "-W", "ignore", PROGRAM, url, hybrid, KEY]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "done" in done.stdout

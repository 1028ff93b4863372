"""The pages about the SDK and the command: their examples run, from top to bottom."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[3]


def blocks(page, language):
    """Return a page's code of one language as one program."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found, f"no {language} in {page}"
    return "\n".join(found)


def run(command, program, tmp_path, environment):
    """Run a program; fail with all it wrote."""
    result = subprocess.run(
        command,
        check=False,
        input=program,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=270,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_sdk_s_page_runs(serve, tmp_path, clean_environment):
    """Every Python block, with its assertions, against a process started as the page says."""
    options = ("--vector-field", "title:2", "--vector-field", "tokens:2:tokens", "--text-field", "about")
    served = serve("--dimensions", "4", "--metric", "cosine", *options, key="dev-key")
    served.until_ready("dev-key")
    program = blocks("sdk.md", "python").replace("127.0.0.1:8080", f"127.0.0.1:{served.port}")
    output = run([sys.executable, "-"], program, tmp_path, clean_environment)
    assert "apple" in output
    assert "dimension" in output


def test_the_page_on_sparse_values_runs(serve, tmp_path, clean_environment):
    """Both clients, one after the other, against a process started as the page says."""
    served = serve("--dimensions", "4", "--metric", "dotproduct", key="dev-key")
    served.until_ready("dev-key")
    program = blocks("sparse-values.md", "python").replace("127.0.0.1:8080", f"127.0.0.1:{served.port}")
    run([sys.executable, "-"], program, tmp_path, clean_environment)


def test_the_page_on_texts_runs(serve, tmp_path, clean_environment, embedder_url):
    """The Python block, against a process started as the page says and a real embedder."""
    told = ("query.inputType=query", "document.inputType=passage")
    options = ("--embedder", embedder_url, "--embedder-model", "multilingual-e5-small-q4")
    options += tuple(word for option in told for word in ("--embedder-option", option))
    served = serve("--dimensions", "384", "--text-field", "about", *options, key="dev-key")
    served.until_ready("dev-key")
    program = blocks("embedding.md", "python").replace("127.0.0.1:8080", f"127.0.0.1:{served.port}")
    run([sys.executable, "-"], program, tmp_path, clean_environment)


def test_the_command_s_page_runs(tmp_path, clean_environment, free_port_number):
    """Every bash block, serve included, as one script that stops at the first failure."""
    program = "set -euo pipefail\n" + blocks("cli.md", "bash").replace("8080", str(free_port_number))
    output = run(["bash", "-s"], program, tmp_path, clean_environment)
    assert "apple" in output
    assert output.rstrip().endswith("}")
    assert re.search(r'"totalVectorCount": 2\b', output)


@pytest.mark.parametrize("page", ["sdk.md", "cli.md"])
def test_no_page_shows_a_block_that_no_test_runs(page):
    """Python and bash only, beside plain text that repeats a block of the other page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert set(re.findall(r"^```(\w+)$", text, re.MULTILINE)) <= {"python", "bash"}

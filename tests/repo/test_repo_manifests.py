"""The manifests that the pages and examples show are ones that the operator takes."""

import pathlib
import re

import pytest
import yaml

from vectorfleet_operator.api import parse, support

ROOT = pathlib.Path(__file__).parents[2]
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shown() -> list[tuple[str, dict]]:
    """Return each VectorIndex in a page or an example, and where it is."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/**/*.md")]
    texts = [(path, text) for path in pages for text in BLOCK.findall(path.read_text())]
    texts += [(path, path.read_text()) for path in ROOT.glob("examples/**/*.yaml")]
    every = [(path, one) for path, text in texts for one in yaml.safe_load_all(text)]
    return [
        (str(path.relative_to(ROOT)), one)
        for path, one in every
        if isinstance(one, dict) and one.get("kind") == "VectorIndex"
    ]


def test_there_are_some():
    """The README shows one, and there is an example."""
    assert {"README.md", "examples/fashion-mnist.yaml"} <= {where for where, _ in shown()}


@pytest.mark.parametrize(("where", "manifest"), shown())
def test_shown_manifest_is_taken(where, manifest):
    """Its spec is valid, and asks for nothing that does not exist yet."""
    index = parse.parse_index(manifest)

    assert support.unsupported(index.spec) == (), where

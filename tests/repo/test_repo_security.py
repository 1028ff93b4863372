"""What the source must not have, and that the page on security speaks of tests there are."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PACKAGES = ("client", "gateway", "operator", "runtime", "shardnode")
MODULES = {
    "dill", "joblib", "marshal", "pickle", "shelve", "tarfile", "torch", "transformers", "zipfile",
}  # fmt: skip
CALLS = {"eval", "exec", "compile", "__import__", "unpack_archive"}
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def called(node):
    """Return the last part of the name that a call is of."""
    function = node.func
    return getattr(function, "id", "") or getattr(function, "attr", "")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles_or_unpacks(path):
    """No source loads what could run as code, opens an archive, or starts a shell."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").partition(".")[0]} if not node.level else set()
        else:
            names = set()
        assert not names & MODULES, f"line {node.lineno}"
        if isinstance(node, ast.Call):
            bare = isinstance(node.func, ast.Name)
            assert not (called(node) in CALLS and (bare or called(node) == "unpack_archive")), (
                f"line {node.lineno}"
            )
            for keyword in node.keywords:
                told = getattr(keyword.value, "value", None)
                assert not (keyword.arg in {"shell", "allow_pickle"} and told is not False), (
                    f"line {node.lineno}"
                )


def test_the_tests_of_each_lesson_exist():
    """Every test that the page names is there, under that name."""
    page = (ROOT / "docs" / "security.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 20
    sources = "\n".join(
        path.read_text() for folder in ("tests", "e2e") for path in (ROOT / folder).rglob("test_*.py")
    )
    there = set(re.findall(r"def (test_\w+)\(", sources))
    assert named - there == set()


LESSONS = (
    "CVE-2023-38976", "CVE-2024-2221", "CVE-2024-3078", "CVE-2024-3584", "CVE-2024-3829", "CVE-2025-64513",
    "CVE-2025-67818", "CVE-2025-67819", "CVE-2026-25628", "CVE-2026-26190", "CVE-2026-3172",
    "CVE-2026-45829", "GHSA-3gph-6c29-p29v", "GHSA-3v92-w72v-j994", "#10085", "#9254", "#9302", "FAISS",
)  # fmt: skip
"""What went wrong elsewhere, by the names of the advisories."""


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_advisory_has_a_row(lesson):
    """With what is done here, and at least one test."""
    page = (ROOT / "docs" / "security.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| ")]
    named = [row for row in rows if re.search(rf"{re.escape(lesson)}(?![\w-])", row[1])]
    assert named
    for row in named:
        assert row[3].strip()
        assert re.search(r"`test_\w+`", row[4])

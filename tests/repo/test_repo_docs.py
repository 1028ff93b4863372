"""The pages: every link inside the repository leads somewhere."""

import pathlib
import re
import subprocess

import pytest

from vectorfleet_shardnode import settings

ROOT = pathlib.Path(__file__).parents[2]
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)|<img [^>]*src=\"([^\"]+)\"")


def pages() -> list[pathlib.Path]:
    """Return the Markdown pages that git knows, those not committed yet included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.md"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def anchors(page: pathlib.Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """A relative link names a file that exists and, after #, a heading in it."""
    targets = [first or second for first, second in LINK.findall(page.read_text())]
    broken = []
    for target in targets:
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)

    assert broken == []


def said(default: bool | float) -> str:
    """Return a default as the page says it."""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, int):
        return f"{default >> 20} MiB" if default and default % (1 << 20) == 0 else f"{default:,}"
    return f"{default:g}"


@pytest.mark.parametrize("name", settings.Tuning.model_fields)
def test_each_bound_of_the_storage_is_described(name):
    """Its row has the default that it has, and the words of its field."""
    field = settings.Tuning.model_fields[name]
    row = f"| `{name.upper()}` | {said(field.default)} | {field.description} |"
    assert row in (ROOT / "docs" / "engines.md").read_text().splitlines()

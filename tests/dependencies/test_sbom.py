"""`make sbom`: the list of each image names what its lock pins, each with its hashes, and nothing else."""

import json
import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LISTS = ROOT / "build" / "sbom"
PINNED = re.compile(
    r"^([A-Za-z0-9][\w.-]*)(?:\[[\w,.-]+\])?==(\S+)(?: ;[^\\\n]*)? \\\n((?: +--hash=sha256:\S+(?: \\)?\n)+)",
    re.MULTILINE,
)
"""Of a lock: a package, its version, and the lines of its hashes."""
IMAGES = ("data-plane", "operator")


@pytest.fixture(params=IMAGES)
def image(request):
    """The name of an image."""
    return request.param


@pytest.fixture
def listed(image):
    """The list of an image, as `make sbom` left it."""
    path = LISTS / f"{image}.cdx.json"
    assert path.exists(), "there is no list; `make dependencies` makes it, and runs this"
    return json.loads(path.read_text())


def pinned(image):
    """Return the hashes of what an image's lock pins, by name and version."""
    text = (ROOT / "requirements" / f"{image}.lock").read_text()
    found = {
        (name, version): set(re.findall(r"sha256:([0-9a-f]{64})", hashes))
        for name, version, hashes in PINNED.findall(text)
    }
    assert len(found) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE)) > 20
    return found


def test_each_package_of_the_lock_is_listed_with_its_hashes(listed, image):
    """By name, version and package URL, so that scanners find it; nothing is missing, nothing added."""
    found = {
        (one["name"], one["version"]): {
            hash_["content"] for link in one["externalReferences"] for hash_ in link.get("hashes", ())
        }
        for one in listed["components"]
    }
    assert found == pinned(image)
    for one in listed["components"]:
        assert one["purl"].partition("?")[0] == f"pkg:pypi/{one['name'].lower()}@{one['version']}"


def test_the_list_says_what_it_is_of(listed):
    """CycloneDX 1.6, of this product in the version of its pyproject."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
    subject = listed["metadata"]["component"]
    assert (subject["name"], subject["version"]) == (project["name"], project["version"])
    assert subject["type"] == "application"


def test_the_list_is_of_the_lock_alone(listed):
    """It has no moment and no number drawn for it, so that the lists of two builds can be compared."""
    assert "timestamp" not in listed["metadata"]
    assert "serialNumber" not in listed

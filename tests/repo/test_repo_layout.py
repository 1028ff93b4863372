"""Guards of the repository's layout: what would break imports or leak where the code was written."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).parents[2]
SOURCE_ROOTS = ("client", "gateway", "operator", "runtime", "shardnode")


def tracked() -> list[pathlib.Path]:
    """Return the files that git knows, those not committed yet included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: pathlib.Path) -> str:
    """Return a file's text, or nothing where it is not text."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def test_source_roots_are_not_packages():
    """`operator/` with an __init__.py would hide the standard library's module of that name."""
    assert [root for root in SOURCE_ROOTS if (ROOT / root / "__init__.py").exists()] == []


def test_no_test_folder_is_called_operator():
    """Pytest would put a test folder `operator` in place of the standard library's module."""
    folders = {parent for path in tracked() for parent in path.relative_to(ROOT).parents}
    assert [
        folder for folder in folders if folder.parts[:1] == ("tests",) and folder.name == "operator"
    ] == []


def test_test_folders_are_not_packages():
    """Tests are found by file, so a folder needs no __init__.py and file names are unique."""
    tests = [path for path in tracked() if {"tests", "e2e"} & set(path.relative_to(ROOT).parts[:1])]
    names = [path.name for path in tests if path.name.startswith("test_") and path.suffix == ".py"]

    assert [path for path in tests if path.name == "__init__.py"] == []
    assert sorted(names) == sorted(set(names))


def test_lock_files_carry_no_address():
    """A lock pins names, versions and hashes; where they come from is each machine's own affair."""
    locks = [*(ROOT / "requirements").glob("*.lock"), *ROOT.rglob("e2e/**/go.sum")]
    assert [
        str(lock) for lock in locks if re.search(r"https?://|index-url|find-links", lock.read_text())
    ] == []


def test_no_machine_path_is_committed():
    """Nothing in the repository names a folder of the machine that it was written on."""
    checkout = f"{ROOT}/"
    assert [str(path) for path in tracked() if checkout in text_of(path)] == []


def test_no_file_is_big():
    """Binaries and data do not belong in the repository: no file above 1 MB."""
    assert [str(path) for path in tracked() if path.stat().st_size > 1_000_000] == []


def test_no_pickle():
    """Pickle runs what it reads: no module of ours imports it or a library's form of it."""
    pattern = re.compile(
        r"^\s*(import|from)\s+(pickle|cloudpickle|dill|joblib|shelve)\b|allow_pickle=True", re.MULTILINE
    )
    sources = [
        path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in SOURCE_ROOTS
    ]
    assert [str(path) for path in sources if pattern.search(text_of(path))] == []

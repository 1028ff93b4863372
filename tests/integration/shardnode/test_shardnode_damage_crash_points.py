"""A life that is cut short at every step on the disk: what a SIGKILL leaves opens, with all that was answered.

The folder is copied before and after every fsync, rename and deletion of a life with writes, flushes, a
merge and rotations; each copy must give the rows of one seq, and of none before the last answered one.
"""

import dataclasses
import runpy
import shutil
from pathlib import Path

import pytest

from vectorfleet_shardnode import files

MADE = runpy.run_path(str(Path(__file__).parents[2] / "fixtures" / "make_shard.py"))


@dataclasses.dataclass(frozen=True)
class Cut:
    """A copy of the folder, the step that was about to be done or just done, and the last answered seq."""

    folder: Path
    step: str
    answered: int


class Camera:
    """Copies the folder around every step; `answered` is told by who writes."""

    def __init__(self, data, target):
        self.data, self.target = data, target
        self.cuts = []
        self.states = {0: {"": {}, "ünï": {}}}

    def around(self, function):
        """Return the function with a copy before and after each call."""

        def wrapped(*arguments, **options):
            self.copy(f"before {function.__name__} {arguments}")
            try:
                return function(*arguments, **options)
            finally:
                self.copy(f"after {function.__name__} {arguments}")

        return wrapped

    def copy(self, step):
        folder = self.target / str(len(self.cuts))
        shutil.copytree(self.data, folder)
        self.cuts.append(Cut(folder, step, max(self.states)))


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    """The copies of one life."""
    data = tmp_path_factory.mktemp("life") / "data"
    data.mkdir()
    taken = Camera(data, tmp_path_factory.mktemp("cuts"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "fsync", taken.around(files.fsync))
        patch.setattr(files, "fsync_path", taken.around(files.fsync_path))
        for owner, name in ((Path, "rename"), (Path, "unlink"), (shutil, "rmtree")):
            patch.setattr(owner, name, taken.around(getattr(owner, name)))
        served = MADE["open_folder"](data)
        writer = MADE["Writer"](served, 1)
        writer.states = taken.states
        MADE["live"](writer)
        served.close()
    return taken


def open_and_read(folder):
    """Return the rows and the seq that a start serves."""
    served = MADE["open_folder"](folder)
    try:
        return MADE["rows_of"](served), served.shard.snapshot.seq
    finally:
        served.close()


def test_the_life_was_cut_at_every_kind_of_step(camera):
    """Flush, merge, rotation, trimming and the manifest's swap are all among the steps."""
    steps = "\n".join(cut.step for cut in camera.cuts)
    for part in ("tmp-identity.json", "tmp-manifest.json", "tmp-dead-", "0000005.log", "merge", "flush"):
        assert part in steps
    assert "before unlink" in steps
    assert "before rmtree" in steps
    assert len(camera.cuts) > 100


def test_every_cut_opens_with_the_rows_of_one_seq(camera):
    """Every answered write is there, nothing that was deleted is, and a second start finds the same."""
    for cut in camera.cuts:
        rows, seq = open_and_read(cut.folder)
        assert seq >= cut.answered, cut.step
        assert rows == camera.states[seq], cut.step
        assert open_and_read(cut.folder) == (rows, seq), cut.step


def test_every_cut_can_be_worked_on(camera):
    """After the start, writes and maintenance go on; nothing that the cut left behind comes up later."""
    for cut in camera.cuts[::7]:
        served = MADE["open_folder"](cut.folder)
        writer = MADE["Writer"](served, 5)
        writer.upsert("", "a1", "fresh")
        for _ in range(6):
            served.maintenance.step()
        served.close()
        rows, seq = open_and_read(cut.folder)
        assert rows == writer.states[seq], cut.step
        assert [path.name for path in cut.folder.rglob("tmp-*")] == []

"""A life that is cut short at every step on the disk: what a SIGKILL leaves opens with all that was answered.

The folder is copied before and after every fsync, rename and deletion of a life with writes, flushes, a
merge and rotations; each copy must give the rows of one seq, and of none before the last answered one.
"""

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
from fixtures import folders, lives

from vectorfleet_shardnode import errors, files, records
from vectorfleet_shardnode.log import wal
from vectorfleet_shardnode.segments import manifest
from vectorfleet_shardnode.upkeep import stored_segments

PLAIN = lives.KINDS["plain"].setting


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
        folder = self.target / f"cut{len(self.cuts)}"
        shutil.copytree(self.data, folder)
        self.cuts.append(Cut(folder, step, max(self.states)))


@pytest.fixture(autouse=True, scope="module")
def no_disk():
    """A process that is killed loses no written pages, so nothing has to reach the disk here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    """The copies of one life."""
    return film(tmp_path_factory.mktemp("life"))


def film(folder):
    """Lead a life and copy it at every step."""
    data = folder / "data"
    data.mkdir()
    taken = Camera(data, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "fsync", taken.around(files.fsync))
        patch.setattr(files, "fsync_path", taken.around(files.fsync_path))
        for owner, name in ((Path, "rename"), (Path, "unlink"), (shutil, "rmtree")):
            patch.setattr(owner, name, taken.around(getattr(owner, name)))
        served = folders.open_folder(data, PLAIN)
        writer = folders.Writer(served, PLAIN, 1)
        writer.states = taken.states
        lives.live_plainly(writer)
        served.close()
    return taken


def open_and_read(folder):
    """Return the rows and the seq that a start serves."""
    served = folders.open_folder(folder, PLAIN)
    try:
        return folders.rows_of(served, PLAIN), served.shard.snapshot.seq
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
    assert [cut.step for cut in camera.cuts if is_wrong(cut, camera.states)] == []
    assert [cut.step for cut in camera.cuts[::5] if is_wrong(cut, camera.states)] == []


def clean_first(patch):
    """Delete what the new manifest does not name before it is written."""
    write = manifest.write
    patch.setattr(manifest, "write", lambda folder, new: (manifest.clean(folder, new), write(folder, new)))


def trim_first(patch):
    """Cut the log before the manifest says that segments cover it."""
    adopt = stored_segments.StoredSegments.adopt

    def trim_and_adopt(keeper, output, described):
        keeper._shard.trim_log(described.last_seq)
        return adopt(keeper, output, described)

    patch.setattr(stored_segments.StoredSegments, "adopt", trim_and_adopt)


def forget_the_dead(patch):
    """Write no tombstones."""
    patch.setattr(manifest, "write_tombstones", lambda *_: None)


def answer_before_the_log(patch):
    """Let writes go on in memory alone."""
    write = wal.Log._write
    patch.setattr(wal.Log, "_write", lambda its, data: data[24] == records.Op.REMOVE or write(its, data))


@pytest.mark.parametrize("break_it", [clean_first, trim_first, forget_the_dead, answer_before_the_log])
def test_r34_a_broken_order_is_noticed(tmp_path, monkeypatch, break_it):
    """The cuts are worth something: where the shard is wrong, one of them does not open with its rows."""
    break_it(monkeypatch)
    broken = film(tmp_path)
    monkeypatch.undo()
    assert any(is_wrong(cut, broken.states) for cut in reversed(broken.cuts))


def is_wrong(cut, states):
    """Tell whether a cut does not open with the rows of an answered seq."""
    try:
        rows, seq = open_and_read(cut.folder)
    except errors.DataLossError:
        return True
    return seq < cut.answered or rows != states[seq]


def test_every_cut_can_be_worked_on(camera):
    """After the start, writes and maintenance go on; nothing that the cut left behind comes up later."""
    for cut in camera.cuts[::7]:
        served = folders.open_folder(cut.folder, PLAIN)
        writer = folders.Writer(served, PLAIN, 5)
        writer.upsert("", "a1", "fresh")
        for _ in range(6):
            served.maintenance.step()
        served.close()
        rows, seq = open_and_read(cut.folder)
        assert rows == writer.states[seq], cut.step
        assert [path.name for path in cut.folder.rglob("tmp-*")] == []

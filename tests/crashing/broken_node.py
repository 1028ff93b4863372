"""A shard node with one promise patched out: `python broken_node.py WAY`. The tests must notice each."""

import sys
import time

from vectorfleet_shardnode import __main__ as node
from vectorfleet_shardnode import files
from vectorfleet_shardnode.log import wal
from vectorfleet_shardnode.segments import manifest
from vectorfleet_shardnode.upkeep import stored_segments


def no_log_fsync():
    """Answer without a group commit's fsync."""
    wal.Log._sync_file = lambda its, descriptor: None


def no_fsync_of(is_meant):
    """Leave out the fsync of files, or of folders."""
    real = files.fsync_path
    files.fsync_path = lambda path: None if is_meant(path) else real(path)


def answer_first():
    """Tell of a write before it is durable."""
    real = wal.Log._sync_file

    def sync(its, descriptor):
        its._listeners.durable(its._index.last_seq)
        time.sleep(0.005)
        real(its, descriptor)

    wal.Log._sync_file = sync


def mark_first():
    """Say up to where the log is on the disk before it is."""
    real = wal.Log._sync_file

    def sync(its, tail):
        its._high_water.note(its._index.last_seq)
        real(its, tail)

    wal.Log._sync_file = sync


def rename_first():
    """Give a file its name before its content is durable, and leave it at that."""

    def write(path, content, what=""):
        temporary = path.with_name(files.TEMPORARY + path.name)
        temporary.write_bytes(content)
        temporary.rename(path)
        files.fsync_path(path.parent)

    files.write_durably = write


def trim_first():
    """Cut the log before the manifest says that segments cover it."""
    real = stored_segments.StoredSegments.adopt

    def adopt(keeper, output, described):
        keeper._shard.trim_log(described.last_seq)
        return real(keeper, output, described)

    stored_segments.StoredSegments.adopt = adopt


def no_tombstones():
    """Forget which rows of segments are dead."""
    manifest.write_tombstones = lambda *_: None


def clean_first():
    """Delete what the new manifest does not name before it is written."""
    real = manifest.write
    manifest.write = lambda folder, new: (manifest.clean(folder, new), real(folder, new))


WAYS = {
    "the log is not fsynced": no_log_fsync,
    "files are not fsynced": lambda: no_fsync_of(lambda path: path.is_file()),
    "folders are not fsynced": lambda: no_fsync_of(lambda path: path.is_dir()),
    "answered before the fsync": answer_first,
    "high-water mark before the fsync": mark_first,
    "renamed before the fsync": rename_first,
    "the log is cut too early": trim_first,
    "no tombstones": no_tombstones,
    "cleaned before the manifest": clean_first,
}


if __name__ == "__main__":
    WAYS[sys.argv[1]]()
    node.main()

"""Damage to a replica's files, as a disk does it that has kept a bit wrongly."""

from vectorfleet_shardnode import shard
from vectorfleet_shardnode.log import log_files, log_format

_IN_HEADER = 20


def flip_in_log(data):
    """Flip a bit in the middle of a shard's newest log file; in its header where it was begun just now.

    Args:
        data: the shard's folder.
    """
    path = log_files.paths(data / shard.LOG)[-1]
    middle = len(path.read_bytes().rstrip(b"\0")) // 2
    flip(path, middle if middle > log_format.HEADER_BYTES + log_format.RECORD_BYTES else _IN_HEADER)


def flip(path, at):
    """Flip a bit of one byte in place."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))

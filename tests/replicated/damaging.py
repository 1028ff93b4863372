"""Damage to a replica's files, as a disk does it that has kept a bit wrongly."""

from vectorfleet_shardnode import log_files, log_format, shard


def flip_in_log(data):
    """Flip a bit in the middle of a shard's newest log file, of records that were acknowledged long ago.

    Args:
        data: the shard's folder.
    """
    path = log_files.paths(data / shard.LOG)[-1]
    content = path.read_bytes()
    at = len(content.rstrip(b"\0")) // 2
    assert at > log_format.HEADER_BYTES + log_format.RECORD_BYTES, "there is nothing yet to damage"
    flip(path, at)


def flip(path, at):
    """Flip a bit of one byte in place."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))

"""A shard node of a version before checkpoints carried the ids of writes: it can't read those that do."""

from vectorfleet_shardnode import __main__ as node
from vectorfleet_shardnode import errors
from vectorfleet_shardnode.segments import manifest

_parse = manifest.parse


def parse(content, path="a manifest"):
    """Refuse what that version's model of a manifest did not have."""
    found = _parse(content, path)
    if found.write_ids is not None:
        raise errors.UnknownFormatError(f"{path} can't be understood: write_ids is not permitted")
    return found


if __name__ == "__main__":
    manifest.parse = parse
    node.main()

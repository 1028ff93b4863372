"""Which shard an id belongs to: a hash range of (namespace, id).

The function is part of the stored format: changing it would send reads to shards that do not hold the row.
"""

import xxhash

_SEPARATOR = b"\0"  # no namespace holds NUL, so (a, bc) and (ab, c) stay apart


def hash_id(namespace: str, row_id: str) -> int:
    """Return the 64-bit XXH3 of a row's key: UTF-8 namespace, NUL, UTF-8 id."""
    return xxhash.xxh3_64_intdigest(namespace.encode() + _SEPARATOR + row_id.encode())


def shard_of(namespace: str, row_id: str, shards: int) -> int:
    """Return the number, 0 to `shards` - 1, of the shard that holds the row.

    The hash space is cut into `shards` equal ranges, so that doubling the count halves each range.
    """
    return (hash_id(namespace, row_id) * shards) >> 64

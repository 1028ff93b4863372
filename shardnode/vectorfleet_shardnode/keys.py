"""Keys of rows: (namespace, id), with the hash by which sealed segments find a row."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from .api import placement
from .arrays import Hashes


@dataclasses.dataclass(frozen=True)
class Keys:
    """Keys of one namespace: ids and, in the same order, `placement.hash_id` of each."""

    namespace: str
    ids: Sequence[str]
    hashes: Hashes


def keys_of(namespace: str, ids: Sequence[str]) -> Keys:
    """Hash the ids of a namespace."""
    hashes = np.fromiter((placement.hash_id(namespace, row_id) for row_id in ids), np.uint64, len(ids))
    return Keys(namespace, ids, hashes)

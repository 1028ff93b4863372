"""What replies have in common, as messages: positions, and rows that are written where they stand already."""

from .. import records, states
from ..api import config, shard_pb2
from ..snapshot import Snapshot


def position(shard: int, at: states.Written | Snapshot) -> shard_pb2.Position:
    """Return where a shard was when it wrote, or how it is read."""
    return shard_pb2.Position(shard=shard, epoch=at.epoch, seq=at.seq)


def fill_rows(message: shard_pb2.Rows, rows: records.Rows) -> None:
    """Write rows into a message that stands in the reply already, so that nothing is copied."""
    message.ids.extend(rows.ids)
    message.vectors = rows.vectors.tobytes()
    message.metadata.extend(rows.metadata)
    for name, column in rows.filled.items():
        message.fields.add(name=name, counts=column.counts.tolist(), vectors=column.items.tobytes())
    if (pairs := rows.sparse) is not None:
        indices, values = pairs.items["index"].tobytes(), pairs.items["value"].tobytes()
        message.fields.add(name=config.SPARSE, counts=pairs.counts.tolist(), vectors=values, indices=indices)

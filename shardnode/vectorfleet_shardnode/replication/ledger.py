"""The shard as the driver uses it: its log, its promise, and its part in office, in the core's words."""

from collections.abc import Sequence

import google_crc32c

from .. import rebuilding, records, replica_state, storage
from ..api import replication_pb2
from ..copies import reusing
from ..log import log_format
from . import history, messages


class Ledger:
    """One open shard. Calls may block; errors are `errors.ShardError` and OSError.

    Args:
        opened: the shard, not served alone.
    """

    def __init__(self, opened: storage.OpenShard) -> None:
        self._shard = opened.shard
        self._replica = opened.replica
        self._keeps = (opened.shard.folder / reusing.FOLDER).exists()

    @property
    def disk(self) -> str:
        """The identity of the data folder."""
        return self._replica.disk

    @property
    def committed(self) -> int:
        """What is known to be committed, as far as the log has it."""
        return self._shard.snapshot.seq

    @property
    def cuts(self) -> int:
        """How often the log was cut in this process."""
        return self._shard.log.cuts

    @property
    def syncing(self) -> bool:
        """Whether the log has records that are not on the disk yet."""
        return self._shard.log.last_seq > self._shard.log.durable_seq

    def history(self) -> history.History:
        """Return the epochs of the log's records."""
        (base, *firsts), last = self._shard.log.history()
        spans = tuple(history.Span(first.seq, first.epoch) for first in firsts)
        if last.seq > base.seq and (not spans or spans[0].first > base.seq + 1):
            # The log goes on in the epoch of the record before its first one.
            spans = (history.Span(base.seq + 1, base.epoch), *spans)
        return history.History(history.Position(*base), spans, last.seq)

    def stored(self) -> messages.Stored:
        """Return what was promised, and the configuration."""
        known = self._replica.configuration
        if known is None:
            return messages.Stored(self._replica.promised)
        members = tuple(messages.Member(one.name, one.disk, one.address) for one in known.members)
        found = messages.Configuration(known.epoch, known.primary, members, known.write_quorum)
        return messages.Stored(self._replica.promised, found)

    def store(self, stored: messages.Stored) -> None:
        """Make it durable."""
        wanted = stored.configuration
        self._replica.store(
            stored.promised,
            None
            if wanted is None
            else replica_state.Configuration(
                epoch=wanted.epoch,
                primary=wanted.primary,
                members=tuple(
                    replica_state.Member(name=one.name, disk=one.disk, address=one.address)
                    for one in wanted.members
                ),
                write_quorum=wanted.write_quorum,
            ),
        )

    def append(self, entries: Sequence[replication_pb2.Entry]) -> None:
        """Append records of the primary."""
        if self._keeps:  # its log reaches back to what is here, so no segments are going to be copied
            reusing.drop(self._shard.folder)
            self._keeps = False
        self._shard.append_entries(
            [
                log_format.Entry(
                    one.epoch, one.seq, records.Op(one.op), one.payload, one.write_id, one.affected
                )
                for one in entries
            ]
        )

    def cut(self, after: int) -> None:
        """Remove the records behind `after`."""
        self._shard.cut_after(after)

    def lead(self, epoch: int, *, resumes: bool) -> int:
        """Take office; returns the log's last seq."""
        return self._shard.lead(epoch, resumes=resumes).seq

    def follow(self) -> int:
        """Leave office; returns the log's last seq."""
        return self._shard.follow().seq

    def commit(self, seq: int) -> int:
        """Show what is committed; returns the seq that readers see."""
        return self._shard.commit(seq)

    def give_up(self) -> str:
        """Decide that all of it goes; returns the identity of the disk that begins anew."""
        return rebuilding.decide(self._shard.folder, self._replica.state)

    def read(self, first: int, upto: int, most_bytes: int) -> list[replication_pb2.Entry]:
        """Return records to be shipped, from `first` on."""
        return _packed(self._shard.log.read(first, most_bytes), upto)

    def read_recent(self, first: int, upto: int, most_bytes: int) -> list[replication_pb2.Entry]:
        """Return all of these records if that takes no time, else none."""
        return _packed(self._shard.log.read_recent(first, upto, most_bytes), upto)


def _packed(found: Sequence[log_format.Entry], upto: int) -> list[replication_pb2.Entry]:
    return [
        replication_pb2.Entry(
            epoch=one.epoch,
            seq=one.seq,
            op=one.op,
            payload=bytes(one.payload),
            write_id=one.write_id,
            affected=one.affected,
            crc32c=google_crc32c.value(bytes(one.payload)),
        )
        for one in found
        if one.seq <= upto
    ]

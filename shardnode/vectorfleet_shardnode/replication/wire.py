"""The core's values as protocol buffers, and back. PURE."""

from collections.abc import Sequence

from ..api import replication_pb2
from . import messages
from .history import Position


def position(of: Position) -> replication_pb2.LogPosition:
    """Return a position as a message."""
    return replication_pb2.LogPosition(epoch=of.epoch, seq=of.seq)


def to_position(given: replication_pb2.LogPosition) -> Position:
    """Return the position that a message holds."""
    return Position(given.epoch, given.seq)


def member(of: messages.Member) -> replication_pb2.Member:
    """Return a member as a message."""
    return replication_pb2.Member(name=of.name, disk=of.disk, address=of.address)


def to_member(given: replication_pb2.Member) -> messages.Member:
    """Return the member that a message holds."""
    return messages.Member(given.name, given.disk, given.address)


def configuration(of: messages.Configuration | None) -> replication_pb2.Configuration | None:
    """Return a configuration as a message, None for none."""
    if of is None:
        return None
    return replication_pb2.Configuration(
        epoch=of.epoch,
        primary=of.primary,
        members=[member(one) for one in of.members],
        write_quorum=of.write_quorum,
    )


def to_configuration(given: replication_pb2.Configuration) -> messages.Configuration:
    """Return the configuration that a message holds.

    Raises:
        ValueError: it is none: what is wrong with it.
    """
    members = tuple(to_member(one) for one in given.members)
    found = messages.Configuration(given.epoch, given.primary, members, given.write_quorum)
    if not found.epoch or not members:
        raise ValueError("a configuration has an epoch from 1 on, and members")
    if found.primary not in [one.name for one in members]:
        raise ValueError(f'the primary "{found.primary}" is not one of the members')
    if len({one.disk for one in members}) < len(members) or not all(one.disk for one in members):
        raise ValueError("each member is a disk of its own")
    if not len(members) < 2 * found.write_quorum <= 2 * len(members):
        raise ValueError(
            f"a write quorum of {found.write_quorum} is no majority of {len(members)} members, or above all"
        )
    return found


def to_append(given: replication_pb2.AppendRequest, epochs: Sequence[int]) -> messages.Append:
    """Return the core's form of a request whose entries are of these epochs."""
    return messages.Append(
        given.epoch, to_position(given.previous), tuple(epochs), given.committed, given.log_begin
    )


def append_reply(of: messages.AppendReply) -> replication_pb2.AppendReply:
    """Return a reply as a message."""
    return replication_pb2.AppendReply(
        promised=of.promised,
        matched=of.matched,
        verified=of.verified,
        hint=position(of.hint),
        needs_checkpoint=of.needs_checkpoint,
        applied=of.applied,
    )


def to_append_reply(given: replication_pb2.AppendReply) -> messages.AppendReply:
    """Return the reply that a message holds."""
    return messages.AppendReply(
        given.promised,
        given.matched,
        given.verified,
        to_position(given.hint),
        given.needs_checkpoint,
        given.applied,
    )

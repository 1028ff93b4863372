"""Between the values of `replication` and the messages of replication.proto."""

from vectorfleet_shardnode.api import replication_pb2 as pb
from vectorfleet_shardnode.api import shard_pb2

from .. import replication

_ROLES = {
    pb.NEW: replication.Role.NEW,
    pb.PRIMARY: replication.Role.PRIMARY,
    pb.FOLLOWER: replication.Role.FOLLOWER,
    pb.LEARNER: replication.Role.LEARNER,
    pb.ELECT: replication.Role.ELECT,
    pb.ALONE: replication.Role.ALONE,
}


_DAMAGED = "Damaged"


def build_member(member: replication.Member) -> pb.Member:
    """Return a member as a message."""
    return pb.Member(name=member.name, disk=member.disk, address=member.address)


def build_configuration(value: replication.Configuration) -> pb.Configuration:
    """Return a configuration as a message."""
    return pb.Configuration(
        epoch=value.epoch,
        primary=value.primary,
        members=[build_member(member) for member in value.members],
        write_quorum=value.write_quorum,
    )


def read_configuration(message: pb.Configuration) -> replication.Configuration | None:
    """Return a configuration, None where the message names no members."""
    if not message.members:
        return None
    members = tuple(replication.Member(one.name, one.disk, one.address) for one in message.members)
    return replication.Configuration(message.epoch, message.primary, members, message.write_quorum)


def read_position(message: pb.LogPosition) -> replication.Position:
    """Return a place in the log."""
    return replication.Position(message.epoch, message.seq)


def read_refusal(message: shard_pb2.ReportReply) -> replication.Damage | replication.Inability:
    """Return why a replica serves nothing; one that does not say what it is has damaged data."""
    if message.refusal in ("", _DAMAGED):
        return replication.Damage(message.damaged_disk, message.problem)
    return replication.Inability(message.refusal, message.problem)


def read_state(message: pb.ReplicaState) -> replication.ReplicaState:
    """Return what a replica says of its part in the shard."""
    return replication.ReplicaState(
        name=message.self.name,
        disk=message.self.disk,
        role=_ROLES.get(message.role, replication.Role.LEARNER),
        promised=message.promised,
        last=read_position(message.last),
        committed=message.committed,
        configuration=read_configuration(message.configuration),
        followers=tuple(_read_follower(one) for one in message.followers),
        primary_silence_seconds=message.primary_silence_seconds,
        leaving=message.leaving,
        acknowledges=message.acknowledges,
        quorum_silence_seconds=message.quorum_silence_seconds,
        digests=tuple(_read_digest(one) for one in message.digests),
        caught_up=message.caught_up,
        problem=message.problem,
        no_room=message.no_room,
        unreadable=message.unreadable,
        no_room_to_copy=message.no_room_to_copy,
        diverged=message.diverged,
        needs_restart=message.needs_restart,
    )


def _read_follower(message: pb.Follower) -> replication.Follower:
    return replication.Follower(
        name=message.name,
        disk=message.disk,
        verified=message.verified,
        applied=message.applied,
        silence_seconds=message.silence_seconds,
        copying=message.copying,
    )


def _read_digest(message: pb.Digest) -> replication.Digest:
    at = replication.Position(message.epoch, message.seq)
    return replication.Digest(at, message.rows, message.count)

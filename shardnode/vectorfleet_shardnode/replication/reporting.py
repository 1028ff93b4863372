"""A replica's part in the shard, for its report."""

import time

from .. import shard
from ..api import replication_pb2
from . import driver, term, wire

_QUORUM_PATIENCE = 3.0
"""Seconds without an answer of a write quorum after which a primary says that it can't acknowledge."""


def state_of(driven: driver.Driver, held: shard.Shard) -> replication_pb2.ReplicaState:
    """Return what the operator and the gateway need to know of a replica, and of the shard that it holds."""
    core, now = driven.core, time.monotonic()
    quorum_silence = driven.sending.quorum_silence()
    return replication_pb2.ReplicaState(
        self=wire.member(core.me),
        role=role_of(driven),
        promised=core.promised,
        last=wire.position(core.history.last),
        committed=core.committed,
        configuration=wire.configuration(core.configuration),
        followers=_followers(driven, now),
        primary_silence_seconds=now - driven.heard_at if core.term is None else 0.0,
        leaving=driven.leaving,
        acknowledges=driven.open and quorum_silence < _QUORUM_PATIENCE,
        quorum_silence_seconds=quorum_silence,
        caught_up=is_caught_up(driven),
        digests=[
            replication_pb2.Digest(seq=one.seq, epoch=one.epoch, rows=one.rows, count=one.count)
            for one in held.digests.newest
        ],
        problem=driven.problem,
        log_begin=core.history.base.seq + 1,
        no_room=held.limits.no_room,
        unreadable=driven.unreadable,
        no_room_to_copy=driven.no_room_to_copy,
        diverged=core.diverged,
        needs_restart=driven.needs_restart,
    )


def is_caught_up(driven: driver.Driver) -> bool:
    """Tell whether readers see here what was committed when the primary was last heard."""
    core = driven.core
    return core.term is not None or (not core.copying and core.is_level)


def role_of(driven: driver.Driver) -> replication_pb2.Role:
    """Return what the replica is."""
    core = driven.core
    if core.term is not None:
        return replication_pb2.PRIMARY if core.term.learned else replication_pb2.ELECT
    if core.configuration is None and not core.history.last_seq:
        return replication_pb2.NEW
    return replication_pb2.FOLLOWER if core.is_member else replication_pb2.LEARNER


def _followers(driven: driver.Driver, now: float) -> list[replication_pb2.Follower]:
    current = driven.core.term
    peers: list[term.Peer] = list(current.peers.values()) if current is not None else []
    return [
        replication_pb2.Follower(
            name=peer.member.name,
            disk=peer.member.disk,
            verified=peer.verified,
            applied=peer.applied,
            silence_seconds=now - driven.sending.answered_at.get(peer.member.disk, driven.sending.began_at),
            copying=peer.copying,
        )
        for peer in peers
    ]

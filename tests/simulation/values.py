"""What the operator and the core of a replica call by different types, from one to the other."""

import dataclasses
import functools

from vectorfleet_operator import replication
from vectorfleet_shardnode.replication import messages


@dataclasses.dataclass(frozen=True)
class Status:
    """What a VectorShard says of its configuration."""

    reserved: int = 0
    configuration: messages.Configuration | None = None


def status(written):
    """Return what was written into a VectorShard's status."""
    found = written.get("configuration")
    if found is None:
        return Status(written.get("reserved", 0))
    members = tuple(messages.Member(one["name"], one["disk"]) for one in found["members"])
    known = messages.Configuration(found["epoch"], found["primary"], members, found["writeQuorum"])
    return Status(written.get("reserved", 0), known)


@functools.lru_cache(4096)
def to_core(given):
    """Return a configuration of the operator's as the core knows it."""
    members = tuple(to_member(one) for one in given.members)
    return messages.Configuration(given.epoch, given.primary, members, given.write_quorum)


def to_member(given):
    """Return a member of the operator's as the core knows it."""
    return messages.Member(given.name, given.disk)


@functools.lru_cache(4096)
def from_core(known):
    """Return a configuration of the core's as the operator knows it."""
    members = tuple(replication.Member(one.name, one.disk) for one in known.members)
    return replication.Configuration(known.epoch, known.primary, members, known.write_quorum)


def place(at):
    """Return a place in a log as the operator knows it."""
    return replication.Position(at.epoch, at.seq)

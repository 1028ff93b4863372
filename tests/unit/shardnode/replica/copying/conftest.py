"""A shard that others copy, and replicas that copy it."""

import pytest
from fixtures.replicas import leading, settle, upsert

from vectorfleet_shardnode import operations
from vectorfleet_shardnode.copies import checkpoints


@pytest.fixture
def source(replica):
    """A primary with segments, dead rows in them, rows that grow, and a log that begins late."""
    served = leading(replica("source", log_retained_bytes=0))
    for number in range(6):
        upsert(served, *(f"r{number}-{row}" for row in range(4)), x=number)
        served.shard.commit(settle(served))
        served.maintenance.step()
    for _ in range(6):
        served.maintenance.step()
    served.shard.write(operations.DeleteIds("", ["r0-0", "r1-1"]))
    upsert(served, "r2-2", "new", x=9)
    served.shard.commit(settle(served))
    upsert(served, "uncommitted")
    settle(served)
    assert served.shard.log.first_seq > 1
    return served


class Clock:
    """Seconds that a test lets pass."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """A clock."""
    return Clock()


@pytest.fixture
def held(source, clock):
    """The source's checkpoints."""
    return checkpoints.Checkpoints(source.shard, source.maintenance, 60.0, clock)

"""Followers whose disks take nothing more, on real volumes that are full."""

import contextlib

import grpc
import pytest
from replicated import volume
from replicated.asking import level, upsert, write


@pytest.fixture
def volumes(tmp_path):
    """Volumes of the followers of a group of three; skipped where nothing may be mounted."""
    with contextlib.ExitStack() as ends:
        made = []
        for number in (1, 2):
            folder = tmp_path / f"r{number}"
            folder.mkdir()
            try:
                made.append(volume.Volume(folder))
            except PermissionError as refused:
                pytest.skip(str(refused))
            ends.callback(made[-1].close)
        yield made


def test_writes_are_refused_while_the_disks_of_a_quorum_take_nothing(volumes, make_group):
    """Followers that answer and have no room are no quorum, until one of them has room."""
    group = make_group(begin=False)
    group.operator.begin(primary=0)
    group.wait_for(lambda: group.primary() == 0)
    write(group, 0)
    level(group)
    for one in volumes:
        one.fill()

    def refused():
        try:
            group.stubs[0].Write(upsert(1, 400), timeout=1)
        except grpc.RpcError as error:
            return "quorum lost" in error.details()
        return False

    group.wait_for(refused, 60)
    assert not group.state(0).acknowledges
    volumes[1].make_room()
    group.wait_for(lambda: group.state(0).acknowledges, 60)
    write(group, 500)
    volumes[0].make_room()
    level(group)

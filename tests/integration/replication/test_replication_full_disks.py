"""Followers whose disks take nothing more, on real volumes that are full."""

import contextlib
import time

import grpc
import pytest
from replicated import volume
from replicated.asking import ids_of, level, upsert, write

from vectorfleet_shardnode.copies import incoming


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


def test_a_volume_without_room_for_a_copy_is_left_alone_until_there_is_some(volumes, make_group):
    """The replica measures before anything is sent, says what is lacking, and does not ask all the time."""
    group = make_group(begin=False)
    group.operator.begin(primary=0)
    group.wait_for(lambda: group.primary() == 0)
    write(group, 0, 20)
    level(group)
    group.isolate(2)
    for number in range(20, 500, 20):
        write(group, number, 20)
    group.wait_for(lambda: group.state(0).log_begin > group.state(2).last.seq + 1)
    volumes[1].fill()
    group.network.heal()
    told = group.wait_for(lambda: group.state(2).no_room_to_copy)
    assert "of the volume are free; enlarge spec.storage.size" in told
    time.sleep(3)  # a try each half second would be six
    assert group.replicas[2].said().count("segments could not be copied") == 1
    assert not list((group.replicas[2].data / incoming.FOLDER).rglob("vectors.bin"))
    volumes[1].make_room()
    level(group)
    assert group.state(2).no_room_to_copy == ""
    assert len(ids_of(group.stubs[2])) == 500

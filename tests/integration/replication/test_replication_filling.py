"""Replicas that are filled by others: they copy segments, know what came with them, and begin anew."""

import json
import shutil
import time

import grpc
import pytest
from replicated import damaging
from replicated.asking import ids_of, level, upsert, write

from vectorfleet_shardnode import checked_json
from vectorfleet_shardnode.api import replication_pb2 as rpb
from vectorfleet_shardnode.api import shard_pb2
from vectorfleet_shardnode.copies import reusing
from vectorfleet_shardnode.segments import manifest


def test_r16_a_replica_that_returns_after_the_log_was_cut_copies_segments(make_group):
    """It has all rows and the same digest as the others, and goes on from the log."""
    group = make_group()
    write(group, 0, 20)
    level(group)
    group.replicas[2].end()
    for number in range(20, 500, 20):
        write(group, number, 20)
    group.wait_for(lambda: group.state(group.primary() or 0).log_begin > 21)
    group.replicas[2].start()
    level(group)
    write(group, 500, 20)
    level(group)
    assert [len(ids_of(stub)) for stub in group.stubs] == [520] * 3
    assert "copying segments" in group.replicas[2].said()


def test_r17_a_replica_that_lost_its_volume_is_another_member(make_group):
    """What it had counts no more; it copies everything, and is a member once it has it."""
    group = make_group()
    for number in range(0, 400, 20):
        write(group, number, 20)
    group.wait_for(lambda: group.state(group.primary() or 0).log_begin > 1)
    lost = group.state(2)
    group.replicas[2].end()
    shutil.rmtree(group.replicas[2].data)
    group.replicas[2].start()
    group.wait_for(lambda: group.state(2))
    assert group.state(2).self.disk != lost.self.disk
    group.operator.tell(learners=[2])
    level(group)
    group.operator.change([0, 1, 2])
    write(group, 400, 20)
    level(group)
    assert len(ids_of(group.stubs[2])) == 420


def test_a_copy_that_breaks_off_goes_on_where_it_was(make_group):
    """Either side is killed in the middle; what had come is not fetched again, and nothing is lost."""
    group = make_group()
    for number in range(0, 400, 20):
        write(group, number, 20)
    group.wait_for(lambda: group.state(group.primary() or 0).log_begin > 1)
    group.replicas[2].end()
    shutil.rmtree(group.replicas[2].data)
    for link in group.network.links.values():
        link.delay = 0.02
    for number in (2, 0, 2):
        if not group.replicas[number].runs:
            group.replicas[number].start()
        group.wait_for(lambda: group.state(2))
        group.operator.tell(learners=[2])
        time.sleep(0.2)
        group.replicas[number].end()
        group.replicas[number].start()
    group.network.heal()
    group.wait_for(lambda: group.state(2) and group.primary() is not None)
    group.operator.tell(learners=[2])
    level(group)
    assert len(ids_of(group.stubs[2])) == 400


def test_r27_a_replica_that_was_filled_from_segments_recognises_a_write_that_comes_again(make_group):
    """It came with the segments and is in no record there; promoted, it answers as the first primary did."""
    group = make_group(log_file_bytes=8_000, log_retained_bytes=20_000)
    for number in range(0, 800, 20):
        write(group, number, 20)
    group.wait_for(lambda: group.state(group.primary() or 0).log_begin > 1)
    write_id = bytes(range(16))
    first = group.stubs[0].Write(upsert(0, 3, write_id))
    write(group, 1)  # done after it: to do the first one once more would take it back
    level(group)
    group.replicas[2].end()
    shutil.rmtree(group.replicas[2].data)
    group.replicas[2].start()
    group.wait_for(lambda: group.state(2))
    group.operator.tell(learners=[2])
    level(group)
    assert group.state(2).log_begin > first.position.seq
    group.operator.change([0, 1, 2])
    level(group)
    group.operator.change([0, 1, 2], primary=2)
    group.wait_for(lambda: group.primary() == 2)
    for _ in range(2):
        again = group.stubs[2].Write(upsert(0, 3, write_id))
        assert (again.position, again.affected) == (first.position, 3)
        group.replicas[2].end()
        group.replicas[2].start()
        group.wait_for(lambda: group.primary() == 2)


def files_of(group, number):
    """Return the files of the segments that a replica's manifest names, by their sums."""
    try:
        listed = json.loads((group.replicas[number].data / manifest.FILE_NAME).read_bytes())["manifest"]
    except FileNotFoundError:
        return set()
    return {
        (one["bytes"], one["sha256"])
        for segment in listed["segments"]
        for one in segment["described"]["files"].values()
    }


def test_a_replica_that_is_filled_again_is_sent_only_what_differs(make_group):
    """Of the disk that it gave up it keeps those segments that the primary has too, and nothing else."""
    group = make_group()
    for number in range(0, 400, 20):
        write(group, number, 20)
    level(group)
    reports = lambda: [group.report(number) for number in (0, 2)]  # noqa: E731
    group.wait_for(lambda: not any(one.unindexed_rows or one.building for one in reports()), 60)
    group.wait_for(lambda: group.state(0).log_begin > 1)
    same = sum(size for size, _ in files_of(group, 0) & files_of(group, 2))
    old, epoch = group.state(2), group.operator.register.configuration.epoch
    group.stubs[2].Rebuild(rpb.RebuildRequest(disk=old.self.disk, epoch=epoch), timeout=30)
    group.wait_for(lambda: (state := group.state(2)) and state.self.disk != old.self.disk)
    assert sum(size for size, _ in files_of(group, 2)) == 0
    group.operator.tell(learners=[2])
    level(group)
    assert ids_of(group.stubs[2]) == ids_of(group.stubs[0])
    kept = group.replicas[2].metric('vectorfleet_segment_copied_bytes_total{way="kept"}')
    assert 0 < kept <= same
    assert not (group.replicas[2].data / reusing.FOLDER).exists()


def lose_a_row(replica):
    """Let a row of a replica's segments be dead, checksums and all, as a fault of the program would."""
    home = manifest.read(replica.data, json.loads((replica.data / "identity.json").read_text())["uid"])
    [first, *others] = home.segments
    folder = replica.data / manifest.SEGMENTS / first.name
    live = manifest.read_live(folder, first.described.rows, first.tombstones)
    live[live.nonzero()[0][-1]] = False
    dead = manifest.write_tombstones(folder, live, home.durable_seq)
    changed = first.model_copy(update={"tombstones": dead})
    manifest.write(replica.data, home.model_copy(update={"segments": (changed, *others)}))


def digests_of(group):
    """Return what digests there are of each seq that more than one replica has one of."""
    found = {}
    for number in range(group.count):
        for one in group.state(number).digests:
            found.setdefault(one.seq, []).append((one.epoch, one.rows, one.count))
    return {seq: digests for seq, digests in found.items() if len(digests) > 1}


def test_a_replica_whose_digest_differs_is_rebuilt(make_group):
    """It gives up its disk and its data, keeps its promise, is filled by the primary, and is equal again."""
    group = make_group(digest_every=4)
    for number in range(0, 400, 20):
        write(group, number, 20)
    level(group)
    group.wait_for((group.replicas[2].data / manifest.FILE_NAME).exists)
    old = group.state(2)
    group.replicas[2].end()
    lose_a_row(group.replicas[2])
    group.replicas[2].start()
    group.wait_for(lambda: group.state(2))

    def differ():
        write(group, 0)
        return any(len(set(found)) > 1 for found in digests_of(group).values())

    group.wait_for(differ)
    epoch = group.operator.register.configuration.epoch
    for number, disk, asked in (
        (0, group.state(0).self.disk, epoch),
        (2, "another", epoch),
        (2, old.self.disk, 9),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            group.stubs[number].Rebuild(rpb.RebuildRequest(disk=disk, epoch=asked))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    fresh = group.stubs[2].Rebuild(rpb.RebuildRequest(disk=old.self.disk, epoch=epoch), timeout=30).disk
    assert fresh != old.self.disk
    group.wait_for(lambda: (state := group.state(2)) and state.self.disk == fresh)
    assert group.state(2).promised >= old.promised
    write(group, 1)  # two of three are members that hold it
    group.operator.tell(learners=[2])
    level(group)
    group.operator.change([0, 1, 2])
    before = group.state(0).last.seq
    group.wait_for(lambda: write(group, 2) and max(digests_of(group), default=0) > before)
    level(group)
    found = {seq: set(digests) for seq, digests in digests_of(group).items() if seq > before}
    assert found
    assert all(len(digests) == 1 for digests in found.values())
    assert ids_of(group.stubs[2]) == ids_of(group.stubs[0])


def test_a_replica_of_few_records_is_compared_once_writes_rest(make_group):
    """Not one digest is due by the count of records: all have the same one after a pause, and after a restart
    one whose rows differ is found out without another write.
    """
    group = make_group(digest_every=1_000_000, digest_rest_seconds=0.5)
    for number in range(0, 400, 20):
        write(group, number, 20)
    level(group)
    seq = group.state(0).last.seq
    group.wait_for(lambda: len(digests_of(group).get(seq, ())) == 3)
    assert len(set(digests_of(group)[seq])) == 1
    group.wait_for((group.replicas[2].data / manifest.FILE_NAME).exists)
    group.replicas[2].end()
    lose_a_row(group.replicas[2])
    group.replicas[2].start()
    group.wait_for(lambda: group.state(2) and len(digests_of(group).get(seq, ())) == 3)
    assert len(set(digests_of(group)[seq])) == 2
    assert group.state(0).last.seq == seq


@pytest.mark.parametrize(
    "name", ["rebuild.synced", "rebuild.folder-deleted", "identity.renamed", "rebuild.done"]
)
def test_a_replica_that_is_killed_while_it_gives_up_its_data(make_group, name):
    """It comes back as what it was, or as a clean learner, and the group goes on either way."""
    group = make_group()
    for number in range(0, 400, 20):
        write(group, number, 20)
    level(group)
    group.replicas[2].end()
    group.replicas[2].start(f"{name}:1")
    group.wait_for(lambda: group.state(2))
    old, epoch = group.state(2), group.operator.register.configuration.epoch
    try:
        group.stubs[2].Rebuild(rpb.RebuildRequest(disk=old.self.disk, epoch=epoch), timeout=30)
    except grpc.RpcError:
        assert name == "rebuild.synced"
    group.wait_for(lambda: not group.replicas[2].runs)
    group.replicas[2].start()
    group.wait_for(lambda: group.state(2))
    assert group.state(2).promised >= old.promised
    assert (group.state(2).self.disk == old.self.disk) == (name == "rebuild.synced")
    write(group, 0)
    group.operator.tell(learners=[] if name == "rebuild.synced" else [2])
    level(group)
    assert len(ids_of(group.stubs[2])) == 400


def flip_a_segment(data):
    """Flip a bit of the values in a replica's first segment."""
    [file, *_] = sorted((data / manifest.SEGMENTS).glob("*/vectors.bin"))
    damaging.flip(file, file.stat().st_size - 1)


@pytest.mark.parametrize("flip", [damaging.flip_in_log, flip_a_segment])
def test_r03_a_replica_whose_data_is_damaged_is_filled_again(make_group, flip):
    """It serves nothing and says why; told to, it begins anew, keeps its promise, and copies all rows."""
    group = make_group(log_retained_bytes=10_000_000)
    for number in range(0, 400, 20):
        write(group, number, 20)
    level(group)
    group.wait_for(lambda: list((group.replicas[2].data / manifest.SEGMENTS).glob("*/vectors.bin")))
    old, epoch = group.state(2), group.operator.register.configuration.epoch
    group.replicas[2].end()
    flip(group.replicas[2].data)
    group.replicas[2].start()
    told = group.wait_for(lambda: group.report(2))
    assert told.damaged_disk == old.self.disk
    assert told.problem
    for call, request in (
        ("State", rpb.StateRequest()),
        ("Seal", rpb.SealRequest(epoch=9, disk=old.self.disk)),
        ("List", shard_pb2.ListRequest(namespace="n", limit=1)),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            getattr(group.stubs[2], call)(request)
        assert refused.value.code() is grpc.StatusCode.DATA_LOSS
    write(group, 400, 20)  # two of three hold it
    for disk, asked in (("another", epoch), (old.self.disk, epoch - 1)):
        with pytest.raises(grpc.RpcError) as refused:
            group.stubs[2].Rebuild(rpb.RebuildRequest(disk=disk, epoch=asked))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    fresh = group.stubs[2].Rebuild(rpb.RebuildRequest(disk=old.self.disk, epoch=epoch), timeout=30).disk
    group.wait_for(lambda: (state := group.state(2)) and state.self.disk == fresh != old.self.disk)
    assert group.state(2).promised >= old.promised
    group.operator.tell(learners=[2])
    level(group)
    group.operator.change([0, 1, 2])
    write(group, 420, 20)
    level(group)
    assert ids_of(group.stubs[2]) == ids_of(group.stubs[0])
    assert len(ids_of(group.stubs[2])) == 440


def test_files_of_another_version_are_not_given_up(make_group):
    """A replica that can't read them serves nothing either, but others can: it is not damaged."""
    group = make_group()
    for number in range(0, 400, 20):
        write(group, number, 20)
    level(group)
    group.wait_for((group.replicas[2].data / manifest.FILE_NAME).exists)
    old = group.state(2)
    group.replicas[2].end()
    path = group.replicas[2].data / manifest.FILE_NAME
    kept = path.read_bytes()
    body = json.loads(kept)["manifest"] | {"version": 99}
    path.write_bytes(checked_json.pack("manifest", body))
    group.replicas[2].start()
    told = group.wait_for(lambda: group.report(2))
    assert "has format 99" in told.problem
    assert (told.refusal, told.damaged_disk) == ("UnknownFormat", "")
    with pytest.raises(grpc.RpcError, match="nothing is given up that is not damaged"):
        group.stubs[2].Rebuild(rpb.RebuildRequest(disk=old.self.disk, epoch=1))
    group.replicas[2].end()
    path.write_bytes(kept)
    group.replicas[2].start()
    level(group)
    assert group.state(2).self.disk == old.self.disk
    assert len(ids_of(group.stubs[2])) == 400


def test_r08_a_disk_that_fails_is_not_given_up(make_group):
    """What it holds is not known: it stays, whoever asks for it, and is the same disk once it reads again.

    The kernel itself refuses to read what stands in the manifest's place.
    """
    group = make_group()
    for number in range(0, 400, 20):
        write(group, number, 20)
    level(group)
    path, aside = group.replicas[2].data / manifest.FILE_NAME, group.replicas[2].data / "aside"
    group.wait_for(path.exists)
    old, epoch = group.state(2), group.operator.register.configuration.epoch
    group.replicas[2].end()
    path.rename(aside)
    path.symlink_to("/proc/self/mem")
    group.replicas[2].start()
    told = group.wait_for(lambda: group.report(2))
    assert (told.refusal, told.damaged_disk) == ("DiskFailed", "")
    assert f"the disk fails: {path}: Input/output error (EIO)" in told.problem
    with pytest.raises(grpc.RpcError, match="nothing is given up that is not damaged"):
        group.stubs[2].Rebuild(rpb.RebuildRequest(disk=old.self.disk, epoch=epoch))
    write(group, 400, 20)  # two of three hold it
    aside.replace(path)
    group.replicas[2].end()
    group.replicas[2].start()
    level(group)
    assert group.state(2).self.disk == old.self.disk
    assert len(ids_of(group.stubs[2])) == 420

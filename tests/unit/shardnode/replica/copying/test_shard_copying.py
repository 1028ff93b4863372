"""Copying a shard as files: a checkpoint is one committed state, and takes another replica's place whole."""

import contextlib
import shutil
from unittest import mock

import pytest
from fixtures.copies import copied, copy, install, write_id
from fixtures.replicas import close, ids_of, opened, settle, ship, upsert

from vectorfleet_shardnode import digests, errors, failpoints, rebuilding, records, shard
from vectorfleet_shardnode.api import replication_pb2
from vectorfleet_shardnode.copies import checkpoints, incoming, reusing
from vectorfleet_shardnode.log import log_files
from vectorfleet_shardnode.replication import ledger
from vectorfleet_shardnode.segments import manifest


class Killed(BaseException):
    """Stands for SIGKILL."""


def test_a_copied_shard_is_what_the_source_had_committed(source, held, replica, tmp_path):
    """Rows, digest, position; its log goes on behind it, and brings the rest."""
    target = replica("target")
    target.replica.promise(1)
    taken = held.take()
    assert taken.covered == (1, source.shard.snapshot.seq)
    arriving = incoming.Incoming(tmp_path / "target", taken.manifest)
    assert copy(held, taken, arriving)
    assert arriving.size == taken.bytes
    install(target, arriving)
    for _ in range(2):
        target = replica("target")
        assert target.shard.log.history() == ([(1, taken.covered.seq)], taken.covered)
        assert ids_of(target) == ids_of(source)
        assert digests.of(target.shard.snapshot) == digests.of(source.shard.snapshot)
        assert not (tmp_path / "target" / incoming.FOLDER).exists()
        target.close()
    target = replica("target")
    ship(source, target)
    source.shard.commit(source.shard.log.last_seq)
    target.shard.commit(source.shard.committed)
    for _ in range(4):
        target.maintenance.step()
    assert "uncommitted" in ids_of(target)
    assert digests.of(target.shard.snapshot) == digests.of(source.shard.snapshot)


def test_a_checkpoint_stays_as_it_was_while_the_shard_goes_on(source, held, replica, tmp_path):
    """Merged away, overwritten and cut from the log meanwhile: what was taken is copied; then it may go."""
    taken, before = held.take(), ids_of(source)
    wanted = digests.of(source.shard.snapshot)
    names = {view.segment.name for view in source.shard.snapshot.sealed}
    for number in range(6):
        upsert(source, *(f"r{number}-{row}" for row in range(4)), x=100 + number)
        source.shard.commit(settle(source))
        source.maintenance.step()
    for _ in range(8):
        source.maintenance.step()
    assert names.isdisjoint(view.segment.name for view in source.shard.snapshot.sealed)
    assert source.shard.log.first_seq <= taken.covered.seq + 1
    target = replica("target")
    target.replica.promise(1)
    arriving = incoming.Incoming(tmp_path / "target", taken.manifest)
    assert copy(held, taken, arriving)
    install(target, arriving)
    target = replica("target")
    assert (ids_of(target), digests.of(target.shard.snapshot)) == (before, wanted)
    held.release(taken.id)
    source.shard.freeze()
    for _ in range(3):
        source.maintenance.step()
    stored = {path.name for path in (tmp_path / "source" / manifest.SEGMENTS).iterdir()}
    assert names.isdisjoint(stored)
    assert source.shard.log.first_seq > taken.covered.seq + 1


def test_a_checkpoint_goes_when_nobody_reads_it(source, held, clock):
    """Each reading makes it stay; then it is refused, and holds nothing."""
    taken = held.take()
    [place, *_] = [
        (listed.name, file)
        for listed in manifest.parse(taken.manifest).segments
        for file in listed.described.files
    ]
    clock.now = 50
    assert held.read(taken.id, place, 0, 10)
    clock.now = 100
    held.expire()
    assert len(held.read(taken.id, place, 0, 10)) == 10
    clock.now = 161
    held.expire()
    with pytest.raises(errors.NotHereError, match="ask for another"):
        held.read(taken.id, place, 0)
    assert source.maintenance.pins.names == frozenset()
    assert not list((source.shard.folder / checkpoints.FOLDER).iterdir())


@pytest.mark.parametrize(
    "place", [("..", "identity.json"), ("000000000001", "../../manifest.json"), ("", "")]
)
def test_only_files_of_the_checkpoint_are_read(held, place):
    """A name is looked up, never a path."""
    taken = held.take()
    with pytest.raises(errors.BadRequestError, match="has no file"):
        held.read(taken.id, place, 0)


def test_only_so_many_checkpoints_at_a_time(held):
    """The next one has to wait for one of them."""
    taken = [held.take() for _ in range(checkpoints.MOST)]
    with pytest.raises(errors.UnavailableError, match="try again later"):
        held.take()
    held.release(taken[0].id)
    held.take()


def test_copying_goes_on_where_it_ended(source, held, replica, tmp_path):
    """After a restart at any piece: whole files are kept, others continued; damaged ones fetched anew."""
    replica("target")
    taken = held.take()
    arriving = incoming.Incoming(tmp_path / "target", taken.manifest)
    rounds = 0
    while not copy(held, taken, arriving, piece=3_000, pieces=2):
        rounds += 1
        before = sum(wanted.bytes - wanted.offset for wanted in arriving.wanted())
        arriving = incoming.Incoming(tmp_path / "target", taken.manifest)
        assert sum(wanted.bytes - wanted.offset for wanted in arriving.wanted()) == before
    assert rounds > 3
    again = incoming.Incoming(tmp_path / "target", taken.manifest)
    assert again.complete
    whole = max((tmp_path / "target" / incoming.FOLDER).rglob("vectors.bin"))
    whole.write_bytes(b"x" + whole.read_bytes()[1:])
    again = incoming.Incoming(tmp_path / "target", taken.manifest)
    assert [(wanted.file, wanted.offset) for wanted in again.wanted()] == [("vectors.bin", 0)]


def test_files_of_another_checkpoint_are_kept_where_they_are_the_same(source, held, replica, tmp_path):
    """What the source has written since is fetched, and only that; what is not wanted goes."""
    replica("target")
    first = held.take()
    assert copy(held, first, incoming.Incoming(tmp_path / "target", first.manifest))
    upsert(source, "later")
    source.shard.commit(settle(source))
    second = held.take()
    arriving = incoming.Incoming(tmp_path / "target", second.manifest)
    grown = {
        listed.name
        for listed in arriving.manifest.segments
        if listed.described.last_seq == second.covered.seq
    }
    wanted = arriving.wanted()
    assert grown <= {each.segment for each in wanted}
    for each in wanted:
        assert each.segment in grown or each.file.startswith(("dead-", "write-ids-"))


def test_what_came_damaged_is_fetched_anew(held, replica, tmp_path):
    """A file that is not what the manifest says never counts."""
    replica("target")
    taken = held.take()
    arriving = incoming.Incoming(tmp_path / "target", taken.manifest)
    wanted = arriving.wanted()[0]
    place = (wanted.segment, wanted.file)
    with pytest.raises(errors.BadRequestError, match="not what is wanted"):
        arriving.write(place, 5, b"x")
    with pytest.raises(errors.DataLossError, match="came damaged"):
        arriving.write(place, 0, bytes(wanted.bytes))
    assert arriving.wanted()[0] == wanted
    with pytest.raises(errors.ShardError, match="once it is here whole"):
        arriving.begin_install("")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", ".hidden", "a..b", ""])
def test_a_manifest_names_nothing_outside_its_segments(held, tmp_path, name):
    """Whatever another replica sends, nothing is written elsewhere."""
    found = manifest.parse(held.take().manifest)
    [listed, *_] = found.segments
    files = {name: next(iter(listed.described.files.values()))}
    described = listed.described.model_copy(update={"files": files})
    for change in ({"described": described}, {"name": name}):
        changed = found.model_copy(update={"segments": (listed.model_copy(update=change),)})
        with pytest.raises(errors.DataLossError, match="a checkpoint names file"):
            incoming.Incoming(tmp_path, manifest.pack(changed))


def test_files_that_are_here_already_are_linked(source, held, replica, tmp_path):
    """Of a disk that was given up those that the source has too; what differs in a bit is fetched."""
    first = copied(held, replica, tmp_path, "target")
    state, folder = first.replica.state, tmp_path / "target"
    first.close()
    rebuilding.decide(folder, state)
    again = replica("target")
    assert ids_of(again) == []
    taken = held.take()
    known = reusing.known(folder)
    damaged, *_ = sorted(path for path in known.values() if path.name == "vectors.bin")
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    arriving = incoming.Incoming(folder, taken.manifest)
    spared = arriving.take_over(known)
    wanted = {wanted.file for wanted in arriving.wanted()}
    assert spared == taken.bytes - arriving.lacking
    assert spared > arriving.lacking
    assert "vectors.bin" in wanted
    assert "columns.arrow" not in wanted
    assert copy(held, taken, arriving)
    install(again, arriving)
    again = replica("target")
    assert digests.of(again.shard.snapshot) == digests.of(source.shard.snapshot)
    assert not (folder / reusing.FOLDER).exists()


def test_what_was_kept_goes_once_records_come(replica, tmp_path):
    """The log of the primary reaches back to the beginning: nothing is copied, so nothing is kept for it."""
    target = replica("target")
    target.replica.promise(1)
    leading_elsewhere(target)
    state = target.replica.state
    target.close()
    rebuilding.decide(tmp_path / "target", state)
    target = replica("target")
    assert reusing.known(tmp_path / "target")
    kept = ledger.Ledger(target)
    kept.append([replication_pb2.Entry(epoch=1, seq=1, op=records.Op.START, write_id=b"")])
    assert not (tmp_path / "target" / reusing.FOLDER).exists()


INSTALLING = [
    name for name in failpoints.REGISTERED if name.startswith(("install.", "manifest.", "log-file."))
]


@pytest.mark.parametrize("name", INSTALLING)
def test_an_installation_that_was_cut_short_is_done_by_the_next_start(source, held, replica, tmp_path, name):
    """Killed at any step, again and again: the old data or the new, and from the decision on the new."""
    target = replica("target")
    target.replica.promise(1)
    upsert_old = leading_elsewhere(target)
    upsert(source, "known", write_id=write_id(1))
    source.shard.commit(settle(source))
    taken = held.take()
    folder = tmp_path / "target"
    arriving = incoming.Incoming(folder, taken.manifest)
    assert copy(held, taken, arriving)
    target.close()

    def end(reached):
        if reached == name:
            raise Killed

    with mock.patch.object(failpoints, "reached", end):
        with contextlib.suppress(Killed):
            arriving.begin_install(target.replica.disk)
        decided = incoming.is_installing(folder)
        for _ in range(2):
            with contextlib.suppress(Killed):
                close(opened(folder))
    decided = decided or incoming.is_installing(folder)
    target = replica("target")
    if decided or taken.covered == target.shard.log.history()[0][0]:
        assert digests.of(target.shard.snapshot) == digests.of(source.shard.snapshot)
        assert len(log_files.paths(folder / shard.LOG)) == 1
        assert target.shard.log.find_write(write_id(1))
    else:
        assert ids_of(target) == upsert_old
    assert not incoming.is_installing(folder)


def leading_elsewhere(target):
    """Give a replica data of its own, that is going to be replaced; returns its ids."""
    target.shard.lead(1)
    upsert(target, "old", "older")
    target.shard.commit(settle(target))
    target.shard.freeze()
    for _ in range(3):
        target.maintenance.step()
    return ids_of(target)


def test_an_installation_whose_files_are_gone_is_damage(source, held, replica, tmp_path):
    """It is told, and not taken for an empty shard."""
    target = replica("target")
    taken = held.take()
    arriving = incoming.Incoming(tmp_path / "target", taken.manifest)
    assert copy(held, taken, arriving)
    install(target, arriving)
    shutil.rmtree(tmp_path / "target" / incoming.FOLDER)
    with pytest.raises(errors.DataLossError, match="which is gone"):
        replica("target")

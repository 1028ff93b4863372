"""What a replica has promised is durable before it is told, and is never taken back."""

import errno
import json

import pytest

from vectorfleet_shardnode import errors, files, records, replica_state, settings, shard, storage
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.limits import disk
from vectorfleet_shardnode.log import log_files, log_format

UID = "ab" * 16
TUNING = settings.Tuning(reserved_bytes=0)
INDEX = config.IndexConfig(index="shop", serving=config.Generation(dimensions=2))
MEMBERS = tuple(
    replica_state.Member(name=name, disk=name * 32, address=f"{name}:7400") for name in ("a", "b", "c")
)


def configuration(epoch, members=MEMBERS):
    """Return who holds the shard in an epoch."""
    return replica_state.Configuration(epoch=epoch, primary="a", members=members, write_quorum=2)


def test_a_new_replica_has_promised_nothing(tmp_path):
    """And knows of no configuration; nothing is written for it."""
    replica = replica_state.Replica(tmp_path, UID)
    assert (replica.promised, replica.configuration, replica.disk) == (0, None, UID)
    assert list(tmp_path.iterdir()) == []


def test_what_was_promised_and_learnt_is_there_after_a_restart(tmp_path):
    """Promises only grow, of configurations the newest counts, and knowing one is a promise."""
    replica = replica_state.Replica(tmp_path, UID)
    assert replica.promise(3) == 3
    assert replica.promise(2) == 3
    assert replica.learn(configuration(4))
    assert not replica.learn(configuration(4, MEMBERS[:1]))
    assert not replica.learn(configuration(3))
    replica.begin_cut(7)
    again = replica_state.Replica(tmp_path, UID)
    assert again.state == replica.state
    assert (again.promised, again.configuration, again.state.cut_after) == (4, configuration(4), 7)
    again.end_cut()
    assert replica_state.Replica(tmp_path, UID).state.cut_after is None


def test_a_promise_that_may_be_lost_is_not_given(tmp_path, monkeypatch):
    """Asked again it is made durable, though it is the same."""
    replica = replica_state.Replica(tmp_path, UID)
    synced = []

    def fail_for_folders(path):
        synced.append(path)
        if path.is_dir():
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "fsync_path", fail_for_folders)
    with pytest.raises(files.UnsureError):
        replica.promise(5)
    monkeypatch.setattr(files, "fsync_path", synced.append)
    synced.clear()
    assert replica.promise(5) == 5
    assert tmp_path in synced


def test_without_room_nothing_has_changed(tmp_path, monkeypatch):
    """The promise before it stands."""
    replica = replica_state.Replica(tmp_path, UID)
    replica.promise(1)

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "fsync_path", full)
    with pytest.raises(OSError, match="No space"):
        replica.promise(2)
    assert replica.promised == replica_state.Replica(tmp_path, UID).promised == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda body: body["replica"].update(promised=1), "checksum"),
        (lambda body: body.pop("sha256"), "damaged"),
        (lambda body: body.clear(), "damaged"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, said):
    """No promise is ever forgotten by a flipped bit."""
    replica_state.Replica(tmp_path, UID).promise(9)
    path = tmp_path / replica_state.FILE_NAME
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(errors.DataLossError, match=said):
        replica_state.Replica(tmp_path, UID)


def test_the_file_of_another_folder_is_refused(tmp_path):
    """A promise is one disk's."""
    replica_state.Replica(tmp_path, UID).promise(9)
    with pytest.raises(errors.DataLossError, match="of another folder"):
        replica_state.Replica(tmp_path, "cd" * 16)


def entries(first, last, epoch=1):
    """Return records that change nothing."""
    return [log_format.Entry(epoch, seq, records.Op.START, b"") for seq in range(first, last + 1)]


def open_replica(folder, **options):
    """Open the shard as one of several."""
    return storage.open_shard(INDEX, 0, folder, TUNING, place=storage.Place(alone=False, **options))


def test_a_cut_that_was_begun_is_done_at_the_start(tmp_path):
    """Before anything is read; a second start has nothing left to do."""
    opened = open_replica(tmp_path)
    opened.shard.log.append_entries(entries(1, 5))
    opened.replica.begin_cut(3)
    opened.close()
    for _ in range(2):
        opened = open_replica(tmp_path)
        assert opened.shard.log.last_seq == 3
        assert opened.replica.state.cut_after is None
        opened.close()


def test_a_log_of_primaries_that_were_promised_nothing_is_refused(tmp_path):
    """Without its promises a replica could follow two primaries at once."""
    opened = open_replica(tmp_path)
    opened.replica.promise(2)
    opened.shard.log.append_entries(entries(1, 2, epoch=2))
    opened.close()
    open_replica(tmp_path).close()
    (tmp_path / replica_state.FILE_NAME).unlink()
    with pytest.raises(errors.DataLossError, match=r"epoch 2, but replica\.json is gone or older"):
        open_replica(tmp_path)


def test_one_of_several_is_not_served_alone(tmp_path):
    """It would take writes that the others never hear of; a shard with one member may."""
    opened = open_replica(tmp_path)
    opened.replica.learn(configuration(1, MEMBERS[:1]))
    opened.close()
    storage.open_shard(INDEX, 0, tmp_path, TUNING).close()
    opened = open_replica(tmp_path)
    opened.replica.learn(configuration(2))
    opened.close()
    with pytest.raises(errors.NotHereError, match=r"one of 3 replicas \(a, b, c\)"):
        storage.open_shard(INDEX, 0, tmp_path, TUNING)


def test_replica_state_is_damage_when_unreadable_and_changes_nothing(tmp_path):
    """A start that refuses leaves log and all else as it is."""
    opened = open_replica(tmp_path)
    opened.shard.log.append_entries(entries(1, 5))
    opened.replica.begin_cut(3)
    opened.close()
    path = tmp_path / replica_state.FILE_NAME
    path.write_bytes(path.read_bytes()[:-9])
    before = [each.read_bytes() for each in log_files.paths(tmp_path / shard.LOG)]
    with pytest.raises(errors.DataLossError, match=r"replica\.json"):
        open_replica(tmp_path)
    assert [each.read_bytes() for each in log_files.paths(tmp_path / shard.LOG)] == before


MIB = 1 << 20


@pytest.mark.parametrize(
    ("free", "kept", "retained"),
    [(90_000, 0, 256), (90_000, 200, 256), (220, 30, 100), (150, 0, 0), (100, 50, 0), (10, 5, 0)],
)
def test_kept_log_yields_to_everything_else(free, kept, retained):
    """Of a roomy volume the bound; near the soft limit what leaves room for writes: here 1.5 x 100 MiB."""
    bounds = disk.Bounds(100 * MIB, 0.9)
    volume = disk.Volume(100_000 * MIB, free * MIB)
    assert disk.retained_log(bounds, volume, 0, kept * MIB, 256 * MIB) == retained * MIB


def test_kept_log_is_a_small_part_of_a_small_volume():
    """5 % at most."""
    assert disk.retained_log(disk.Bounds(0), disk.Volume(1000, 1000), 0, 0, 900) == 50

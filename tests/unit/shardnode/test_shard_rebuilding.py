"""A replica's data is given up whole or not at all, and its folder becomes another disk's."""

import contextlib
import itertools
import os
import shutil
from unittest import mock

import pytest
from fixtures.replicas import close, ids_of, leading, opened, settle, upsert

from vectorfleet_shardnode import errors, failpoints, identity, rebuilding, replica_state, shard
from vectorfleet_shardnode.copies import incoming, reusing
from vectorfleet_shardnode.log import log_files, log_format
from vectorfleet_shardnode.segments import manifest

KNOWN = replica_state.Configuration(
    epoch=4,
    primary="a",
    members=tuple(replica_state.Member(name=name, disk=name * 3, address="") for name in "abc"),
    write_quorum=2,
)


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    """Power is never cut here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def folder(tmp_path):
    """A replica with segments, dead rows, a log, what was copied in part, and promises."""
    made = tmp_path / "made"
    served = leading(opened(made), 3)
    for number in range(3):
        upsert(served, *(f"r{row}" for row in range(4)), x=number)
        served.shard.commit(settle(served))
        served.shard.freeze()
        for _ in range(3):
            served.maintenance.step()
    upsert(served, "new")
    served.shard.commit(settle(served))
    served.replica.learn(KNOWN)
    served.replica.promise(5)
    close(served)
    (made / incoming.FOLDER / "000000000001").mkdir(parents=True)
    (made / incoming.FOLDER / "000000000001" / "vectors.bin").write_bytes(b"x")
    (made / "write-ids-0000000000000000.bin").write_bytes(b"x")
    return made


def is_empty(served, folder):
    """Check that a shard is as one that was set up just now, under a disk of its own."""
    assert ids_of(served) == []
    assert served.shard.log.last == (0, 0)
    assert [path.name for path in log_files.paths(folder / shard.LOG)] == ["00000000000000000001.log"]
    assert not list((folder / manifest.SEGMENTS).iterdir())
    assert {path.name for path in folder.iterdir()} - {reusing.FOLDER} == {
        *("lock", identity.FILE_NAME, replica_state.FILE_NAME),
        *(shard.LOG, manifest.SEGMENTS, "build"),
    }


def test_the_new_disk_holds_nothing_and_has_promised_the_same(folder):
    """It knows the configuration, so no shard begins with it; and it can be filled."""
    served = opened(folder)
    before = served.replica.state
    fresh = rebuilding.decide(folder, before)
    assert ids_of(served) == ["new", "r0", "r1", "r2", "r3"]  # until the next start
    close(served)
    served = opened(folder)
    is_empty(served, folder)
    after = served.replica.state
    assert after.uid == fresh != before.uid
    assert (after.promised, after.configuration) == (5, KNOWN)
    leading(served, 6)
    upsert(served, "again")
    served.shard.commit(settle(served))
    close(served)
    served = opened(folder)
    assert ids_of(served) == ["again"]
    close(served)


NAMES = [
    name
    for name in failpoints.REGISTERED
    if name.startswith(("rebuild.", "replica.", "identity.", "log-file."))
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("nth", [1, 2])
def test_giving_up_that_was_cut_short_leaves_the_old_replica_or_a_clean_one(folder, name, nth):
    """Killed at any step, twice: what was promised stands; from the decision on it is the new one."""
    served = opened(folder)
    (folder / "write-ids-0000000000000000.bin").write_bytes(b"x")
    state = served.replica.state
    passes = itertools.count(1)

    def end(reached):
        if reached == name and next(passes) <= nth:
            raise Killed

    with mock.patch.object(failpoints, "reached", end):
        with contextlib.suppress(Killed):
            rebuilding.decide(folder, state)
        close(served)
        decided = rebuilding.is_decided(folder)
        for _ in range(nth):
            with contextlib.suppress(Killed):
                close(opened(folder))
    assert next(passes) > 1
    served = opened(folder)
    assert (served.replica.promised, served.replica.configuration) == (5, KNOWN)
    if decided:
        assert served.replica.disk != state.uid
        is_empty(served, folder)
    else:
        assert served.replica.disk == state.uid
        assert ids_of(served) == ["new", "r0", "r1", "r2", "r3"]
    close(served)


def test_the_decision_of_another_folder_is_damage(folder, tmp_path):
    """As is one that can't be read: nothing goes."""
    close(opened(tmp_path / "other"))
    served = opened(folder)
    rebuilding.decide(folder, served.replica.state)
    close(served)
    shutil.copy(folder / rebuilding.FILE_NAME, tmp_path / "other")
    with pytest.raises(errors.DataLossError, match=r"rebuild\.json is of another folder"):
        opened(tmp_path / "other")
    path = folder / rebuilding.FILE_NAME
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(errors.DataLossError, match=r"rebuild\.json is damaged"):
        opened(folder)
    path.unlink()
    served = opened(folder)
    assert ids_of(served) == ["new", "r0", "r1", "r2", "r3"]
    close(served)


def flip(path, at=-20):
    """Let one bit of a file be another one."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def uid_of(folder):
    """Return the disk's identity."""
    return identity.read(folder).uid


@pytest.mark.parametrize("epoch", [4, 9])
def test_damaged_data_is_given_up_without_being_opened(folder, epoch):
    """In the configuration that it knows or a later one: the promise stays, and the next start is clean."""
    old = uid_of(folder)
    [newest, *_] = reversed(log_files.paths(folder / shard.LOG))
    flip(newest, log_format.HEADER_BYTES + log_format.RECORD_BYTES)
    with pytest.raises(errors.DataLossError, match=r"log file .* is damaged"):
        opened(folder)
    fresh = rebuilding.give_up(folder, old, epoch)
    served = opened(folder)
    assert served.replica.disk == fresh != old
    assert (served.replica.promised, served.replica.configuration) == (5, KNOWN)
    is_empty(served, folder)
    close(served)


@pytest.mark.parametrize("name", [replica_state.FILE_NAME, rebuilding.FILE_NAME])
def test_data_is_given_up_whatever_else_is_damaged(folder, name):
    """An unreadable promise, or decision to give up: the new disk is as one on an empty volume."""
    served = opened(folder)
    rebuilding.decide(folder, served.replica.state)
    close(served)
    if name == replica_state.FILE_NAME:
        (folder / rebuilding.FILE_NAME).unlink()
    flip(folder / name)
    with pytest.raises(errors.DataLossError, match=name):
        opened(folder)
    fresh = rebuilding.give_up(folder, uid_of(folder), 4)
    served = opened(folder)
    assert served.replica.disk == fresh
    assert served.replica.promised == (0 if name == replica_state.FILE_NAME else 5)
    is_empty(served, folder)
    close(served)


def test_damaged_data_stays_where_it_might_be_needed(folder):
    """Of another disk, in an older epoch, of the primary, where nobody else need hold it, or while served."""
    old = uid_of(folder)
    alone = replica_state.Member(name="r", disk=old, address="")
    leads = KNOWN.model_copy(update={"primary": "r", "members": (*KNOWN.members[:2], alone)})
    single = leads.model_copy(update={"primary": "x", "members": (alone,), "write_quorum": 1})
    for disk, known, epoch, told in (
        ("another", KNOWN, 4, "another disk"),
        (old, KNOWN, 3, "epoch 4 is known here, newer than 3"),
        (old, leads, 4, "let another one lead first"),
        (old, single, 4, "no other member need hold"),
    ):
        state = replica_state.ReplicaState(uid=old, promised=5, configuration=known)
        replica_state.write(folder, state)
        with pytest.raises(errors.NotHereError, match=told):
            rebuilding.give_up(folder, disk, epoch)
    served = opened(folder)
    with pytest.raises(errors.NotHereError, match="another process serves"):
        rebuilding.give_up(folder, old, 9)
    close(served)
    assert not rebuilding.is_decided(folder)
    assert rebuilding.give_up(folder, old, 9), "whoever leads in a later epoch holds what was acknowledged"


def test_a_folder_that_does_not_tell_whose_it_is(folder):
    """Neither its disk is known, nor is anything given up."""
    (folder / identity.FILE_NAME).write_bytes(b"{")
    assert rebuilding.disk_of(folder) == ""
    with pytest.raises(errors.DataLossError):
        rebuilding.give_up(folder, "", 4)

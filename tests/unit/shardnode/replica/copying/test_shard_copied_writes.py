"""The ids of recent writes go along with a copy, so that it recognises what its source recognises."""

import pytest
from fixtures.copies import copied, write_id
from fixtures.replicas import leading, settle, upsert

from vectorfleet_shardnode import errors
from vectorfleet_shardnode.copies import checkpoints, incoming, write_ids_file
from vectorfleet_shardnode.log import log_index
from vectorfleet_shardnode.segments import descriptor, manifest


def test_a_copy_knows_the_writes_that_its_source_knows(source, held, replica, tmp_path):
    """With position and rows; through starts, maintenance, a copy of the copy; and no others."""
    served, done = source, []
    for number in (1, 2):
        done.append(upsert(source, *(f"w{row}" for row in range(number)), write_id=write_id(number)))
        source.shard.commit(settle(source))
    upsert(source, "late", write_id=write_id(3))  # in the log, and not committed
    settle(source)
    keeper = held
    for name in ("one", "two"):
        served = copied(keeper, replica, tmp_path, name)
        for _ in range(2):
            for number, write in enumerate(done, 1):
                written = write.result()
                assert served.shard.log.find_write(write_id(number)) == (written.seq, number, 1)
            assert served.shard.log.find_write(write_id(3)) is None
            served.shard.freeze()
            for _ in range(3):
                served.maintenance.step()
            served.close()
            served = replica(name)
        keeper = checkpoints.Checkpoints(served.shard, served.maintenance)
    leading(served, 9)
    again = upsert(served, "w0", write_id=write_id(1))
    served.shard.commit(served.shard.log.last_seq)
    assert again.result() == done[0].result()


def test_ids_that_came_with_a_copy_go_once_the_log_has_as_many(source, held, replica, tmp_path, monkeypatch):
    """Then the file goes with the next manifest; the newest are known all the same."""
    monkeypatch.setattr(log_index.WriteIds.__init__, "__defaults__", (3,))
    upsert(source, "w", write_id=write_id(1))
    source.shard.commit(settle(source))
    target = leading(copied(held, replica, tmp_path, "target"), 9)
    files = [path.name for path in (tmp_path / "target").glob("write-ids-*")]
    assert len(files) == 1
    for number in range(2, 6):
        assert bool(target.shard.log.find_write(write_id(1))) == (number < 5)
        upsert(target, f"w{number}", write_id=write_id(number))
        target.shard.commit(settle(target))
    target.shard.freeze()
    target.maintenance.step()
    assert not list((tmp_path / "target").glob("write-ids-*"))
    assert [bool(target.shard.log.find_write(write_id(number))) for number in (1, 2, 3, 4, 5)] == [
        *(False, False, True, True, True)
    ]


@pytest.mark.parametrize("damage", [bytes.swapcase, lambda content: content[:-1], None])
def test_write_ids_that_are_not_as_they_were_written_are_damage(source, held, replica, tmp_path, damage):
    """The start says which file it is, and changes nothing."""
    upsert(source, "w", write_id=write_id(1))
    source.shard.commit(settle(source))
    copied(held, replica, tmp_path, "target").close()
    [path] = (tmp_path / "target").glob("write-ids-*")
    content = path.read_bytes()
    path.write_bytes(damage(content)) if damage else path.unlink()
    with pytest.raises(errors.DataLossError, match=f"{path.name} of write ids is"):
        replica("target")
    path.write_bytes(content)
    assert replica("target").shard.log.find_write(write_id(1))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"VFLTIDS", "has no header"),
        (b"VFLTVEC\0" + bytes(16), "holds no write ids"),
        (b"VFLTIDS\0" + bytes([1]) + bytes(20), "holds no write ids"),
        (b"VFLTIDS\0" + bytes([2]) + bytes(15), "has format 2; this program reads format 1"),
    ],
)
def test_what_is_no_file_of_write_ids_is_refused(tmp_path, content, said):
    """Though its checksum is right."""
    (tmp_path / "write-ids-x.bin").write_bytes(content)
    sums = descriptor.sum_of(tmp_path / "write-ids-x.bin")
    with pytest.raises(errors.DataLossError, match=said):
        write_ids_file.read(tmp_path, manifest.WriteIds(file="write-ids-x.bin", content=sums))


@pytest.mark.parametrize(
    "name", ["../x", "write-ids-.bin", "manifest.json", "write-ids-0123456789abcdef.bin/x"]
)
def test_a_manifest_names_no_other_file_for_write_ids(held, tmp_path, name):
    """Whatever another replica sends, nothing is written elsewhere."""
    listed = manifest.WriteIds(file=name, content=descriptor.FileSum(bytes=1, sha256=""))
    changed = manifest.parse(held.take().manifest).model_copy(update={"write_ids": listed})
    with pytest.raises(errors.DataLossError, match="of write ids"):
        incoming.Incoming(tmp_path, manifest.pack(changed))

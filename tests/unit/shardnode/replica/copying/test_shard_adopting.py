"""Segments that another replica built: taken in place of the same rows here, and of no others."""

import random

import pytest
from fixtures import builders
from fixtures.replicas import INDEX, TUNING, ids_of, leading, settle, ship, upsert

from vectorfleet_shardnode import digests, errors, operations, storage, transitions
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.copies import checkpoints, incoming
from vectorfleet_shardnode.segments import descriptor, manifest, part, sealed


def follow(source, *targets):
    """Commit everything, and have it shipped and applied."""
    source.shard.commit(settle(source))
    for target in targets:
        ship(source, target)
        target.shard.commit(source.shard.committed)


def step(served, times=6):
    """Do maintenance."""
    for _ in range(times):
        served.maintenance.step()


def fetch(source, folder):
    """Copy the files of the source's segments with graphs; returns (folder, descriptor) of each."""
    held = checkpoints.Checkpoints(source.shard, source.maintenance)
    taken = held.take()
    arriving = incoming.Incoming(folder, taken.manifest)
    for wanted in arriving.wanted():
        place = (wanted.segment, wanted.file)
        arriving.write(place, wanted.offset, held.read(taken.id, place, wanted.offset))
    found = []
    for listed in arriving.manifest.segments:
        home = folder / incoming.FOLDER / listed.name
        if not listed.described.recipe.spec.exact:
            found.append((home, listed.described))
        for bits in home.glob("dead-*"):
            bits.unlink()
    held.release(taken.id)
    return found


def offer(target, fetched):
    """Offer segments; returns for each whether it was adopted."""
    waiting = [target.maintenance.offer(*one) for one in fetched]
    step(target, len(waiting))
    return [adoption.result(0) for adoption in waiting]


def everything(served):
    """Return id → values of all rows."""
    state, found = served.shard.snapshot, {}
    for view in state.parts:
        rows = view.take(view.live.nonzero()[0], part.Fields(values=True, metadata=True))
        assert not found.keys() & set(rows.ids)
        found |= dict(zip(rows.ids, rows.vectors.tolist(), strict=True))
    return found


def test_a_follower_gets_graphs_without_building_them(replica, tmp_path):
    """Its own flat segments go, rows that died or came since are right, and a restart finds the same."""
    leader, follower = leading(replica("leader")), replica("follower")
    follower.maintenance.following = True
    for number in range(5):
        upsert(leader, *(f"r{number}-{row}" for row in range(5)), x=number)
        follow(leader, follower)
        leader.maintenance.step()
        follower.maintenance.step()
    step(leader)
    step(follower)
    assert [view.segment.indexed for view in leader.shard.snapshot.sealed] == [True]
    assert not any(view.segment.indexed for view in follower.shard.snapshot.sealed)
    fetched = fetch(leader, tmp_path / "follower")
    leader.shard.write(operations.DeleteIds("", ["r0-0", "r4-4"]))
    upsert(leader, "r1-1", "new", x=9)
    follow(leader, follower)
    assert offer(follower, fetched) == [True]
    [view] = [view for view in follower.shard.snapshot.sealed if view.segment.indexed]
    assert view.live_rows == 25 - 3
    for _ in range(2):
        assert everything(follower) == everything(leader)
        assert digests.of(follower.shard.snapshot) == digests.of(leader.shard.snapshot)
        follower.close()
        follower = replica("follower")
    assert follower.shard.snapshot.count(None) == {"": 24}


def test_what_was_built_is_held_for_followers(replica):
    """Whole, without what is the source's own; the same for all who ask, until more is built."""
    now = [0.0]
    leader = leading(replica("leader"))
    held = checkpoints.Checkpoints(leader.shard, leader.maintenance, 60.0, lambda: now[0])
    assert not manifest.parse(held.take_built().manifest).segments
    upsert(leader, *"abcdefgh", write_id=b"0123456789abcdef")
    follow(leader)
    step(leader)
    upsert(leader, "a", "i", x=2)
    follow(leader)
    taken = [held.take_built() for _ in range(2 * checkpoints.MOST)]
    assert len(set(taken)) == 1
    stored = manifest.parse(taken[0].manifest)
    [listed] = stored.segments
    assert (listed.tombstones, stored.write_ids) == (None, None)
    assert listed.described.recipe.engine is config.EngineKind.HNSW
    assert listed.described.bytes == taken[0].bytes
    for number in range(3):
        upsert(leader, *"abcdefgh", x=3 + number)
        follow(leader)
        step(leader)
    later = held.take_built()
    assert later.id != taken[0].id
    [described] = [view.segment.descriptor for view in leader.shard.snapshot.sealed if view.segment.indexed]
    assert described != listed.described
    for name, sums in listed.described.files.items():
        assert len(held.read(taken[0].id, (listed.name, name), 0)) == sums.bytes
    assert held.take()
    now[0] = 61.0
    held.expire()
    with pytest.raises(errors.NotHereError):
        held.read(taken[0].id, (listed.name, "vectors.bin"), 0)
    assert leader.maintenance.pins.names == frozenset()
    assert leader.maintenance.pins.covered(5) == 5


def test_a_follower_says_from_where_on_it_waits(replica):
    """From the first write of what it would merge; nothing where it builds by itself, or all is in graphs."""
    leader, follower = leading(replica("leader")), replica("follower")
    upsert(leader, *"abcdefgh")
    follow(leader, follower)
    step(follower, 1)
    for waits in (True, False):
        follower.maintenance.following = waits
        step(follower, 4)
        assert (follower.maintenance.awaited is not None) == waits
    assert follower.maintenance.built > 0
    follower.maintenance.following = True
    upsert(leader, *"ijklmnop")
    follow(leader, follower)
    first = follower.shard.snapshot.seq
    step(follower, 4)
    assert follower.maintenance.awaited in (2, first)  # alone, or together with the graph


def test_a_segment_for_which_there_is_no_memory_is_not_adopted(replica, tmp_path, monkeypatch):
    """It stays where it was fetched to, and the follower goes on with what it has."""
    leader, follower = leading(replica("leader")), replica("follower")
    follower.maintenance.following = True
    upsert(leader, *"abcdef")
    follow(leader, follower)
    step(leader)
    fetched = fetch(leader, tmp_path / "follower")
    monkeypatch.setattr(follower.shard.limits, "has_room", lambda need: need.memory == 0)
    assert offer(follower, fetched) == [False]
    assert (fetched[0][0] / "vectors.bin").exists()
    monkeypatch.undo()
    assert offer(follower, fetched) == [True]


def test_an_index_without_graphs_waits_for_nobody(tmp_path):
    """Its segments are written as cheaply as they are fetched."""
    flat = INDEX.model_copy(
        update={"serving": INDEX.serving.model_copy(update={"engine": config.EngineKind.FLAT})}
    )
    served = storage.open_shard(flat, 0, tmp_path, TUNING, builders.Built, storage.Place(alone=False))
    leading(served)
    served.maintenance.following = True
    for number in range(3):
        upsert(served, *(f"r{number}-{row}" for row in range(8)))
        served.shard.commit(settle(served))
        served.shard.freeze()
        step(served, 4)
    assert len(served.shard.snapshot.sealed) == 1
    assert served.maintenance.awaited is None
    served.close()


def test_what_is_not_committed_here_is_not_adopted(replica, tmp_path):
    """Nor is a segment none of whose rows lives here; its files stay where they are."""
    leader, follower = leading(replica("leader")), replica("follower")
    upsert(leader, *"abcdef")
    follow(leader, follower)
    step(leader)
    [(home, described)] = fetch(leader, tmp_path / "follower")
    old = home.rename(tmp_path / "old")
    upsert(leader, *"abcdefg", x=2)
    leader.shard.commit(settle(leader))
    step(leader)
    assert offer(follower, fetch(leader, tmp_path / "follower")) == [False]
    follow(leader, follower)
    late = fetch(leader, tmp_path / "follower")
    assert offer(follower, late) == [True]
    assert offer(follower, [(old, described)]) == [False]
    assert (old / "vectors.bin").exists()
    assert everything(follower) == everything(leader)


def test_a_damaged_segment_is_refused(replica, tmp_path):
    """Its sums are compared once more; the shard goes on with its own."""
    leader, follower = leading(replica("leader")), replica("follower")
    upsert(leader, *"abcdef")
    follow(leader, follower)
    step(leader)
    [(home, described)] = fetch(leader, tmp_path / "follower")
    (home / "vectors.bin").write_bytes(b"x")
    adoption = follower.maintenance.offer(home, described)
    with pytest.raises(errors.DataLossError, match=r"vectors\.bin is damaged"):
        follower.maintenance.step()
    with pytest.raises(errors.DataLossError):
        adoption.result(0)
    assert ids_of(follower) == list("abcdef")


def test_a_follower_builds_by_itself_when_nobody_does_it_for_it(replica):
    """After the time that it waits; here none at all."""
    leader, waiting = leading(replica("leader")), replica("waiting")
    impatient = replica("impatient", build_anyway_seconds=0)
    for follower in (waiting, impatient):
        follower.maintenance.following = True
    upsert(leader, *"abcdefgh")
    upsert(leader, *"ijklmnop")
    follow(leader, waiting, impatient)
    step(waiting)
    step(impatient)
    assert not any(view.segment.indexed for view in waiting.shard.snapshot.sealed)
    assert any(view.segment.indexed for view in impatient.shard.snapshot.sealed)


@pytest.mark.parametrize("seed", range(6))
def test_adopting_at_any_time_changes_no_row(replica, tmp_path, seed):
    """Writes, flushes, merges, adoptions and restarts in any order: always the primary's rows and digest."""
    numbers = random.Random(seed)
    leader, follower = leading(replica("leader")), replica("follower")
    follower.maintenance.following = True
    fetched, adopted = [], 0
    for _ in range(40):
        ids = numbers.sample([f"r{number}" for number in range(30)], numbers.randint(1, 6))
        if numbers.random() < 0.3:
            leader.shard.write(operations.DeleteIds("", ids))
        else:
            upsert(leader, *ids, x=numbers.random())
        follow(leader, follower)
        step(leader, numbers.randint(0, 3))
        step(follower, numbers.randint(1, 3))
        if numbers.random() < 0.3:
            fetched = fetch(leader, tmp_path / "follower")
        if fetched and numbers.random() < 0.5:
            adopted += sum(offer(follower, fetched))
            fetched = []
        if numbers.random() < 0.1:
            follower.close()
            follower = replica("follower")
            follower.shard.commit(leader.shard.committed)
            follower.maintenance.following = True
        assert everything(follower) == everything(leader)
        assert digests.of(follower.shard.snapshot) == digests.of(leader.shard.snapshot)
    assert adopted


def test_keys_of_one_hash_are_told_apart(replica):
    """Where hashes are equal the ids decide."""
    served = leading(replica("leader"))
    upsert(served, *"abcdef")
    served.shard.commit(settle(served))
    step(served)
    [view] = served.shard.snapshot.sealed
    rows, hashes, seqs = view.versions()

    class Colliding(sealed.SealedView):
        def versions(self):
            return rows[self.live[rows]], hashes[self.live[rows]] * 0, seqs[self.live[rows]]

    ours = Colliding(view.segment, view.live.copy())
    ours.live[:2] = False
    mine, theirs = transitions._same_rows(ours, Colliding(view.segment, view.live))
    assert sorted(mine) == [2, 3, 4, 5]
    assert mine.tolist() == theirs.tolist()
    assert isinstance(view.segment.descriptor, descriptor.Descriptor)

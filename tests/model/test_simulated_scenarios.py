"""Named troubles, played on the simulator: one thing goes wrong, and what is expected of it is asked."""

import operator

import pytest
from simulation import mutants, plan, promises, world

from vectorfleet_shardnode.replication import messages


def shard(clients=3, **sizes):
    """Return a shard that has begun, in good weather."""
    made = world.World(7, plan.Plan(clients=clients, **sizes))
    made.begin()
    pass_time(made, 100)
    return made


def pass_time(made, units):
    """Let time pass."""
    made.clock.run(made.clock.now + units)


def wait_for(made, done, most=2000):
    """Let time pass until something is so."""
    until = made.clock.now + most
    while not done():
        assert made.clock.now < until, made.describe()
        pass_time(made, 5)


def end_well(made):
    """Mend everything: writes go on, members are equal, and what clients saw makes sense."""
    made.heal()
    made.settle()
    made.histories.check()


def cut(made, some, others):
    """Break all links between two groups, both ways."""
    pairs = {(one, other) for one in some for other in others if one != other}
    made.network.broken |= pairs | {(other, one) for one, other in pairs}


def ask(made, name, method, *args):
    """Ask a replica something; returns the list that its answer comes into."""
    node, heard = made.nodes[name], []
    node.enter(None, operator.attrgetter(method)(node), *args, heard.append)
    return heard


def write(made, name, write_id, value):
    """Write a key at a replica, and wait for the answer."""
    heard = ask(made, name, "serving.write", (write_id, "key", value))
    wait_for(made, lambda: heard)
    return heard[0]


def promoted(made, name):
    """Wait for a primary, other than one, that acknowledges."""
    wait_for(made, lambda: made.primary() and made.primary().name != name and is_serving(made))
    return made.primary()


def is_serving(made):
    """Tell whether the primary has committed its start record."""
    core = made.primary().core
    return core.committed >= core.term.start


def test_r10_a_primary_out_of_the_operators_sight_alone_goes_on():
    """Its followers hear of it, and say so: it acknowledges, and nobody takes its place."""
    made = shard()
    old = made.primary()
    cut(made, [old.name], [*made.operators, "api"])
    before = made.promises.acknowledged
    pass_time(made, 1000)
    assert made.promises.acknowledged > before + 20
    assert (made.primary(), made.register.changes) == (old, 1)
    end_well(made)


def test_r10_writes_go_on_while_nobody_reaches_the_configuration():
    """The write path needs neither the operator nor the API server."""
    made = shard()
    cut(made, [*made.operators, "api"], [*made.nodes, "api", *made.operators])
    epoch, before = made.primary().core.promised, made.promises.acknowledged
    pass_time(made, 500)
    assert made.promises.acknowledged > before + 20
    assert made.primary().core.promised == epoch
    end_well(made)


def test_r11_a_primary_cut_from_its_followers_loses_its_tail_and_nothing_acknowledged():
    """What it took meanwhile was acknowledged to nobody, and is cut when it follows again."""
    made = shard()
    old = made.primary()
    cut(made, [old.name], [*made.nodes, *made.operators])
    committed = old.core.committed
    late = ask(made, old.name, "serving.write", ("late", "key", "late"))
    promoted(made, old.name)
    pass_time(made, 100)
    assert old.core.committed == committed
    assert not late
    end_well(made)
    assert late == [("unknown", None)]
    assert "late" not in {record.write_id for record in old.disk.records}


@pytest.mark.parametrize("sides", [1, 2])
def test_r12_a_flapping_link_makes_no_storm_of_promotions(sides):
    """Of three replicas, a link between two that comes and goes costs one or two changes at most."""
    made = shard()
    one, other = made.wanted[:2]
    pairs = {(one, other), (other, one)} if sides == 2 else {(one, other)}
    for _ in range(30):
        made.network.broken ^= pairs
        pass_time(made, 20)
    assert made.register.changes <= 3
    end_well(made)


def test_r12_slow_links_slow_writes_down_and_stop_none():
    """Thirty times the usual delay."""
    made = shard()
    made.network.slow = {(one, other): 10 for one in made.nodes for other in made.nodes}
    before = made.promises.acknowledged
    pass_time(made, 1000)
    assert made.promises.acknowledged > before + 5
    end_well(made)


def test_r13_a_frozen_primary_that_goes_on_acknowledges_nothing():
    """It believes itself in office until it hears; its followers have promised a newer epoch."""
    made = shard()
    old = made.primary()
    old.freeze()
    promoted(made, old.name)
    late = ask(made, old.name, "serving.write", ("late", "key", "late"))
    read = ask(made, old.name, "serving.strong_read", "key")
    old.thaw()
    pass_time(made, 300)
    assert all(what != "done" for what, _ in late + read)
    end_well(made)


def test_r14_clocks_that_run_apart_change_nothing():
    """No decision of a replica rests on time: ticks may come fifty times too often, or too rarely."""
    made = shard()
    for pace, one in zip((0.1, 5.0, 1.0), made.nodes.values(), strict=True):
        one.pace = pace
    before = made.promises.acknowledged
    pass_time(made, 600)
    assert made.promises.acknowledged > before + 20
    assert made.register.changes == 1
    end_well(made)


def test_r15_a_slow_replica_slows_no_writes_down():
    """Two of three are enough; the third catches up when it can."""
    made = shard()
    slow = next(one for one in made.nodes.values() if one is not made.primary())
    before = made.promises.acknowledged
    pass_time(made, 400)
    usual = made.promises.acknowledged - before
    slow.slow_disk = 100.0
    before = made.promises.acknowledged
    pass_time(made, 400)
    assert made.promises.acknowledged - before > usual / 2
    assert slow.core.committed < made.primary().core.committed
    end_well(made)


def away_while_logs_are_cut(made):
    """Let a follower be away until no log has anymore what it lacks; returns it, back again."""
    away = next(one for one in made.nodes.values() if one is not made.primary())
    away.crash()
    write(made, made.primary().name, "missed", "missed")
    pass_time(made, 100)
    for one in made.nodes.values():
        if one is not away:
            one.trim()
            if one.core.committed > one.disk.base.seq:
                one.disk.trim(one.core.committed)
                one.core.trimmed_to(one.core.committed)
    away.start()
    wait_for(made, lambda: away.disk.snapshot.place.seq > 0)
    return away


def test_r16_a_replica_whose_log_ends_before_the_others_begin_copies_a_snapshot():
    """Then it goes on with the log behind it, and has every row."""
    made = shard()
    away = away_while_logs_are_cut(made)
    assert away.disk.base.seq == away.disk.snapshot.place.seq
    end_well(made)
    assert away.rows["key"] == "missed"


def test_r26_a_deletion_that_a_replica_missed_stays_done_when_it_leads():
    """It was away while the row was deleted and the logs were cut; then it becomes the primary."""
    made = shard(clients=1)
    write(made, made.primary().name, "first", "there")
    wait_for(made, lambda: all(one.rows.get("key") == "there" for one in made.nodes.values()))
    away = next(one for one in made.nodes.values() if one is not made.primary())
    away.crash()
    write(made, made.primary().name, "deletion", "deleted")
    away.start()
    for one in made.nodes.values():
        if one is not away:
            one.trim()
    wait_for(made, lambda: away.core.committed == made.primary().core.committed)
    made.handover = away.name
    wait_for(made, lambda: made.primary() is away and is_serving(made))
    assert away.rows["key"] == "deleted"
    end_well(made)


def test_r27_a_write_whose_answer_was_lost_is_recognised_by_the_next_primary():
    """Sent again with its id, it is answered as before: it was done once."""
    made = shard(clients=1)
    old = made.primary()
    done = write(made, old.name, "once", "value")
    old.crash()
    new = promoted(made, old.name)
    assert write(made, new.name, "once", "value") == done
    end_well(made)


def retried_at_a_copy(made):
    """Retry a write at a primary that has it from a copied snapshot; returns both answers."""
    away = away_while_logs_are_cut(made)
    seq = next(record.seq for record in made.promises.log if record.write_id == "missed")
    wait_for(made, lambda: away.core.committed == made.primary().core.committed)
    made.handover = away.name
    wait_for(made, lambda: made.primary() is away and is_serving(made))
    return ("done", seq), write(made, away.name, "missed", "missed")


def test_r27_a_write_is_recognised_by_a_primary_that_copied_it():
    """A snapshot carries the ids of the writes that made it, as the log does."""
    made = shard(clients=1)
    first, again = retried_at_a_copy(made)
    assert first == again
    end_well(made)


def test_a_replica_that_gives_up_its_data_is_another_disk_and_is_filled_again():
    """It knows what was promised, is counted by nobody, and becomes a member once it has everything."""
    made = shard(clients=1)
    node = next(one for one in made.nodes.values() if one is not made.primary())
    before, epoch = node.disk.identity, made.register.status.configuration.epoch
    [reply] = ask(made, node.name, "give_up", epoch)
    assert reply.disk not in ("", before)
    wait_for(made, lambda: node.core is not None)
    assert node.core.promised >= epoch
    assert not node.core.is_member
    current = lambda: made.register.status.configuration  # noqa: E731
    wait_for(made, lambda: current().holds(reply.disk))
    assert not current().holds(before)
    end_well(made)


def test_a_shard_whose_disks_are_all_gone_begins_anew_where_a_person_says_so():
    """The new disks were told the old configuration and have promised its epoch; still they are sealed."""
    made = shard(clients=1)
    current = made.register.status.configuration
    for one in made.operators.values():
        one.stop()
    for one in made.nodes.values():
        one.lose_disk()
        one.start()
        ask(made, one.name, "obeying.configure", current, ())
    pass_time(made, 100)
    assert all(one.core.configuration == current for one in made.nodes.values())
    members = tuple(messages.Member(one.name, one.disk.identity) for one in made.nodes.values())
    epoch = current.epoch + 1
    made.promises.log.clear()  # what was promised is lost
    for one in members:
        [reply] = ask(made, one.name, "obeying.seal", one.disk, epoch, False)
        assert reply.sealed
    wanted = messages.Configuration(epoch, members[0].name, members, 2)
    led = ask(made, members[0].name, "obeying.lead", wanted, 10.0)
    wait_for(made, lambda: led)
    assert led[0].held
    ask(made, members[0].name, "obeying.configure", wanted, ())
    wait_for(made, lambda: made.nodes[members[0].name].open)


def test_a_primary_gives_up_nothing():
    """Nor anyone under another configuration than the operator means."""
    made = shard(clients=1)
    epoch = made.register.status.configuration.epoch
    for name in made.nodes:
        asked = epoch if made.nodes[name] is made.primary() else epoch + 1
        [reply] = ask(made, name, "give_up", asked)
        assert not reply.disk
        assert reply.refusal
    end_well(made)


def test_r34_a_snapshot_without_the_ids_of_its_writes_is_noticed():
    """The same write would be done twice."""
    with mutants.applied("ids_copied") as dropped:
        made = world.World(7, plan.Plan(clients=1), dropped)
        made.begin()
        pass_time(made, 100)
        with pytest.raises(promises.BrokenPromiseError, match="was done before"):
            retried_at_a_copy(made)

"""Segments are built once, by the primary; followers fetch and adopt them, as real processes."""

import pytest
from replicated.asking import ids_of, level, write


def rows_of(group, number, kind):
    """Return how many rows a replica has put into segments in one way: flush, merge, adopt."""
    return group.replicas[number].metric(f'vectorfleet_segment_built_rows_total{{kind="{kind}"}}')


def fill(group, first, count):
    """Write rows, as many as are built into graphs several times."""
    for number in range(first, first + count, 20):
        write(group, number, 20)


def indexed(group, numbers=(0, 1, 2)):
    """Wait until no row of these replicas waits for a graph."""
    level(group, numbers)
    group.wait_for(lambda: all(group.report(number).unindexed_rows == 0 for number in numbers), 60)


def test_followers_adopt_what_the_primary_has_built(make_group):
    """They build nothing, and find the same; who is promoted builds for the others at once."""
    group = make_group()
    fill(group, 0, 600)
    indexed(group)
    assert rows_of(group, 0, "merge")
    for number in (1, 2):
        assert rows_of(group, number, "merge") == 0
        assert rows_of(group, number, "adopt")
    assert rows_of(group, 0, "adopt") == 0
    group.replicas[0].end()
    group.operator.change(range(3), primary=1)
    group.wait_for(lambda: group.primary() is not None)
    leader, follower = (1, 2) if group.primary() == 1 else (2, 1)
    fill(group, 600, 600)
    indexed(group, (1, 2))
    assert rows_of(group, leader, "merge")
    assert rows_of(group, follower, "merge") == 0
    group.replicas[0].start()
    indexed(group)
    assert [len(ids_of(stub)) for stub in group.stubs] == [1200] * 3


@pytest.mark.parametrize("killed", ["follower", "primary"])
def test_a_fetch_that_breaks_off_goes_on(make_group, killed):
    """Whichever side is killed; what was fetched in part is finished, or built after all."""
    group = make_group(build_anyway_seconds=15)
    group.network.links[2, 0].delay = 0.3  # what the follower asks for comes slowly
    fill(group, 0, 600)
    adopting = group.replicas[2].data / "adopting"
    group.wait_for(lambda: list(adopting.glob("*/*")))
    victim = group.replicas[2 if killed == "follower" else 0]
    victim.end()
    victim.start()
    group.network.heal()
    group.wait_for(lambda: group.primary() is not None)
    fill(group, 600, 20)
    indexed(group)
    group.wait_for(lambda: not adopting.exists(), 60)
    assert [len(ids_of(stub)) for stub in group.stubs] == [620] * 3


def test_a_follower_whose_primary_builds_nothing_builds_by_itself(make_group):
    """Here the primary never thinks it worth it, as where memory is short there."""
    group = make_group(build_anyway_seconds=1)
    group.replicas[0].end()
    group.replicas[0].environment["VECTORFLEET_TUNING__INDEX_MIN_ROWS"] = "1000000"
    group.replicas[0].start()
    group.wait_for(lambda: group.primary() == 0)
    fill(group, 0, 600)
    indexed(group, (1, 2))
    assert not list(group.replicas[0].data.rglob("graph.*"))
    assert all(rows_of(group, number, "merge") for number in (1, 2))
    assert all(list(group.replicas[number].data.rglob("graph.*")) for number in (1, 2))

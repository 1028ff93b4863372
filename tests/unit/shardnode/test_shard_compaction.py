"""When segments are built and merged: the policy as values."""

import math

import pytest

from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.segments import compaction
from vectorfleet_shardnode.segments.compaction import Flush, Merge, Pace, Size

LOADING, STEADY, RESTING = Pace
HNSW = compaction.Policy(config.EngineKind.HNSW, 1_000_000, 1_000, fanout=4, stale_share=0.2)
FLAT = compaction.Policy(config.EngineKind.FLAT, 1_000_000, 1_000, fanout=4, stale_share=0.2)


def flat(name, live, dead=0):
    """A segment without a graph."""
    return Size(name, False, live, dead, live * 100)


def graph(name, live, dead=0):
    """A segment with a graph."""
    return Size(name, True, live, dead, live * 100)


def plan(sizes, growing=0, pace=LOADING, policy=HNSW):
    """Return the policy's next action."""
    return compaction.plan(policy, growing, sizes, pace)


@pytest.mark.parametrize(
    ("sizes", "growing", "pace", "expected"),
    [
        ([], 0, RESTING, None),
        ([], 999, RESTING, None),
        ([], 1_000, RESTING, Flush()),
        ([], 1_000, LOADING, None),
        ([flat("a", 9_000)], 0, LOADING, None),
        ([flat("a", 9_000)], 0, RESTING, Merge(("a",), indexed=True)),
        ([flat("a", 9_000)], 5, RESTING, Flush()),
        ([flat("a", 9_000)], 5, STEADY, Merge(("a",), indexed=True)),
        ([flat("a", 999)], 5, STEADY, None),
        ([graph("g", 79_000, 21_000), graph("h", 7), graph("i", 7)], 5, STEADY, None),
        ([flat("a", 6_000), flat("b", 6_000)], 0, LOADING, Merge(("a", "b"), indexed=True)),
        ([flat("a", 400), flat("b", 599)], 0, RESTING, None),
        ([flat("a", 9_000), graph("g", 9_000)], 0, RESTING, Merge(("a", "g"), indexed=True)),
        ([flat("a", 9_000), graph("g", 9_000)], 0, STEADY, Merge(("a",), indexed=True)),
        ([flat("a", 9_000), graph("g", 90_000)], 0, RESTING, Merge(("a",), indexed=True)),
        ([flat("a", 9_000), graph("g", 90_000, 20_000)], 0, RESTING, Merge(("a", "g"), indexed=True)),
        ([flat("a", 9_000), graph("g", 90_000), graph("h", 900)], 0, RESTING, Merge(("a",), indexed=True)),
        ([flat("a", 9_000), graph("g", 3_000)], 0, RESTING, Merge(("a", "g"), indexed=True)),
        ([graph("g", 0, 50), flat("a", 9_000)], 0, RESTING, Merge(("g",), indexed=False)),
        ([graph("g", 79_000, 21_000)], 0, RESTING, Merge(("g",), indexed=True)),
        ([graph("g", 79_000, 21_000)], 0, LOADING, None),
        ([graph("g", 59_000, 41_000)], 0, LOADING, Merge(("g",), indexed=True)),
        ([graph(name, 20_000) for name in "abcd"], 0, LOADING, Merge(("a", "b", "c", "d"), indexed=True)),
        ([graph(name, 20_000) for name in "abc"], 0, LOADING, None),
        (
            [graph("a", 190_000), graph("b", 6_000), graph("c", 20_000)],
            0,
            RESTING,
            Merge(("b", "c"), indexed=True),
        ),
        (
            [graph("a", 90_000), graph("b", 6_000), graph("c", 20_000)],
            0,
            RESTING,
            Merge(("b", "c", "a"), indexed=True),
        ),
        ([graph("a", 90_000), graph("b", 5_000)], 0, RESTING, None),
    ],
)
def test_what_is_done_next(sizes, growing, pace, expected):
    """Few rows wait, rest indexes them, tiers merge, the dead are dropped, and rest leaves few segments."""
    assert plan(sizes, growing, pace) == expected


def test_an_index_searched_exactly_gets_no_graph():
    """Its segments are only kept few."""
    sizes = [flat(name, 5_000) for name in "abc"]
    assert plan(sizes, policy=FLAT, pace=RESTING) == Merge(("a", "b", "c"), indexed=False)
    assert plan(sizes, policy=FLAT) is None
    assert plan([flat("z", 90_000), *sizes[:2]], policy=FLAT, pace=RESTING) == Merge(
        ("a", "b"), indexed=False
    )


def test_waiting_rows_are_those_that_a_graph_is_to_cover():
    """Rows too few for a graph do not wait for one."""
    assert compaction.waiting_rows(HNSW, 10, [flat("a", 1_000), graph("g", 5)]) == 1_010
    assert compaction.waiting_rows(HNSW, 10, [flat("a", 100)]) == 0
    assert compaction.waiting_rows(FLAT, 10, [flat("a", 10_000)]) == 0


def test_rest_leaves_few_segments_at_a_bounded_cost():
    """A thousand small loads, each followed by rest: few segments, no row is built beyond its bound."""
    sizes, built, rows = [], 0, 0
    for turn in range(1_000):
        sizes.append(flat(f"f{turn}", 1_000))
        rows += 1_000
        while (action := plan(sizes, 0, RESTING)) is not None:
            live = sum(size.live for size in sizes if size.name in action.names)
            built += live
            kept = [size for size in sizes if size.name not in action.names]
            sizes = [*kept, graph(f"m{turn}-{built}", live)]
        ascending = sorted(size.live for size in sizes)
        assert all(sum(ascending[:at]) <= ascending[at] / 4 for at in range(1, len(ascending)))

    assert len(sizes) <= 1 + math.log(1_000, 5)
    assert built / rows <= 1 + math.log(1_000) / math.log(1 / 0.8)


def test_a_bulk_load_builds_each_row_once_per_tier():
    """400 flushes of 5,000 rows: links are computed at most 1 + log4(rows / first build) times a row."""
    sizes, built, number, rows = [], 0, 0, 0

    def settle(pace):
        nonlocal sizes, built, number
        while (action := plan(sizes, 0, pace)) is not None:
            merged = [size for size in sizes if size.name in action.names]
            number += 1
            made = graph(f"m{number}", sum(size.live for size in merged))
            built += made.live
            sizes = [size for size in sizes if size.name not in action.names] + [made]

    for flush in range(400):
        sizes.append(flat(f"f{flush}", 5_000))
        rows += 5_000
        settle(pace=LOADING)
        assert len([size for size in sizes if size.indexed]) <= 3 * math.ceil(
            math.log(rows / 10_000 + 1, 4) + 1
        )
    settle(pace=RESTING)
    assert sum(size.live for size in sizes) == rows
    assert len(sizes) <= 2
    assert built / rows <= 1 + math.log(rows / 10_000, 4) + 1


def test_the_policy_comes_to_rest():
    """From any state a few actions lead to one where nothing is to be done."""
    sizes = [
        flat("a", 3_000),
        graph("b", 100, 900),
        graph("c", 50_000, 49_000),
        graph("d", 0, 5),
        graph("e", 7),
    ]
    for number in range(20):
        action = plan(sizes, 0, pace=RESTING)
        if action is None:
            return
        live = sum(size.live for size in sizes if size.name in action.names)
        sizes = [size for size in sizes if size.name not in action.names]
        sizes += [Size(f"m{number}", action.indexed, live, 0, live * 100)] if live else []
    pytest.fail(f"still busy with {sizes}")

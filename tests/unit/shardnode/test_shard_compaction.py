"""When segments are built and merged: the policy as values."""

import dataclasses
import math

import pytest

from vectorfleet_shardnode.segments import compaction
from vectorfleet_shardnode.segments.compaction import Flush, Merge, Pace, Size

LOADING, WATCHED, STEADY, RESTING = Pace
HNSW = compaction.Policy(True, 1_000_000, 1_000, stale_share=0.2)
FLAT = compaction.Policy(False, 1_000_000, 1_000, stale_share=0.2)


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
        ([flat("a", 9_000)], 0, WATCHED, None),
        ([flat("a", 9_000), graph("g", 30_000)], 0, LOADING, None),
        ([flat("a", 9_000), graph("g", 30_000)], 0, WATCHED, Merge(("a", "g"), True, "g")),
        ([flat("a", 900), graph("g", 3_000)], 0, WATCHED, None),
        ([flat("a", 2_000), graph("g", 3_000)], 0, WATCHED, None),
        ([flat("a", 2_500), graph("g", 3_000)], 0, WATCHED, Merge(("a", "g"), True, "g")),
        ([flat("a", 9_000), graph("g", 90_000)], 0, WATCHED, None),
        (
            [flat("a", 9_000), flat("b", 9_000), graph("g", 90_000)],
            0,
            WATCHED,
            Merge(("a", "b"), indexed=True),
        ),
        ([flat("a", 9_000)], 0, RESTING, Merge(("a",), indexed=True)),
        ([flat("a", 9_000)], 5, RESTING, Flush()),
        ([flat("a", 9_000)], 5, STEADY, Merge(("a",), indexed=True)),
        ([flat("a", 999)], 5, STEADY, None),
        ([graph("g", 79_000, 21_000), graph("h", 70), graph("i", 7)], 5, STEADY, None),
        ([flat("a", 6_000), flat("b", 6_000)], 0, LOADING, Merge(("a", "b"), indexed=True)),
        ([flat("a", 400), flat("b", 599)], 0, RESTING, Merge(("a", "b"), indexed=False)),
        ([flat("a", 400), flat("b", 599)], 0, STEADY, None),
        ([flat("a", 999)], 0, RESTING, None),
        ([flat("a", 100, 8_000)], 0, RESTING, Merge(("a",), indexed=False)),
        ([flat("a", 1), graph("g", 9_000)], 0, RESTING, None),
        ([flat("a", 9_000), graph("g", 9_000)], 0, RESTING, Merge(("a", "g"), True, "g")),
        ([flat("a", 9_000), graph("g", 9_000)], 0, STEADY, Merge(("a", "g"), True, "g")),
        ([flat("a", 9_000), graph("g", 90_000)], 0, STEADY, Merge(("a",), indexed=True)),
        ([flat("a", 9_000), graph("g", 90_000)], 0, RESTING, Merge(("a", "g"), True, "g")),
        ([flat("a", 9_000), graph("g", 190_000)], 0, RESTING, Merge(("a",), indexed=True)),
        ([flat("a", 9_000), graph("g", 90_000, 20_000)], 0, RESTING, Merge(("a", "g"), True, "g")),
        ([flat("a", 9_000), graph("g", 70_000, 20_000)], 0, RESTING, Merge(("a", "g"), indexed=True)),
        ([flat("a", 29_000), graph("g", 70_000, 20_000)], 0, STEADY, Merge(("a", "g"), True, "g")),
        ([flat("a", 9_000), graph("g", 190_000), graph("h", 400)], 0, RESTING, Merge(("a",), indexed=True)),
        ([flat("a", 9_000), graph("g", 3_000)], 0, RESTING, Merge(("a", "g"), True, "g")),
        ([graph("g", 0, 50), flat("a", 9_000)], 0, RESTING, Merge(("g",), indexed=False)),
        ([graph("g", 79_000, 21_000)], 0, RESTING, Merge(("g",), indexed=True)),
        ([graph("g", 79_000, 21_000)], 0, LOADING, None),
        ([graph("g", 59_000, 41_000)], 0, LOADING, Merge(("g",), indexed=True)),
        ([graph("a", 20_000), graph("b", 6_000)], 0, LOADING, Merge(("b", "a"), True, "a")),
        ([graph("a", 20_000), graph("b", 4_000)], 0, LOADING, None),
        ([graph("a", 20_000), graph("b", 4_000)], 0, RESTING, Merge(("b", "a"), True, "a")),
        (
            [graph("a", 590_000), graph("b", 6_000), graph("c", 20_000)],
            0,
            RESTING,
            Merge(("b", "c"), True, "c"),
        ),
        (
            [graph("a", 90_000), graph("b", 6_000), graph("c", 20_000)],
            0,
            RESTING,
            Merge(("b", "c", "a"), True, "a"),
        ),
        ([graph("a", 90_000), graph("b", 4_000)], 0, RESTING, None),
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


@dataclasses.dataclass
class Life:
    """Plays the policy over segments; counts rows that were inserted into a graph, and rows copied."""

    sizes: list[Size] = dataclasses.field(default_factory=list)
    inserted: int = 0
    copied: int = 0

    def take(self, name, rows, pace):
        """Add a flat segment and do what the policy wants until it wants nothing."""
        self.sizes.append(flat(name, rows))
        while (action := plan(self.sizes, 0, pace)) is not None:
            merged = [size for size in self.sizes if size.name in action.names]
            rows = sum(size.live for size in merged)
            self.copied += rows
            self.inserted += rows - sum(size.live for size in merged if size.name == action.extended)
            self.sizes = [size for size in self.sizes if size not in merged]
            self.sizes.append(graph(f"m{self.copied}", rows))


@pytest.mark.parametrize(("pace", "share"), [(STEADY, 0.2), (RESTING, 0.05)])
def test_few_segments_at_a_bounded_cost(pace, share):
    """A thousand small flushes, each indexed at once: few segments, bounded inserts and copies."""
    life = Life()
    for turn in range(1_000):
        life.take(f"f{turn}", 1_000, pace)
        ascending = sorted(size.live for size in life.sizes)
        assert all(sum(ascending[:at]) <= share * sum(ascending[: at + 1]) for at in range(1, len(ascending)))

    assert len(life.sizes) <= 1 + math.log(1_000) / math.log(1 / share)
    assert life.inserted / 1e6 <= 1 + math.log2(1_000)
    assert life.copied / 1e6 <= math.log(1_000) / math.log(1 / (1 - share))


@pytest.mark.parametrize("pace", list(Pace))
@pytest.mark.parametrize("graphs", [[], [graph("g", 5_000)]])
def test_survivors_too_few_for_a_graph_do_not_pile_up(pace, graphs):
    """150 rows are written again and again, and each flush leaves one: few segments, few dead rows."""
    sizes, hot, copied = list(graphs), None, 0
    for turn in range(800):
        sizes = [
            dataclasses.replace(size, live=size.live - 150, dead=size.dead + 150)
            if size.name == hot
            else size
            for size in sizes
        ]
        hot = f"f{turn}"
        sizes.append(flat(hot, 151, 8_000))
        while (action := plan(sizes, 0, pace)) is not None:
            merged = [size for size in sizes if size.name in action.names]
            rows = sum(size.live for size in merged)
            made, copied = f"m{turn}", copied + rows
            sizes = [size for size in sizes if size not in merged] + [flat(made, rows)] * bool(rows)
            hot = made if hot in action.names else hot
        waiting = [size for size in sizes if not size.indexed]
        assert len(waiting) <= compaction.MANY_FLAT
        assert sum(size.dead for size in waiting) <= compaction.MANY_FLAT * 8_150
    assert copied <= 800 * 1_000


def test_a_bulk_load_inserts_each_row_about_once():
    """400 flushes of 5,000 rows as they pour in: a row's links are computed twice or so."""
    life = Life()
    for turn in range(400):
        life.take(f"f{turn}", 5_000, LOADING)
    life.take("last", 5_000, RESTING)

    assert sum(size.live for size in life.sizes) == 401 * 5_000
    assert len(life.sizes) <= 2
    assert life.inserted / (401 * 5_000) <= 2.5


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

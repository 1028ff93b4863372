"""How often merges copy rows, played over lives of a shard row by row: never beyond the stated bound."""

import numpy as np
import pytest

from vectorfleet_shardnode.segments import compaction
from vectorfleet_shardnode.segments.compaction import Pace, Size

ROWS, FLUSHED, ROW_BYTES = 24_000, 1_200, 100
POLICY = compaction.Policy(True, 2 * FLUSHED * ROW_BYTES, 1_000, stale_share=0.2)
FLUSHES = 150


class Life:
    """Segments by name, and in which one each row lives.

    Attributes:
        taken: rows written.
        replaced: of these, rows that took the place of one.
        copied: rows that merges wrote.
        first: rows of the smallest segment that got a graph.
    """

    def __init__(self):
        self.where = np.full(ROWS, -1)
        self.stored = {}  # number of a segment: (indexed, dead or ghosts)
        self.taken = self.replaced = self.copied = 0
        self.first = ROWS

    def sizes(self):
        """Return what the policy sees."""
        live = np.bincount(self.where[self.where >= 0], minlength=max(self.stored, default=0) + 1)
        return [
            Size(str(number), indexed, int(live[number]), dead, int(live[number]) * ROW_BYTES)
            for number, (indexed, dead) in self.stored.items()
        ]

    def take(self, rows, pace):
        """Flush these rows, and do what the policy wants."""
        before = self.where[rows]
        for number, dead in zip(*np.unique(before[before >= 0], return_counts=True), strict=True):
            indexed, known = self.stored[number]
            self.stored[number] = (indexed, known + int(dead))
        self.taken += len(rows)
        self.replaced += int((before >= 0).sum())
        self.add(rows, indexed=False, ghosts=0)
        self.tidy(pace)

    def add(self, rows, *, indexed, ghosts):
        """Let rows live in a new segment."""
        number = max(self.stored, default=-1) + 1
        self.stored[number] = (indexed, ghosts)
        self.where[rows] = number

    def tidy(self, pace):
        """Do what the policy wants until it wants nothing."""
        while (action := compaction.plan(POLICY, 0, self.sizes(), pace)) is not None:
            numbers = [int(name) for name in action.names]
            rows = np.flatnonzero(np.isin(self.where, numbers))
            ghosts = self.stored[int(action.extended)][1] if action.extended else 0
            if action.indexed and not any(self.stored[number][0] for number in numbers):
                self.first = min(self.first, len(rows))
            for number in numbers:
                del self.stored[number]
            if len(rows):
                self.copied += len(rows)
                self.add(rows, indexed=action.indexed, ghosts=ghosts)

    @property
    def copies(self):
        """Copies of a row, on average over the rows taken."""
        return self.copied / self.taken


def chosen(kind, chance, turn):
    """Return the rows of a flush: new ones in order, any, or few that are hot and some that are not."""
    if kind == "load":
        return np.arange(turn * FLUSHED, (turn + 1) * FLUSHED) % ROWS
    if kind == "any":
        return chance.choice(ROWS, FLUSHED, replace=False)
    cold = chance.choice(np.arange(FLUSHED, ROWS), FLUSHED // 10, replace=False)
    return np.concatenate([np.arange(FLUSHED - len(cold)), cold])


@pytest.mark.parametrize("pace", list(Pace))
@pytest.mark.parametrize("kind", ["load", "any", "hot"])
@pytest.mark.parametrize("seed", range(3))
def test_merges_copy_rows_no_more_often_than_is_stated(pace, kind, seed):
    """Rows that pour in, that are replaced in order, at random, and few that are written again and again."""
    chance, life = np.random.default_rng(seed), Life()
    for turn in range(ROWS // FLUSHED):
        life.take(chosen("load", chance, turn), pace)
        assert life.copies <= compaction.most_copies(POLICY, pace, life.first, ROWS)
    for turn in range(FLUSHES):
        life.take(chosen(kind, chance, turn), pace)
        replaced = life.replaced / life.taken
        most = compaction.most_copies(POLICY, pace, life.first, ROWS, replaced)
        assert life.copies <= most + POLICY.index_min_rows / FLUSHED
    assert life.copied > life.taken  # it has been put to the test


@pytest.mark.parametrize("kind", ["load", "any", "hot"])
def test_a_rest_behind_a_load_adds_two_copies(kind):
    """One that takes what waits into a graph, and one that brings the smaller ones together."""
    for turns in range(1, 40):
        chance, life = np.random.default_rng(turns), Life()
        for turn in range(ROWS // FLUSHED):
            life.take(chosen("load", chance, turn), Pace.LOADING)
        for turn in range(turns):
            life.take(chosen(kind, chance, turn), Pace.LOADING)
        before = life.copied
        life.tidy(Pace.RESTING)
        assert life.copied - before <= 2 * ROWS


@pytest.mark.parametrize(
    ("pace", "rows", "replaced", "copies"),
    [
        (Pace.LOADING, 63_440, 0.0, 7.1),
        (Pace.LOADING, 1_000_000, 0.0, 19.4),
        (Pace.STEADY, 1_000_000, 0.5, 23.2),
        (Pace.RESTING, 63_440, 0.0, 27.4),
    ],
)
def test_the_figures_of_the_documentation(pace, rows, replaced, copies):
    """At the defaults, 384 dimensions: docs/engines.md says so."""
    policy = compaction.Policy(True, 24 << 20, 1_000, stale_share=0.2)
    first = (24 << 20) // (4 * 384)
    assert round(compaction.most_copies(policy, pace, first, rows, replaced), 1) == copies

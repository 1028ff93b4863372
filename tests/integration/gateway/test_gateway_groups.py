"""Queries in groups on real processes, with segments and graphs, by the SDK and by the command."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import vectorfleet
from vectorfleet import aio

KEY = "integration-key"
VECTORFLEET = pathlib.Path(sys.executable).with_name("vectorfleet")
ROWS = 3000
CHANCE = np.random.default_rng(5)
VECTORS = CHANCE.standard_normal((ROWS, 4)).astype(np.float32)
# Half of the rows are of one kind, so that one list of candidates has too few kinds.
KINDS = np.where(CHANCE.random(ROWS) < 0.5, 0, CHANCE.integers(1, 60, ROWS))
QUESTION = VECTORS[KINDS == 0][0]


@pytest.fixture(scope="module")
def fleet(make_fleet):
    """Two shards whose rows lie in several segments."""
    fleet = make_fleet(tuning={"growing_rows": 500})
    with vectorfleet.Client(fleet.host, KEY) as index:
        rows = (
            (f"r{number:05}", values, {"kind": f"k{KINDS[number]}", "even": number % 2 == 0})
            for number, values in enumerate(VECTORS)
        )
        assert index.upsert_batch(rows).successful == ROWS
    return fleet


def expected(groups, each, rows=np.arange(ROWS)):  # noqa: B008  # never changed
    """Rank every row by its cosine, and group."""
    cosine = VECTORS @ QUESTION / np.linalg.norm(VECTORS, axis=1)
    found = {}
    for number in sorted(rows, key=lambda one: -cosine[one]):
        found.setdefault(f"k{KINDS[number]}", []).append(f"r{number:05}")
    return [(kind, ids[:each]) for kind, ids in list(found.items())[:groups]]


def told(answer):
    """Return (value, ids) of each group."""
    return [(group.value, [match.id for match in group.matches]) for group in answer.groups]


@pytest.mark.parametrize(("groups", "each"), [(1, 1), (10, 3), (60, 100)])
async def test_groups_are_exact(fleet, groups, each):
    """With an exact search, those of every row ranked; the same by both clients, filtered or not."""
    exact, by = vectorfleet.SearchParams(exact=True), vectorfleet.GroupBy("kind", each)
    with vectorfleet.Client(fleet.host, KEY) as index:
        answer = index.query(QUESTION, top_k=groups, group_by=by, params=exact, explain=True)
    assert told(answer) == expected(groups, each)
    assert (answer.complete, answer.matches) == (True, ())
    assert answer.explain["groups"]["rounds"] < 10
    async with aio.Client(fleet.host, KEY) as index:
        even = await index.query(QUESTION, top_k=groups, group_by=by, params=exact, filter={"even": True})
    assert told(even) == expected(groups, each, np.arange(0, ROWS, 2))


def test_groups_by_graphs(fleet):
    """Without exact, nearly all of them are the same."""
    with vectorfleet.Client(fleet.host, KEY) as index:
        answer = index.query(QUESTION, top_k=20, group_by=vectorfleet.GroupBy("kind", 2))
    want, got = dict(expected(20, 2)), dict(told(answer))
    assert len(want.keys() & got.keys()) >= 18


def test_the_command(fleet):
    """A table with the group in front."""
    command = [str(VECTORFLEET), "query", str([float(one) for one in QUESTION]), "--host", fleet.host]
    command += ["--api-key", KEY, "--group-by", "kind", "--group-rows", "2", "-k", "3", "--exact"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    lines = [line.split()[:2] for line in shown.splitlines()[2:]]
    assert lines == [[kind, row_id] for kind, ids in expected(3, 2) for row_id in ids]

"""The pure parts of the benchmark beside peers: reading wrk, finding an effort, keeping turns, tables."""

import os
import pathlib
import subprocess
import sys

import datasets
import numpy as np
import pytest
from peers import contender, kept, measuring, part, rest, tables, tuning, usage, workload, wrk

OUTPUT = """Running 4s test @ http://127.0.0.1:8080
  2 requests in 4.00s
RESULT requests=8000 seconds=4.000000 failed=0 p50=0.500 p95=1.250 p99=2.000
"""


PAGE = pathlib.Path(__file__).parents[3] / "docs" / "performance.md"


def measured(name: str, rate: float = 1000.0) -> measuring.Measured:
    """Return figures of a contender as `measuring` makes them."""
    loads = {callers: contender.Load(rate, 1.0, 2.0, 3.0, 0.5) for callers in measuring.CONNECTIONS}
    reached = [
        measuring.Reached(wanted, wanted, 32, loads, contender.Load(700.0, 1.0, 2.0, 4.0, 0.5))
        for wanted in measuring.RECALLS
    ]
    return measuring.Measured(
        name=name,
        version="1",
        served=True,
        settings="",
        durable="",
        driver="wrk",
        rows=1000,
        load_seconds=1.0,
        indexed_seconds=2.0,
        load_cpu=3.0,
        resident=4.0,
        reached=reached,
        curve=[(0.95, rate)],
    )


def test_wrk_is_read():
    """Rates and percentiles come from the line that the script prints."""
    assert wrk.parse(OUTPUT) == contender.Load(2000.0, 0.5, 1.25, 2.0)


@pytest.mark.parametrize("output", ["", OUTPUT.replace("failed=0", "failed=1"), OUTPUT.replace("8000", "0")])
def test_wrk_without_good_answers_is_no_result(output):
    """A failed request is a fast one: figures with such are refused."""
    with pytest.raises(ValueError, match=r"wrk|requests"):
        wrk.parse(output)


def test_wrk_is_told_what_to_send(tmp_path):
    """Path, pause and headers reach the script, and the host is where it connects."""
    pressure = contender.Pressure(8, 2, 1.5)
    told = wrk.command("http://127.0.0.1:80/query", tmp_path / "bodies", {"Api-Key": "k"}, pressure)
    assert "-c8" in told
    assert "http://127.0.0.1:80" in told
    assert told[told.index("--") + 1 :] == [str(tmp_path / "bodies"), "POST", "/query", "1.500", "Api-Key: k"]


@pytest.mark.parametrize(("wanted", "effort"), [(0.1, 1), (0.2, 2), (0.35, 4), (0.9, 9), (0.95, 9)])
def test_the_least_effort_that_reaches_a_recall_is_found(wanted, effort):
    """No smaller one reaches it; where none does, it is the greatest, with what it reached."""
    assert tuning.least(range(1, 10), lambda effort: effort / 10, wanted) == (effort, effort / 10)


def test_each_effort_is_measured_once():
    """A recall is a thousand queries: none is asked for twice."""
    seen = []
    tuning.least(range(1, 10), lambda effort: seen.append(effort) or effort / 10, 0.5)
    assert sorted(set(seen)) == sorted(seen)


def test_callers_pause_so_that_a_share_of_the_rate_comes():
    """32 callers at 70 % of 1,000/s send every 45.7 ms each, of which an answer takes 5."""
    assert tuning.pause_for(0.7, 1000, 32, 5.0) == pytest.approx(32 / 0.7 - 5)
    assert tuning.pause_for(1.0, 1000, 1, 50.0) == 0


def test_recall_is_the_share_of_the_true_nearest():
    """Order does not matter, and what was not found is -1."""
    assert workload.recall(np.array([[3, 1], [7, -1]]), np.array([[1, 3], [7, 8]])) == 0.75


def test_turns_are_kept_as_they_were(tmp_path):
    """What is written is read back, so that turns add up to one report."""
    turns = [kept.Turn("now", 0.5, [measured("a")], {"b": "not installed"})]
    kept.write(tmp_path / "out" / "peers.json", turns)
    assert kept.read(tmp_path / "out" / "peers.json") == turns
    assert kept.read(tmp_path / "none.json") == []


def test_a_contender_stands_beside_us_of_its_own_turn():
    """Ratios are within one turn: our rate of another turn, on a busier machine perhaps, does not count."""
    first = kept.Turn("1", 0.0, [measured(tables.OURS, 3000.0), measured("a", 1000.0)], {"c": "gone"})
    second = kept.Turn("2", 0.0, [measured(tables.OURS, 8000.0), measured("b", 2000.0)], {"a": "gone"})
    queries, *_, skipped = tables.sections([first, second], "title")
    ahead = {row[0]: row[-1] for row in queries.rows}
    assert ahead == {tables.OURS: 1.0, "a": 3.0, "b": 4.0}
    assert [row[0] for row in skipped.rows] == ["c"]


def test_cpu_of_a_tree_counts_processes_below():
    """A child's work counts as its root's."""
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(10**7))']); input()"
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        before = usage.cpu_seconds([os.getpid()])
        child.communicate(b"\n")
        assert usage.cpu_seconds([os.getpid()]) > before + 0.05
    finally:
        child.kill()
        child.wait()


def test_bodies_are_those_of_the_api(tmp_path):
    """What wrk sends are the queries as JSON, one a line, the same for every run at an effort."""
    work = workload.Workload(datasets.clustered(200, 3), 10)
    api = rest.Api("http://127.0.0.1:1", {}, "/q", lambda vector, k, effort: [len(vector), k, effort], list)
    asked = rest.Asked(api, work, tmp_path)
    assert asked.prepared(16).read_text() == "[384, 10, 16]\n" * 3


@pytest.mark.parametrize("line", tables.described(part.CONTENDERS.values()))
def test_each_contender_is_described(line):
    """The page says of each where it comes from, at what version, and how it runs, as the code has it."""
    assert line in PAGE.read_text().splitlines()

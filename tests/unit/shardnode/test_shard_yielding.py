"""How a builder gives way to those who serve, and what becomes of one that starves."""

import itertools
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from fixtures import builders

from vectorfleet_shardnode import operations, records, storage
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.limits import cgroup
from vectorfleet_shardnode.segments import builder, yielding
from vectorfleet_shardnode.serving import service
from vectorfleet_shardnode.settings import Tuning

TUNING = Tuning(
    growing_rows=4,
    index_min_rows=6,
    settle_seconds=0,
    build_threads=1,
    build_yields=True,
    reserved_bytes=0,
)

INDEX = config.IndexConfig(index="shop", serving=config.Generation(dimensions=2))


def write_eight_rows(opened):
    """Write what two segments hold that wait for a graph."""
    for number in range(2):
        rows = records.Rows([f"{number}-{row}" for row in range(4)], np.ones((4, 2), np.float32), [b""] * 4)
        opened.shard.write(operations.Upsert("", rows)).result(10)


@pytest.mark.parametrize(("yields", "policy"), [(True, os.SCHED_IDLE), (False, os.SCHED_OTHER)])
def test_a_builder_steps_back_and_so_do_the_threads_that_it_starts(yields, policy):
    """All of its threads have the niceness and the policy."""
    program = f"""
        import os, threading
        from vectorfleet_shardnode.segments import yielding
        yielding.step_back(7, yields={yields})
        end = threading.Event()
        threading.Thread(target=end.wait).start()
        for thread in map(int, os.listdir("/proc/self/task")):
            print(os.sched_getscheduler(thread), os.getpriority(os.PRIO_PROCESS, thread))
        end.set()
    """
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=True, text=True
    ).stdout
    niceness = min(19, os.getpriority(os.PRIO_PROCESS, 0) + 7)
    assert said.splitlines() == [f"{policy} {niceness}"] * 2


def test_the_process_of_a_builder_steps_back_before_it_loads_anything():
    """While it still has the one thread that it began with: those of libraries come later."""
    command = [sys.executable, "-m", "vectorfleet_shardnode.segments.background", str(os.getpid())]
    process = subprocess.Popen([*command, "3", "idle"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    while True:
        threads = len(list(Path(f"/proc/{process.pid}/task").iterdir()))
        if os.sched_getscheduler(process.pid) == os.SCHED_IDLE:
            break
        assert (threads, process.poll()) == (1, None)
        time.sleep(0.001)
    process.kill()
    process.communicate()


def test_a_builder_whose_parent_is_gone_does_nothing():
    """It ends, though nobody tells it to."""
    command = [sys.executable, "-m", "vectorfleet_shardnode.segments.background", "1", "3", "nice"]
    assert subprocess.run(command, check=False).returncode == 1


def test_where_the_policy_is_forbidden_a_builder_is_nice(monkeypatch):
    """A sandbox that refuses the call does not keep segments from being built."""

    def refuse(*_):
        raise PermissionError("not here")

    asked = []
    monkeypatch.setattr(os, "nice", asked.append)
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    yielding.step_back(10, yields=True)
    assert asked == [10]


@pytest.mark.parametrize(("wall", "cpu", "starving"), [(3, 0.14, True), (3, 0.16, False), (100, 4.9, True)])
def test_a_builder_starves_where_it_gets_less_than_a_twentieth_of_a_core(wall, cpu, starving):
    """Over the time that it was looked at."""
    assert yielding.starves(wall, cpu) is starving


@pytest.mark.parametrize(
    ("cores", "quiet", "threads"), [(8, float("inf"), 8), (8, 0.1, 7), (2, 9, 1), (2, 11, 2), (1, 0.1, 1)]
)
def test_a_core_is_left_to_those_who_search(cores, quiet, threads):
    """While they do, and ten seconds longer; a builder that has one core only works on that."""
    assert yielding.threads(cores, quiet) == threads


@pytest.mark.parametrize("searched", [False, True])
async def test_the_next_builder_knows_whether_searches_come(tmp_path, monkeypatch, searched):
    """By the searches of this shard, not by what looks at it in other ways."""
    monkeypatch.setattr(cgroup, "cores", lambda: 4)
    monkeypatch.setattr(yielding, "patience", lambda _: 60.0)
    monkeypatch.setattr(Starving, "jobs", ())
    opened = storage.open_shard(INDEX, 0, tmp_path, TUNING.model_copy(update={"build_threads": 0}), Starving)
    served = service.ShardService(opened, INDEX, 0, 1)
    write_eight_rows(opened)
    await served.stats(shard_pb2.StatsRequest())
    await served.report(shard_pb2.ReportRequest())
    if searched:
        query = shard_pb2.Query(vector=np.ones(2, np.float32).tobytes(), top_k=1)
        await served.search(shard_pb2.SearchRequest(queries=[query]))
    while not Starving.jobs:
        opened.maintenance.step()
    assert Starving.jobs[0].threads == (3 if searched else 4)
    await served.close()


@pytest.mark.parametrize(("had", "patience"), [(0, 3), (2, 3), (60, 60)])
def test_a_builder_that_has_done_much_is_waited_for_longer(had, patience):
    """What it has done is lost with it."""
    assert yielding.patience(had) == patience


def test_the_cpu_time_of_a_process_is_read_whatever_its_name():
    """Its own as the kernel tells it; nothing of one that is gone."""
    spent = sum(os.times()[:2])
    assert yielding.cpu_seconds(os.getpid()) == pytest.approx(spent, abs=0.5)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert yielding.cpu_seconds(gone.pid) == 0


class Starving(builders.Built):
    """A builder that works for as long as it yields, and gets nothing of any core."""

    jobs: tuple[builder.Job, ...] = ()

    def __init__(self, job, path):
        Starving.jobs += (job,)
        self.killed, self._yields = False, job.yields
        if not job.yields:
            super().__init__(job, path)

    def poll(self):
        """It works until it is ended."""
        return None if self._yields and not self.killed else 0

    def kill(self):
        """End it."""
        self.killed = True


@pytest.fixture
def waiting(tmp_path, monkeypatch):
    """Return a shard of which eight rows wait for a graph; its builders starve."""
    monkeypatch.setattr(yielding, "patience", lambda _: 0.0)
    monkeypatch.setattr(Starving, "jobs", ())
    opened = storage.open_shard(INDEX, 0, tmp_path, TUNING, Starving)
    write_eight_rows(opened)
    yield opened
    opened.close()


def test_a_builder_that_starves_is_started_again_without_yielding(waiting):
    """The same job with its niceness alone, in an empty folder; the rows come into a graph."""
    for _ in range(12):
        waiting.maintenance.step()
    assert waiting.maintenance.waiting_rows() == 0
    first, second = Starving.jobs
    assert (first.yields, second.yields) == (True, False)
    assert second == first.model_copy(update={"yields": False})
    assert waiting.shard.snapshot.count(None) == {"": 8}


def test_a_builder_that_gets_its_share_is_left_alone(waiting, monkeypatch):
    """It is looked at again after the next while, by what it has had since."""
    had = itertools.count()
    monkeypatch.setattr(Starving, "cpu_seconds", lambda _: next(had) + 1)
    for _ in range(12):
        waiting.maintenance.step()
    assert waiting.maintenance.building
    assert [job.yields for job in Starving.jobs] == [True]
    monkeypatch.setattr(Starving, "cpu_seconds", lambda _: 12)
    while len(Starving.jobs) == 1:
        waiting.maintenance.step()
    assert not Starving.jobs[1].yields

"""An hour of steady mixed load on a whole replicated index: what its processes hold stays level.

SOAK_MINUTES (60) says how long, SOAK_WRITES (20) and SOAK_QUERIES (20) how many a second. Before that as much
is written as a shard keeps of writes, SOAK_FILL (105,000) of them, for while that fills memory and disk grow
as they should. A picture of all samples, and the samples, are written into SOAK_FOLDER (build/soak).
"""

import dataclasses
import json
import math
import os
import pathlib
import time

import pytest
from services import embedded
from soaking import chart, mixed, progress, resources, trend, trouble

import vectorfleet

MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
WRITES = float(os.environ.get("SOAK_WRITES", "20"))
QUERIES = float(os.environ.get("SOAK_QUERIES", "20"))
FILL = int(os.environ.get("SOAK_FILL", str(mixed.REMEMBERED)))
FOLDER = pathlib.Path(os.environ.get("SOAK_FOLDER", pathlib.Path(__file__).parents[2] / "build" / "soak"))
EVERY, SAMPLES_LEAST = 5.0, 60
TROUBLE_SECONDS = max(15.0, MINUTES * 2)  # thirty times, two minutes apart in an hour
SHARD, GATEWAY, OPERATOR = "soaked-g1-s0", "soaked-gateway-0", "operator"
REPLICAS = [f"{SHARD}-{number}" for number in range(3)]
MORTAL = REPLICAS[2]
LIVING = [*REPLICAS[:2], GATEWAY, OPERATOR]
BOUNDS = {
    "resident": trend.Bound(share=0.1, slack=24),
    "anonymous": trend.Bound(share=0.05, slack=8),
    "files": trend.Bound(share=0, slack=6),
    "threads": trend.Bound(share=0, slack=3),
    "children": trend.Bound(share=0, slack=0),
    "disk": trend.Bound(share=0.1, slack=64),
}
"""MiB, but for files, threads and children. All segments of this index once more, mapped, are
some 24; a log file is 64."""

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]


@pytest.fixture
def local(tmp_path):
    """The index `soaked`, up: one shard of three replicas, and a gateway."""
    made = embedded.Local(tmp_path)
    done = made.up(made.manifest("soaked", shards=1, replicas=3, **mixed.SPEC))
    assert done.returncode == 0, done.stderr
    yield made
    made.end()


class Watch:
    """Samples of every process of the index."""

    def __init__(self, local, volumes):
        self._local, self._volumes = local, volumes
        self.seconds, self.events, self._began = [], [], time.monotonic()
        self.samples = {name: [] for name in [*LIVING, MORTAL]}

    @property
    def elapsed(self):
        """Since the beginning, in seconds."""
        return time.monotonic() - self._began

    def look(self):
        """Take a sample of each; None where a process is not there."""
        pids = self._local.pids("soaked") | {OPERATOR: self._local.supervisor()}
        self.seconds.append(self.elapsed)
        for name, samples in self.samples.items():
            try:
                samples.append(resources.read(pids[name], self._volumes.get(name)))
            except (OSError, KeyError):
                samples.append(None)
        return pids

    def series(self):
        """Return {quantity: {process: samples}}, NaN where it was not there."""
        return {
            quantity: {
                name: [math.nan if one is None else getattr(one, quantity) for one in samples]
                for name, samples in self.samples.items()
            }
            for quantity in BOUNDS
        }

    def verdicts(self):
        """Judge everything of those that live on, and the disk of the one that does not."""
        found = []
        for quantity, lines in self.series().items():
            for name, values in lines.items():
                if name in LIVING or quantity == "disk":
                    there = [one for one in values if not math.isnan(one)]
                    found.append(trend.judge(name, quantity, there, BOUNDS[quantity]))
        return found

    def write(self, folder):
        """Write the picture, and what it was drawn from."""
        folder.mkdir(parents=True, exist_ok=True)
        chart.draw(folder / "memory.png", self.seconds, self.series(), self.events)
        kept = {
            name: [one and dataclasses.asdict(one) for one in samples]
            for name, samples in self.samples.items()
        }
        told = {"seconds": self.seconds, "events": self.events, "samples": kept}
        (folder / "memory.json").write_text(json.dumps(told))


def test_r31_memory_files_threads_and_disk_stay_level(local):
    """Primaries are stopped, a replica dies and loses its disk: all others, the operator too, stay level."""
    with progress.Bar("writes", FILL) as filling:
        mixed.fill(
            lambda sees: _connect(local, sees), lambda count: filling.reach(count, "to fill the log"), FILL
        )
    happening = trouble.Trouble(local, SHARD, MORTAL)
    watch = Watch(local, {name: happening.volume(name) for name in REPLICAS})
    with mixed.Load(lambda sees: _connect(local, sees), WRITES, QUERIES) as load, _bar() as bar:
        first = watch.look()
        _watch(watch, happening, load, bar)
        last = watch.look()
    local.wait_until(happening.is_whole, 120)
    watch.write(FOLDER)
    verdicts = watch.verdicts()
    for verdict in verdicts:
        bar.tell(str(verdict))
    bar.tell(f"{FOLDER / 'memory.png'}; {[dataclasses.astuple(count) for count in load.counts]}")
    assert {name: first[name] for name in LIVING} == {name: last[name] for name in LIVING}, "one has died"
    assert all(count.answered > 9 * count.failed for count in load.counts), load.counts
    assert not [str(verdict) for verdict in verdicts if not verdict.level]


def _bar():
    return progress.Bar("minutes", MINUTES)


def _watch(watch, happening, load, bar):
    """Look every few seconds until the time is over; do something to the replicas now and then."""
    every, due = min(EVERY, MINUTES * 60 / SAMPLES_LEAST), TROUBLE_SECONDS
    while watch.elapsed < MINUTES * 60:
        if watch.elapsed > due:
            due += TROUBLE_SECONDS
            watch.events.append((watch.elapsed, happening.go_on()))
        watch.look()
        bar.reach(round(min(watch.elapsed / 60, MINUTES), 1), _told(watch, load))
        time.sleep(every)


def _told(watch, load):
    latest = {name: samples[-1] for name, samples in watch.samples.items() if samples[-1]}
    held = ", ".join(f"{name.removeprefix('soaked-')} {one.anonymous:.0f}" for name, one in latest.items())
    answered, failed = sum(c.answered for c in load.counts), sum(c.failed for c in load.counts)
    return f"{answered:,} answers, {failed} failures; MiB {held}"


def _connect(local, consistency):
    found = local.seen("soaked")
    key = pathlib.Path(found.api_key_file).read_text()
    return vectorfleet.Client(found.endpoint, key, consistency=consistency)

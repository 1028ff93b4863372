"""The processes that build: what they are told, how long they stay, and how they end."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from vectorfleet_shardnode import operations, records, storage
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.segments import builder_process, descriptor
from vectorfleet_shardnode.settings import Tuning

INDEX = config.IndexConfig(index="shop", serving=config.Generation(dimensions=2))
TUNING = Tuning(growing_rows=4, index_min_rows=6, settle_seconds=0, build_threads=1, reserved_bytes=0)


class Pending:
    """In the place of a process: a job that is never done, for the test to have done."""

    given = None
    returncode = None

    def __init__(self, job, path):
        Pending.given = job, path

    def poll(self):
        """It goes on."""

    def communicate(self):
        """It says nothing."""
        return b"", b""

    def kill(self):
        """Nothing is under way."""

    def cpu_seconds(self):
        """It takes nothing."""
        return 0.0


@pytest.fixture
def job(tmp_path):
    """Return a function that gives a job, and the path to write it to: two segments of four rows to merge."""
    opened = storage.open_shard(INDEX, 0, tmp_path, TUNING, Pending)
    for number in range(2):
        rows = records.Rows([f"{number}-{row}" for row in range(4)], np.ones((4, 2), np.float32), [b""] * 4)
        opened.shard.write(operations.Upsert("", rows)).result(10)
    Pending.given = None
    while Pending.given is None:
        opened.maintenance.step()
    given, path = Pending.given
    numbers = iter(range(100))
    yield lambda **changes: (
        given.model_copy(update={"output": f"{given.output}-{next(numbers)}"} | changes),
        path,
    )
    opened.close()
    builder_process.let_go()


def done(job, path):
    """Have a job done; return the process's number."""
    started = builder_process.start(job, path)
    pid = started._process.program.pid
    assert started.communicate() == (b"", b"")
    assert started.returncode == 0
    described = (Path(job.output) / descriptor.FILE_NAME).read_bytes()
    assert descriptor.Descriptor.model_validate_json(described).rows == 8
    return pid


def lives(pid):
    """Tell whether there is such a process; one that nobody has waited for yet is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(pid):
    """Wait until it is gone."""
    deadline = time.monotonic() + 20
    while lives(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return True


def test_one_process_does_job_after_job(job):
    """What computes is loaded once; each job is polled as its own."""
    first = done(*job())
    started = builder_process.start(*job())
    assert started._process.program.pid == first
    deadline = time.monotonic() + 20
    while started.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert started.returncode == 0
    assert lives(first)


def test_a_job_that_fails_says_why_and_the_next_has_another_process(job):
    """Its traceback's last line; what it left behind is not the next one's."""
    first = done(*job())
    broken, path = job()
    Path(broken.output).mkdir()  # it is to be made by the builder
    started = builder_process.start(broken, path)
    assert b"FileExistsError" in started.communicate()[1]
    assert started.returncode == 1
    assert ends(first)
    assert done(*job()) != first


def test_a_job_that_is_killed_takes_its_process_with_it(job):
    """Whoever kills it: the shard, or the kernel for want of memory."""
    started = builder_process.start(*job())
    started.kill()
    started.communicate()
    assert started.returncode == -9
    assert ends(started._process.program.pid)
    assert done(*job())


def test_a_process_goes_when_no_job_comes(job, monkeypatch):
    """It is there for what follows at once, and not for good."""
    monkeypatch.setattr(builder_process, "KEPT_SECONDS", 0.05)
    assert ends(done(*job()))


def test_a_process_that_waits_is_let_go_for_its_memory(job):
    """Where memory is short; there is none to let go then."""
    pid = done(*job())
    assert builder_process.let_go()
    assert not lives(pid)
    assert not builder_process.let_go()


def test_a_job_of_other_niceness_has_another_process(job):
    """One that is nicer can't be made less so."""
    pid = done(*job())
    assert done(*job(niceness=12)) != pid
    assert ends(pid)


def test_a_process_ends_with_the_thread_that_started_it(job):
    """No other thread is given it, since it would end in the middle of its job."""
    found = []
    thread = threading.Thread(target=lambda: found.append(done(*job())))
    thread.start()
    thread.join()
    assert ends(found[0])
    assert done(*job()) != found[0]


def test_a_process_keeps_no_file_of_a_job_that_is_done(job):
    """Segments that were merged leave the disk when they are removed."""
    given, path = job()
    pid = done(given, path)
    folders = {one.folder for one in given.inputs} | {given.output}
    mapped = Path(f"/proc/{pid}/maps").read_text()
    held = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()]
    assert not [folder for folder in folders if folder in mapped or any(folder in one for one in held)]

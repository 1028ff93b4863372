"""`vectorfleet serve --workers`: several processes by one port, which answer as one does, and end as one."""

import concurrent.futures
import http.client
import os
import pathlib
import signal
import ssl
import threading
import time

import pytest
from crewing import processes
from issuing import folders

import vectorfleet


@pytest.fixture
def crew(serve):
    """Return a function that starts a process with others beside it."""
    made = []

    def start(*options, **more):
        made.append(processes.Crew(serve, *options, **more))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_all_processes_answer(crew):
    """Connections go round; metrics are of all together, so that it does not matter which one was asked."""
    serving = crew(workers=3).until_complete()
    before = serving.connections()
    callers = [serving.caller() for _ in range(9)]
    for number in range(90):
        callers[number % 9].upsert(f"r{number}", processes.row(number))
    for number in range(90):
        assert callers[-1 - number % 9].nearest(processes.row(number)) == f"r{number}"
    assert [now - then for now, then in zip(serving.connections(), before, strict=True)] == [3, 3, 3]
    assert serving.metric('vectorfleet_gateway_requests_total{route="upsert",status="200"}') == 90
    assert serving.metric('vector_search_requests_total{namespace="__default__",status="200"}') == 90
    assert serving.metric('vector_index_size_total{namespace="__default__"}') == 90
    assert serving.metric('vectorfleet_worker_cpu_seconds_total{worker="2"}') > 0
    assert len(serving.pids()) == 2
    assert serving.served.stop() == 0
    assert "Traceback" not in serving.served.stderr()


def test_every_process_keeps_the_limits_that_the_first_was_told(crew):
    """A body that is too long is too long for each of them."""
    serving = crew("--max-body-bytes", "2048").until_complete()
    rows = {"vectors": [{"id": "a" * 100, "values": processes.row(0)}] * 20}
    before = serving.connections()
    answers = [serving.caller().ask("/vectors/upsert", rows)[0] for _ in range(4)]
    assert answers == [413] * 4
    assert [now - then for now, then in zip(serving.connections(), before, strict=True)] == [2, 2]


def test_every_process_sees_what_any_has_acknowledged(crew):
    """Written by one connection and read at once by another, 300 times."""
    serving = crew().until_complete()
    callers = [serving.caller() for _ in range(4)]  # of two processes, in turn
    for number in range(300):
        callers[number % 4].upsert("row", processes.row(number))
        for reader in (callers[(number + 1) % 4], callers[(number + 2) % 4]):
            status, answer = reader.ask("/query", {"id": "row", "topK": 1, "includeValues": True})
            assert (status, answer["matches"][0]["values"]) == (200, processes.row(number))


def test_a_worker_that_is_killed_comes_back(crew):
    """Those who try again see no wrong answer meanwhile, and the totals do not fall."""
    serving = crew().until_complete()
    with serving.served.client() as index:
        index.upsert([(f"r{number}", processes.row(number)) for number in range(100)])
    done = threading.Event()

    def ask(start):
        with serving.served.client(retries=8) as index:
            count = 0
            while not done.is_set():
                number = (start + count) % 100
                assert index.query(processes.row(number), top_k=1).matches[0].id == f"r{number}"
                count += 1
            return count

    searches = 'vector_search_requests_total{namespace="__default__",status="200"}'
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, 25 * part) for part in range(4)]
        try:
            for round_ in (2, 3):
                serving.until(
                    lambda least=100 * round_: serving.metric(searches) > least, "nobody was answered"
                )
                counted = serving.metric(searches)
                (pid,) = serving.pids()
                os.kill(pid, signal.SIGKILL)
                serving.until_complete(starts=round_)
                assert serving.metric(searches) >= counted
                assert pid not in serving.pids()
        finally:
            done.set()
        assert all(one.result() > 0 for one in asking)
    before = serving.connections()
    callers = [serving.caller() for _ in range(4)]
    assert [caller.nearest(processes.row(7)) for caller in callers] == ["r7"] * 4
    assert [now - then for now, then in zip(serving.connections(), before, strict=True)] == [2, 2]
    assert "a worker ended" in serving.served.stderr()


def test_who_waits_for_a_worker_that_dies_is_answered(crew):
    """By another one: a connection that it had not taken is not lost with it."""
    serving = crew().until_complete()
    (pid,) = serving.pids()
    os.kill(pid, signal.SIGSTOP)
    before = serving.connections()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(serving.caller().nearest, processes.row(1)) for _ in range(6)]
        serving.until(lambda: sum(serving.connections()) == sum(before) + 6, "they did not connect")
        serving.until(lambda: sum(one.done() for one in asking) == 3, "the primary did not answer")
        os.kill(pid, signal.SIGKILL)
        assert [one.result(processes.PATIENCE) for one in asking] == [None] * 6
    serving.until_complete(starts=2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_fails_no_request(crew, serve, number):
    """As terminals and service managers send it, even twice: what is asked is answered, and none is left."""
    serving = crew(workers=3).until_complete()
    load, pids = processes.Load(serving, stays=False), serving.pids()
    assert len(pids) == 2
    for _ in range(2):
        for pid in (*pids, serving.process.pid):
            os.kill(pid, number)
        time.sleep(0.1)
    acknowledged = load.acknowledged()
    assert serving.served.wait() == 0, serving.served.stderr()
    assert all(processes.is_gone(pid) for pid in pids)
    assert "Traceback" not in serving.served.stderr()
    with serve().until_ready().client() as index:
        found = {id_ for page in index.list() for id_ in page.ids}
    assert set(acknowledged) <= found


def test_a_worker_that_is_told_to_end_fails_no_request(crew):
    """Its callers are sent to the others, and another one comes in its place."""
    serving = crew().until_complete()
    load = processes.Load(serving, stays=True)
    (pid,) = serving.pids()
    os.kill(pid, signal.SIGTERM)
    serving.until_complete(starts=2)
    assert processes.is_gone(pid)
    load.ending.set()
    assert len(load.acknowledged()) >= 120


def test_no_worker_outlives_the_primary(crew):
    """However that ended: its port and its folder are free."""
    serving = crew(workers=3).until_complete()
    pids = serving.pids()
    callers = [serving.caller() for _ in range(3)]
    assert [caller.nearest(processes.row(1)) for caller in callers] == [None] * 3
    assert len(pids) == 2
    serving.process.kill()
    end = time.monotonic() + processes.PATIENCE
    while not all(processes.is_gone(pid) for pid in pids):
        assert time.monotonic() < end, "a worker is left"
        time.sleep(0.02)
    for caller in callers:
        with pytest.raises((OSError, http.client.HTTPException)):
            caller.nearest(processes.row(1))


def test_a_stop_before_workers_are_up_leaves_none(crew):
    """They are ended at once: nobody asks them yet."""
    serving = crew(workers=4)
    serving.until(lambda: len(serving.pids()) == 3, "no worker was started")
    pids = serving.pids()
    assert serving.served.stop() == 0, serving.served.stderr()
    assert all(processes.is_gone(pid) for pid in pids)


def test_workers_let_in_who_has_the_key(crew, tmp_path):
    """No other; and neither arguments nor environment show it."""
    (tmp_path / "key").write_text("of-a-file")
    serving = crew("--api-key-file", str(tmp_path / "key"), key="").until_complete()
    for key, expected in (("of-a-file", 200), ("", 401), ("another", 401)):
        callers = [serving.caller() for _ in range(4)]
        for caller in callers:
            caller.key = key
        assert [caller.ask("/describe_index_stats", {})[0] for caller in callers] == [expected] * 4
    (pid,) = serving.pids()
    for shown in ("cmdline", "environ"):
        assert b"of-a-file" not in pathlib.Path(f"/proc/{pid}/{shown}").read_bytes()


def test_workers_speak_https(crew, tmp_path):
    """By the same certificate."""
    made = folders.Folders(tmp_path)
    made.write_for("tls", "localhost")
    trusting = ssl.create_default_context(cadata=made.trusted.certificate)
    serving = crew("--tls-dir", str(tmp_path / "tls")).until_complete()
    before = serving.connections()
    for number in range(4):
        connection = http.client.HTTPSConnection("localhost", serving.port, timeout=30, context=trusting)
        caller = serving.caller(connection)
        caller.upsert(f"r{number}", processes.row(number))
        assert caller.nearest(processes.row(number)) == f"r{number}"
    assert [now - then for now, then in zip(serving.connections(), before, strict=True)] == [2, 2]


def test_a_worker_that_is_stuck_holds_up_no_metrics(crew):
    """It is left out of what is under way, and counted; the others are shown."""
    serving = crew().until_complete()
    (pid,) = serving.pids()
    with serving.served.client() as index:
        assert index.stats().total_vector_count == 0
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert serving.metric('vectorfleet_worker_silences_total{worker="1"}') == 1
        assert time.monotonic() - began < 30
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("wrong", "said"), [("0", "or equal to 1"), ("65", "or equal to 64"), ("some", "integer")]
)
def test_how_many_there_may_be_is_said(serve, wrong, said):
    """1 to 64."""
    refused = serve(*processes.START, "--workers", wrong)
    assert refused.wait() == 2
    assert "--workers" in refused.stderr()
    assert said in refused.stderr()


def test_one_worker_is_one_process(serve):
    """As without the option."""
    served = serve(*processes.START, "--workers", "1").until_ready()
    assert not [
        pid for pid in processes.children(served.process.pid) if "workers" in processes.arguments(pid)
    ]
    with served.client() as index, pytest.raises(vectorfleet.VectorfleetError):
        index.upsert([("a", [1.0])])
    assert served.stop() == 0

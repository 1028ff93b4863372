"""What benchmarks do at a steady pace: requests over HTTP, and what queries find while rows come."""

import http.server
import json
import threading

import asked_meanwhile
import numpy as np
import open_load
import options
import pytest
from peers import processes, rest

ANSWERS = [(200, {}), (200, {"partial": True}), (503, {})]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as it was told, one after the other."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        """Answer by the number in the body."""
        number = int(self.rfile.read(int(self.headers["content-length"])))
        status, told = ANSWERS[number % len(ANSWERS)]
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if number >= 30:
            self.server.enough.set()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server():
    """A server on loopback."""
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.enough = threading.Event()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def api(port):
    """Return how a server is spoken to."""
    return rest.Api(f"http://127.0.0.1:{port}", {}, "/", lambda *_: {}, list)


def test_each_request_is_noted_with_what_became_of_it(server):
    """Answers, partial answers and failures are told apart; times count from when a request was due."""
    load = open_load.Load(
        api(server.server_port), "/", lambda number: b"%d" % number, rate=1000, headers={}, callers=3
    )
    with load:
        assert server.enough.wait(30)
    answers = load.between(load.begin - 1, load.begin + 0.0055)
    assert [one.outcome for one in answers] == ["ok", "partial", "503"] * 2
    assert [one.due - load.begin for one in answers] == pytest.approx([number / 1000 for number in range(6)])
    assert all(one.seconds > 0 for one in answers)
    assert open_load.partial(answers) == 2
    assert open_load.failed(answers) == "2 x 503"
    assert len(list(open_load.percentiles(answers))) == 3


def test_what_gets_no_answer_is_noted_too():
    """Where no server is, each request is a failure that says so; so is one that was never sent."""
    asked = threading.Event()

    def body(number):
        asked.set() if number >= 3 else None
        return b"0"

    with open_load.Load(api(processes.free_port()), "/", body, rate=1000, headers={}, callers=1) as load:
        assert asked.wait(30)
    sent = load.between(load.begin, load.begin + 0.0025)
    unsent = load.between(load.begin + 1000, load.begin + 1000.0015)
    assert open_load.failed(sent) == "3 x ConnectionRefusedError"
    assert open_load.failed(unsent) == "2 x unsent"
    assert list(open_load.percentiles(unsent)) == []


@pytest.mark.parametrize(
    ("durable", "found", "share"),
    [
        ([1, 1, 1, 1], [3, 2], 1.0),
        ([1, 1, 1, 1], [3, 0], 0.5),
        ([1, 1, 1, 0], [2, 1], 1.0),
        ([1, 1, 1, 0], [3, 2], 1.0),
        ([1, 0, 0, 0], [0], 1.0),
        ([1, 1, 0, 0], [], 0.0),
    ],
)
def test_recall_is_of_what_was_durable(durable, found, share):
    """Of 4 rows by rising score: the 2 nearest durable ones are wanted, and a nearer newer one will do."""
    scores = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    recall = asked_meanwhile.recall(scores, np.array(durable, bool), np.array(found, np.int64), 2)
    assert recall == share


@pytest.mark.parametrize(
    ("told", "fashion", "folder"), [("fashion-mnist", True, None), ("some/folder", False, "some/folder")]
)
def test_data_is_a_folder_or_the_name_of_a_set(told, fashion, folder):
    """A set that is named has no folder with texts."""
    given = options.of(options.parser("").parse_args(["--data", told]))
    assert given.fashion is fashion
    assert (str(given.folder) if given.folder else None) == folder

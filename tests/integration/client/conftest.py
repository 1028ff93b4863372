"""Real `vectorfleet serve` processes for the tests of the client and of serve itself."""

import collections
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
from services import embedder, loopback
from typer import testing

import vectorfleet
from vectorfleet import cli

PROGRAM = pathlib.Path(sys.executable).with_name("vectorfleet")
KEY = "test-key"


class Served:
    """One serve process, from its start until it is gone."""

    def __init__(self, data_dir, *options, key=KEY, port=None):
        self.port = port or loopback.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = data_dir
        arguments = ["serve", "--data-dir", str(data_dir), "--port", str(self.port), *options]
        self.process = subprocess.Popen(
            [PROGRAM, *arguments],
            env=environment(VECTORFLEET_API_KEY=key),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines = collections.deque(maxlen=200)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self.process.stderr as stream:
            self.lines.extend(stream)

    def until_ready(self, key=KEY, seconds=30.0):
        """Wait until it answers; fail with what it wrote where it does not."""
        end = time.monotonic() + seconds
        with vectorfleet.Client(self.url, key, retries=0, timeout=2.0) as index:
            while True:
                try:
                    index.stats()
                except vectorfleet.VectorfleetError as error:
                    if self.process.poll() is not None or time.monotonic() > end:
                        pytest.fail(f"serve did not come up ({error}):\n{self.stderr()}")
                    time.sleep(0.05)
                else:
                    return self

    def client(self, **options):
        """Return a client of the index."""
        return vectorfleet.Client(self.url, KEY, **options)

    def stop(self, number=signal.SIGTERM, seconds=20.0):
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"serve did not end within {seconds} s of {number!r}:\n{self.stderr()}")
        self._reader.join()
        return status

    def wait(self, seconds=20.0):
        """Wait for it to end by itself; return its status."""
        status = self.process.wait(seconds)
        self._reader.join()
        return status

    def stderr(self):
        """Return what it wrote."""
        return "".join(self.lines)


def environment(**changes):
    """Return the environment of a command: no settings of the machine's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VECTORFLEET_")}
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return kept | {"PATH": path, "COLUMNS": "200", "PYTHONWARNINGS": "error"} | changes


@pytest.fixture
def serve(tmp_path):
    """Return a function that starts a process; what still runs at the end is killed."""
    started = []

    def start(*options, data_dir=tmp_path / "data", **more):
        started.append(Served(data_dir, *options, **more))
        return started[-1]

    yield start
    for served in started:
        served.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One index of 4 dimensions, squared Euclidean distance, for all tests of a file."""
    process = Served(tmp_path_factory.mktemp("serve"), "--dimensions", "4", "--metric", "euclidean")
    try:
        yield process.until_ready()
    finally:
        process.stop(signal.SIGKILL)


@pytest.fixture
def command(served, tmp_path):
    """Return a function that runs the command, a process of its own, in an empty folder."""

    def run(*arguments, **changes):
        settings = {"VECTORFLEET_URL": served.url, "VECTORFLEET_API_KEY": KEY} | changes
        return subprocess.run(
            [PROGRAM, *arguments],
            check=False,
            env=environment(**settings),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def shell(served, tmp_path, monkeypatch):
    """Return a function that runs the command's code in this process, which starts much sooner."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, stdin=None):
        settings = {"VECTORFLEET_URL": served.url, "VECTORFLEET_API_KEY": KEY, "COLUMNS": "200"}
        return testing.CliRunner().invoke(cli.app, arguments, input=stdin, env=settings)

    return run


@pytest.fixture
def free_port_number():
    """A port that nobody listens on."""
    return loopback.free_port()


@pytest.fixture
def clean_environment():
    """The environment of a command, without settings of the machine's own."""
    return environment()


@pytest.fixture
def program():
    """The path of the command."""
    return PROGRAM


@pytest.fixture(scope="session")
def embedder_url():
    """The base URL of a real embedding server."""
    with embedder.serving() as url:
        yield url

"""A gateway and its shards as real processes on loopback, each on ports of its own."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request

import httpx
import pinecone
import pytest
from attacking import target as target_
from crashing import warm
from issuing import entries, folders
from replicated import making
from services import embedder, loopback, proxy, reranker

KEY = "integration-key"
TOKEN = "integration-token"
START_SECONDS = 30


class Process:
    """One of our programs; its log is in a file."""

    def __init__(self, module, folder, env):
        self.metrics = env["VECTORFLEET_METRICS_PORT"]
        self._command = [sys.executable, "-m", module]
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("VECTORFLEET_")}
        self._env |= {name: str(value) for name, value in env.items()}
        self._log = folder / f"{module}-{self.metrics}.log"
        self.process = None

    def start(self):
        """Start it, and do not wait."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, env=self._env, stderr=log, stdout=log)

    def ready(self):
        """Wait until it says that it is ready."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"it ended by itself:\n{self.log}"
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/ready", timeout=5),
            ):
                return
            time.sleep(0.02)
        raise AssertionError(f"not ready after {START_SECONDS} s:\n{self.log}")

    def kill(self):
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """End it with SIGTERM; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def scrape(self):
        """Return its metrics as text."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5) as answer:
            return answer.read().decode()

    @property
    def log(self):
        """What it has logged."""
        return self._log.read_text()


class Fleet:
    """An index: its shards and one gateway."""

    def __init__(
        self, folder, *, shards=2, serving=None, schema=None, tuning=None, named=None, certified=False, **env
    ):
        self.folder = folder
        self.certificates = folders.Folders(folder) if certified else None
        self.issue()
        self.port = loopback.free_port()
        self.keys = folder / "keys"
        self.keys.mkdir()
        (self.keys / "api-key").write_text(KEY)
        (folder / "token").write_text(TOKEN)
        self.ports = [loopback.free_port() for _ in range(shards)]
        # The shards have names, so that the hosts file is what finds them.
        (folder / "hosts").write_text("".join(f"127.0.0.1 s{number}.test\n" for number in range(shards)))
        addresses = [
            {"number": number, "replicas": [f"s{number}.test:{port}"]}
            for number, port in enumerate(self.ports)
        ]
        generation = {"dimensions": 4, "metric": "cosine", "shards": addresses} | (serving or {})
        settled = {"index": "test", "serving": generation, "schema": schema or {}} | (named or {})
        (folder / "index.json").write_text(json.dumps(settled))
        self.tuning = tuning or {}
        self.shards = [self._shard(number, port) for number, port in enumerate(self.ports)]
        self.gateway = self._gateway(env)

    def issue(self, **options):
        """Write new certificates of all roles, where the processes show such."""
        for role in ("shard", "gateway") if self.certificates else ():
            party = self.certificates.party(role, "test", "default")
            self.certificates.write(f"{role}-tls", party, **options)

    def _common(self, role):
        proof = {"VECTORFLEET_INTERNAL_TOKEN_FILE": self.folder / "token"}
        if self.certificates:
            proof = {"VECTORFLEET_INTERNAL_TLS_DIR": self.folder / f"{role}-tls"}
        return proof | {
            "VECTORFLEET_CONFIG": self.folder / "index.json",
            "VECTORFLEET_METRICS_PORT": loopback.free_port(),
        }

    def _shard(self, number, port):
        data = self.folder / f"data-{number}"
        data.mkdir()
        own = {"SHARD": number, "DATA_DIR": data, "GRPC_PORT": port, "POD_NAME": f"s{number}"}
        own |= {f"TUNING__{name.upper()}": value for name, value in self.tuning.items()}
        env = self._common("shard") | {f"VECTORFLEET_{name}": value for name, value in own.items()}
        return Process("vectorfleet_shardnode", self.folder, env)

    def _gateway(self, env):
        own = {"HTTP_PORT": self.port, "API_KEYS_DIR": self.keys, "HOSTS_FILE": self.folder / "hosts"} | env
        self.port = own["HTTP_PORT"]
        return Process(
            "vectorfleet_gateway",
            self.folder,
            self._common("gateway") | {f"VECTORFLEET_{name}": value for name, value in own.items()},
        )

    @property
    def host(self):
        """The gateway's URL."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, alone=False):
        """Start all, or the gateway alone, and wait for each."""
        wanted = [self.gateway] if alone else [*self.shards, self.gateway]
        for process in wanted:
            process.start()
        for process in wanted:
            process.ready()
        return self

    def close(self):
        """End what still runs."""
        for process in (*self.shards, self.gateway):
            if process.process is not None and process.process.poll() is None:
                process.kill()

    def http(self):
        """Return a plain HTTP client that has the key."""
        return httpx.Client(base_url=self.host, headers={"Api-Key": KEY}, timeout=30)

    def index(self, **options):
        """Return the official client's index."""
        return pinecone.Pinecone(api_key=KEY).Index(host=self.host, **options)

    def index_asyncio(self):
        """Return the official asyncio client's index, a context manager."""
        return pinecone.PineconeAsyncio(api_key=KEY).IndexAsyncio(host=self.host)


def pytest_collection_modifyitems(items):
    """Give the tests of an API's operations an id each, as they have a name each.

    schemathesis names them once they are made, so all of a function have the function's id. Of tests with one
    id pytest-xdist runs the first alone.
    """
    for item in items:
        if not item.nodeid.endswith(item.name):
            item._id = item.parent.id.child(item.name)


@pytest.fixture(scope="module")
def make_fleet(tmp_path_factory):
    """Make fleets that end with the module: shards, what they serve, schema, bounds, services, settings.

    They are started, unless told otherwise; `alone` leaves the shards away.
    """
    fleets = []

    def make(*, start=True, alone=False, **options):
        fleets.append(Fleet(pathlib.Path(tmp_path_factory.mktemp("fleet")), **options))
        return fleets[-1].start(alone=alone) if start else fleets[-1]

    yield make
    for fleet in fleets:
        fleet.close()


@pytest.fixture(scope="module")
def fleet(make_fleet):
    """Two shards of four dimensions under cosine, and a gateway."""
    return make_fleet()


@pytest.fixture
def index(fleet):
    """The official client on an empty index."""
    index = fleet.index()
    for namespace in index.describe_index_stats().namespaces:
        index.delete(delete_all=True, namespace=namespace)
    yield index
    index.close()


@pytest.fixture(scope="module")
def running(make_fleet, tmp_path_factory):
    """A gateway with an admin's, a reader's and a tenant's key, and one shard."""
    temporary = tmp_path_factory.mktemp("tmp")
    fleet = make_fleet(start=False, shards=1)
    fleet.gateway._env["TMPDIR"] = str(temporary)
    (fleet.keys / "reader").write_bytes(entries.entry(target_.READER, role="read"))
    (fleet.keys / "tenant").write_bytes(entries.entry(target_.TENANT, role="write", namespaces=["tenant"]))
    return target_.Target(fleet.start(), temporary)


@pytest.fixture
def target(running):
    """The same, with one row."""
    for namespace in running.ask("GET", "/namespaces")[1]["namespaces"]:
        running.ask("POST", "/vectors/delete", {"deleteAll": True, "namespace": namespace["name"]})
    assert running.ask("POST", "/vectors/upsert", {"vectors": [target_.ROW]})[0] == 200
    return running


@pytest.fixture(scope="module")
def warm_server():
    """The process that starts replicas in milliseconds."""
    made = warm.Server()
    yield made
    made.close()


@pytest.fixture
def make_replicas(warm_server, tmp_path):
    """Make the replicas of one shard, the first of which is its primary; see `replicated.gateways`."""
    with making.groups(warm_server, tmp_path) as make:
        yield make


@pytest.fixture(scope="session")
def embedder_url():
    """The base URL of a real embedding server."""
    with embedder.serving() as url:
        yield url


@pytest.fixture(scope="module")
def fleet_of_texts(make_fleet, embedder_url):
    """Two shards with a field of text, an embedder, a reranker, and a cache of answers."""
    embedding = {"url": embedder_url, "model": "e5", "field": "about", "timeoutSeconds": 20}
    with reranker.serving() as url:
        yield make_fleet(
            serving={"dimensions": embedder.DIMENSIONS},
            schema={"text": ["about"]},
            named={
                "embedder": embedding | embedder.ROLES,
                "reranker": {"url": url, "model": reranker.MODEL},
                "cache": {},
            },
        )


@pytest.fixture(scope="module")
def embedder_proxy(embedder_url):
    """A proxy before the embedding server, and its own base URL."""
    with proxy.before(embedder_url) as made:
        yield made

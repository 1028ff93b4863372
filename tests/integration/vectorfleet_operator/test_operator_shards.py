"""The port `Shards` over gRPC, against a real shard process that runs the operator's own configuration."""

import asyncio
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from issuing import folders
from replicated import proxy
from services import loopback

from vectorfleet_operator import replication
from vectorfleet_operator.adapters import shards
from vectorfleet_operator.api import parse
from vectorfleet_operator.desired import config_map, inputs, names

START_SECONDS = 60


def write_configuration(folder):
    """Write what the operator's ConfigMap and Secret would mount."""
    manifest = {
        "metadata": {"name": "products", "namespace": "shop", "uid": "1"},
        "spec": {"model": {"name": "m", "dimensions": 3}, "shards": 2},
    }
    given = inputs.Inputs(parse.parse_index(manifest), inputs.Credentials(None, None), "image:1")
    [text] = config_map.build_config_map(given)["data"].values()
    (folder / "index.json").write_text(text)


def shown_by(certificates, role="operator", index="products", **options):
    """Return what the operator would show, were it of this role and index, as text."""
    party = certificates.party(role, index)
    folder = certificates.write(f"{role}-{index}-shown", party, **options)
    return json.dumps({name: (folder / name).read_text() for name in ("tls.crt", "tls.key", "ca.crt")})


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """A running shard 1: the file that says where its name leads to, its address, and who signs."""
    with running(tmp_path_factory.mktemp("shard"), "ready") as found:
        yield found


@pytest.fixture(scope="module")
def replica(tmp_path_factory):
    """The same as one of several replicas, which nobody has named a member yet."""
    with running(tmp_path_factory.mktemp("replica"), "health", REPLICATED="true") as found:
        yield found


@contextlib.contextmanager
def running(folder, probe, **more):
    """Run shard 1 in a folder; it is there once its `probe` says so."""
    write_configuration(folder)
    certificates = folders.Folders(folder)
    certificates.write("tls", certificates.party("shard"))
    grpc_port, metrics_port = loopback.free_port(), loopback.free_port()
    variables = {
        "CONFIG": str(folder / "index.json"), "INTERNAL_TLS_DIR": str(folder / "tls"), "SHARD": "1",
        "DATA_DIR": str(folder / "data"), "GRPC_PORT": str(grpc_port), "METRICS_PORT": str(metrics_port),
        "POD_NAME": "products-g1-s1-0", "HOST": "127.0.0.1",
    } | more  # fmt: skip
    program = pathlib.Path(sys.executable).with_name("vectorfleet-shardnode")
    environment = os.environ | {f"VECTORFLEET_{name}": value for name, value in variables.items()}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program], env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(process, f"http://127.0.0.1:{metrics_port}/{probe}", folder / "log")
        host = names.replica_address(names.ports.Key("shop", "products"), 1, 0).partition(":")[0]
        (folder / "hosts").write_text(f"# names of pods\n127.0.0.1 localhost {host}\n")
        yield folder / "hosts", f"{host}:{grpc_port}", certificates
    finally:
        process.terminate()
        process.wait(15)


def wait_until(process, probe, log):
    """Wait until the shard's probe is well."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(probe, timeout=5).close()
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@contextlib.asynccontextmanager
async def connected(hosts_file):
    """Return the adapter, closed afterwards."""
    nodes = shards.GrpcShards(hosts_file)
    try:
        yield nodes
    finally:
        await nodes.close()


async def test_a_shard_reports(hosts):
    """Under the name that the operator gives it, an empty shard says that it is empty and can take writes."""
    hosts_file, address, certificates = hosts
    async with connected(hosts_file) as nodes:
        report = await nodes.report(address, shown_by(certificates))

    assert (report.pod, report.rows, report.problem) == ("products-g1-s1-0", 0, "")
    assert report.version


async def test_a_replica_tells_its_state(replica):
    """The part in the shard of one that nobody has named a member yet, as its report has it."""
    hosts_file, address, certificates = replica
    async with connected(hosts_file) as nodes:
        deadline, state = time.monotonic() + START_SECONDS, None
        while state is None and time.monotonic() < deadline:  # a handshake may take longer than an answer
            state = await nodes.state(address, shown_by(certificates))
        report = await nodes.report(address, shown_by(certificates))
        away = await nodes.state(f"127.0.0.1:{loopback.free_port()}", shown_by(certificates))

    assert (state.name, state.role) == ("products-g1-s1-0", replication.Role.NEW)
    assert (state.disk, state.last) == (report.replica.disk, report.replica.last)
    assert away is None


@pytest.mark.parametrize(
    ("identity", "told", "reason"),
    [
        ("/proc/self/mem", replication.Cause.DISK_FAILED, "identity.json: Input/output error (EIO)"),
        ('{"version": 99}', replication.Cause.UNKNOWN_FORMAT, "has format 99; this program reads format 1"),
        ("{", None, "can't be understood"),
    ],
)
async def test_a_replica_that_serves_nothing_tells_why(tmp_path, identity, told, reason):
    """The kernel refuses to read a file, a newer program wrote it, or it is damaged, and that alone."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data/identity.json"
    if identity.startswith("/"):
        path.symlink_to(identity)
    else:
        path.write_text(identity)
    with running(tmp_path, "health", REPLICATED="true") as (hosts_file, address, certificates):
        async with connected(hosts_file) as nodes:
            deadline, found = time.monotonic() + START_SECONDS, None
            while found is None and time.monotonic() < deadline:
                found = await nodes.state(address, shown_by(certificates))

    assert reason in found.reason
    if told is None:
        assert found == replication.Damage("", found.reason)
    else:
        assert found == replication.Inability(told, found.reason)


@pytest.fixture(params=[0.15, 0.25])
def slow_link(request, replica, tmp_path):
    """The same replica behind a link that takes so many seconds for each direction.

    A look has 0.8. One link's handshake ends within the first, the other's within the second.
    """
    _, address, certificates = replica
    host, _, port = address.partition(":")
    network = proxy.Network()
    link = network.add("operator", ("127.0.0.2", 0), ("127.0.0.1", int(port)))
    link.delay = request.param
    (tmp_path / "hosts").write_text(f"127.0.0.2 {host}\n")
    yield tmp_path / "hosts", f"{host}:{link.port}", certificates
    network.close()


async def test_a_slow_link_is_connected_over_several_looks(slow_link):
    """The handshake takes longer than any look may: it goes on between them, and the answers come in time."""
    hosts_file, address, certificates = slow_link
    shown = shown_by(certificates)
    async with connected(hosts_file) as nodes:
        deadline, looks = time.monotonic() + START_SECONDS, [await nodes.state(address, shown)]
        while looks[-1] is None and time.monotonic() < deadline:
            looks.append(await nodes.state(address, shown))

    assert looks[0] is None, "the link is not slow enough to show anything"
    assert looks[-1] is not None


async def test_an_address_that_never_answers_is_looked_up_anew(replica, tmp_path):
    """A pod's old address leads nowhere: its new one is found though the old one never refused."""
    _, address, certificates = replica
    host, _, port = address.partition(":")
    (tmp_path / "hosts").write_text(f"127.0.0.2 {host}\n")
    writers = []
    silent = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.2", int(port))
    shown = shown_by(certificates)
    async with connected(tmp_path / "hosts") as nodes:
        assert await nodes.state(address, shown) is None
        (tmp_path / "hosts").write_text(f"127.0.0.1 {host}\n")
        deadline, state = time.monotonic() + START_SECONDS, None
        while state is None and time.monotonic() < deadline:
            state = await nodes.state(address, shown)
    for writer in writers:
        writer.close()
    silent.close()
    assert state is not None


async def test_another_certificate_gets_no_report(hosts):
    """Neither a replica's, nor an operator's of another index or authority; a renewed one does."""
    hosts_file, address, certificates = hosts
    stranger = certificates.create()
    others = (
        shown_by(certificates, role="shard"),
        shown_by(certificates, index="other"),
        shown_by(certificates, by=stranger, trust=certificates.trusted.certificate),
        shown_by(certificates, by=stranger),
        json.dumps({"tls.crt": "x", "tls.key": "y", "ca.crt": "z"}),
    )
    async with connected(hosts_file) as nodes:
        for other in others:
            assert await nodes.report(address, other) is None
        assert (await nodes.report(address, shown_by(certificates))) is not None
        assert (await nodes.report(address, shown_by(certificates))) is not None


async def test_a_shard_that_is_away_gets_no_report(hosts):
    """Neither a refused connection nor an unknown name is an error."""
    shown = shown_by(hosts[2])
    async with connected(None) as nodes:
        assert await nodes.report(f"127.0.0.1:{loopback.free_port()}", shown) is None
        assert await nodes.report("nobody.invalid:7400", shown) is None


async def test_a_report_that_fails_cuts_off_no_other_call(hosts):
    """A replica that stands still: its report times out; another call waits on and ends by its own time."""
    shown = shown_by(hosts[2])
    writers = []
    server = await asyncio.start_server(lambda reader, writer: writers.append(writer), "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    configuration = replication.Configuration(1, "a", (replication.Member("a", "d", address),), 1)
    async with connected(None) as nodes:
        told = asyncio.create_task(nodes.configure(address, shown, configuration, ()))
        assert await nodes.report(address, shown) is None
        assert not told.done()
        assert await told is None
    for writer in writers:
        writer.close()
    server.close()

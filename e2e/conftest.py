"""What every end-to-end test stands on: the cluster, the images, a namespace for each file.

The cluster is brought up once. `KEEP=1` leaves it up afterwards and takes one that is up.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from cluster import buildah, machine, processes, publish, s3, toolchain
from harness import diagnosis, handle, history, index, install, load, shard, stopwatch
from images import base, products

HERE = Path(__file__).parent
TEST_SECONDS = 600
laps: list[stopwatch.Lap] = []
outcomes: list[history.Outcome] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and bound what each does itself."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            # The fixtures have bounds of their own: a cold build alone takes longer.
            item.add_marker(pytest.mark.timeout(TEST_SECONDS, func_only=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the cluster looked like when a test failed, before anything is taken down."""
    report = yield
    held = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and report.when == "call" and held is not None:
        report.sections += diagnosis.sections(held)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the times of the stories' steps."""
    if laps:
        terminalreporter.section("times")
        for line in stopwatch.table(laps):
            terminalreporter.write_line(line)
    if outcomes:
        terminalreporter.section("what clients noticed")
        for line in history.table(outcomes):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[handle.Handle]:
    """The running cluster; its progress is shown as it comes, since a cold build takes minutes."""
    keep = os.environ.get("KEEP") == "1"
    with contextlib.ExitStack() as held:
        with _shown(request):
            held.enter_context(machine.session())
            if not (keep and _is_up()):
                subprocess.run([handle.COMMAND, "up", "--within-tests"], check=True)
        where = machine.claimed()
        assert where is not None
        yield handle.Handle(where, toolchain.build_all(where.cache))
        if not keep:
            with _shown(request):
                subprocess.run([handle.COMMAND, "down", "--within-tests"], check=True)


def _is_up() -> bool:
    where = machine.claimed()
    return where is not None and all(processes.alive(where, name) for name in processes.names(where))


def _shown(request: pytest.FixtureRequest) -> contextlib.AbstractContextManager[None]:
    """What is printed within is seen at once, not kept for the case that a test fails."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    found: contextlib.AbstractContextManager[None] = capture.global_and_fixture_disabled()
    return found


@pytest.fixture(scope="session")
def python_image(cluster: handle.Handle) -> str:
    """An image with Python and nothing of ours, as manifests name it."""
    store = buildah.Store(cluster.where.cache)
    return publish.push(cluster.where, base.ensure(store, base.RUNTIME))


@pytest.fixture(scope="session")
def product_images(cluster: handle.Handle) -> dict[str, str]:
    """Both planes' images of this checkout, pushed: `operator` and `data-plane` → name for manifests."""
    store = buildah.Store(cluster.where.cache)
    built = {name: products.build(store, product) for name, product in products.PRODUCTS.items()}
    return {name: publish.push(cluster.where, tag) for name, tag in built.items()}


@pytest.fixture(scope="session")
def second_image(cluster: handle.Handle, product_images: dict[str, str]) -> str:
    """The data plane's image once more under another tag, for rolling from one to the other."""
    reference = product_images["data-plane"].rpartition(":")[0] + ":second"
    buildah.Store(cluster.where.cache).push(f"localhost/{product_images['data-plane']}", reference)
    return reference


@pytest.fixture(scope="module")
def namespace(request: pytest.FixtureRequest, cluster: handle.Handle) -> Iterator[str]:
    """A namespace of the test file's own, gone after it."""
    name = re.sub(r"[^a-z0-9]+", "-", request.path.stem.removeprefix("test_"))
    name = f"e2e-{name}"
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found")
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def s3_account(cluster: handle.Handle) -> s3.Account:
    """The S3 server beside the cluster; its endpoint as the host sees it."""
    return s3.account(cluster.where)


@pytest.fixture
def timed(request: pytest.FixtureRequest) -> Iterator[stopwatch.Stopwatch]:
    """A context manager that puts a step's time into the table behind the tests."""
    watch = stopwatch.Stopwatch(request.node.nodeid)
    yield watch
    laps.extend(watch.laps)


@pytest.fixture(scope="session")
def operator(cluster: handle.Handle, product_images: dict[str, str]) -> Iterator[handle.Handle]:
    """The cluster with the chart installed; every VectorIndex is deleted before the chart goes."""
    install.uninstall(cluster)
    install.install(cluster, product_images)
    yield cluster
    cluster.kubectl("delete", "vectorindexes", "--all", "--all-namespaces", "--timeout=60s")
    install.uninstall(cluster)


@pytest.fixture(scope="module")
def small(request: pytest.FixtureRequest, operator: handle.Handle, namespace: str) -> index.Index:
    """A small index of 2 shards, Ready, in the test file's namespace."""
    operator.kubectl.apply(index.build(namespace, "small"))
    made = index.Index(operator, namespace, "small")
    made.wait_until_ready()
    return made


@pytest.fixture(scope="session")
def replicated(operator: handle.Handle) -> Iterator[shard.Shard]:
    """An index of one shard with three replicas on three nodes, for all stories of replication."""
    namespace = "e2e-replicas"
    operator.kubectl("delete", "namespace", namespace, "--ignore-not-found")
    operator.kubectl("create", "namespace", namespace)
    operator.kubectl.apply(shard.build(namespace, "three"))
    yield shard.Shard(index.Index(operator, namespace, "three"))
    operator.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def three(replicated: shard.Shard) -> shard.Shard:
    """The shard of three replicas, whole, with one on each node."""
    replicated.scale(3)
    replicated.wait_until_whole()
    replicated.spread()
    return replicated


@pytest.fixture
def recorded(request: pytest.FixtureRequest, replicated: shard.Shard) -> load.Recorder:
    """Clients at work around an event; afterwards none has failed, and nothing acknowledged is missing."""

    @contextlib.contextmanager
    def run(story: str) -> Iterator[load.Load]:
        clients = load.Load(replicated.of, request.node.name.removeprefix("test_"))
        with clients.running():
            yield clients
        outcomes.append(history.summarise(story, clients.history, clients.happened))
        assert clients.history.failed_writes() == []
        assert clients.history.failed_reads() == []
        clients.expect_everything()

    return run

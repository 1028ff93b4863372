"""The operator's own process against a real API server: killed wherever it is, and left alone."""

import asyncio
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from apiserver import passes, serving
from services import loopback

from vectorfleet_operator import ports

SECONDS = 90
PROGRAM = pathlib.Path(sys.executable).with_name("vectorfleet-operator")
STAGES = (1, 3, 6, 9, 12, 15)
"""Objects of the index that there are when the operator is killed, one life after the other."""


class Operator:
    """One process of the operator after the other."""

    def __init__(self, folder, address):
        self._log = folder / "operator.log"
        port = loopback.free_port()
        self._environment = os.environ | {
            "KUBECONFIG": str(serving.write_kubeconfig(folder, address)),
            "VECTORFLEET_IMAGE": passes.IMAGE,
            "VECTORFLEET_WATCH_NAMESPACES": "default",
            "VECTORFLEET_METRICS_PORT": str(port),
        }
        self._process = None

    def start(self):
        """Start it."""
        with self._log.open("ab") as log:
            command = [PROGRAM, "run"]
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)

    @property
    def runs(self):
        """Whether it is there."""
        return self._process.poll() is None

    def end(self, number=signal.SIGKILL):
        """End it."""
        if self._process is not None and self.runs:
            self._process.send_signal(number)
            self._process.wait(30)


@pytest.fixture
async def operator(server, address, tmp_path):
    """The operator's process, not started; at the end it lets the index go, and ends."""
    made = Operator(tmp_path, address)
    yield made
    index = await server.get(ports.VECTOR_INDEX, "default", "products")
    if index is not None:
        if not made.runs:
            made.start()
        await server.delete(index)
        await until(lambda: _is_gone(server))
    made.end(signal.SIGTERM)


async def _is_gone(server):
    return await server.get(ports.VECTOR_INDEX, "default", "products") is None


async def until(ask):
    """Return the first answer that is true."""
    deadline = time.monotonic() + SECONDS
    while not (answer := await ask()):
        assert time.monotonic() < deadline, f"not reached within {SECONDS} s"
        await asyncio.sleep(0.02)
    return answer


async def owned(server):
    """Return the objects that belong to the index, by kind and name."""
    listed = [
        await server.list(kind, "default", {"vectorfleet.io/index": "products"}) for kind in passes.SERVED
    ]
    return {(one["kind"], one["metadata"]["name"]): one for kind in listed for one in kind}


def asked(objects):
    """Return what is asked of each object, apart from what is drawn: keys, certificates and their digests."""
    return {
        ref: sorted(one.get("data", {}))
        if ref[0] in ("Secret", "ConfigMap")
        else _without_digests(one["spec"])
        for ref, one in objects.items()
        if "spec" in one or "data" in one
    }


def _without_digests(spec):
    metadata = spec.get("template", {}).get("metadata", {})
    metadata.pop("annotations", None)
    return {key: value for key, value in spec.items() if key not in ("clusterIP", "clusterIPs", "ports")}


async def test_r20_an_operator_process_that_is_killed_again_and_again_ends_in_the_same_state(
    server, operator
):
    """Each life ends with kill -9 some objects further on; the last comes to what an undisturbed one does."""
    await server.apply(passes.INDEX)
    operator.start()
    whole = await until(lambda: _settled(server))
    await server.delete(await server.get(ports.VECTOR_INDEX, "default", "products"))
    await until(lambda: _is_gone(server))
    operator.end()
    for one in (await owned(server)).values():
        await server.delete(one)

    await server.apply(passes.INDEX)
    for stage in STAGES:
        operator.start()
        await until(lambda: _has(server, stage))  # noqa: B023
        operator.end()
    operator.start()
    again = await until(lambda: _settled(server))

    assert asked(again) == asked(whole)


async def _has(server, count):
    return len(await owned(server)) >= count


async def _settled(server):
    """Return the objects once the operator has said of the newest spec that nothing is left to be made."""
    index = await server.get(ports.VECTOR_INDEX, "default", "products")
    status = (index or {}).get("status") or {}
    if status.get("observedGeneration") != index["metadata"]["generation"]:
        return None
    told = {one["type"]: one["reason"] for one in status["conditions"]}
    return await owned(server) if told.get("Reconciling") == "RollingOut" else None


async def test_r22_an_api_server_that_stands_still_costs_nothing(server, served, operator):
    """The operator's process outlives it, takes no object for gone, and makes what was asked for after it."""
    await server.apply(passes.INDEX)
    operator.start()
    before = await until(lambda: _settled(server))
    os.kill(served.process.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(12)  # longer than any call waits for an answer
    finally:
        os.kill(served.process.pid, signal.SIGCONT)
    assert operator.runs
    changed = {"spec": passes.INDEX["spec"] | {"podLabels": {"team": "other"}}}
    await server.apply(passes.INDEX | changed)

    async def is_changed():
        found = await server.get(ports.STATEFUL_SET, "default", "products-g1-s1")
        return found["spec"]["template"]["metadata"]["labels"].get("team") == "other"

    await until(is_changed)
    after = await owned(server)
    assert {ref: one["metadata"]["uid"] for ref, one in after.items()} == {
        ref: one["metadata"]["uid"] for ref, one in before.items()
    }

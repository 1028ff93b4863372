"""The operator on this machine: the same passes over each VectorIndex, and processes in place of pods.

One supervisor serves a state directory. Whoever wants something of it leaves a request in the inbox; what
came of it is read from the objects' files. It may be killed at any moment: the processes serve on, and the
next supervisor finds them again.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import datetime
import logging
import pathlib
import signal
import sys

import vectorfleet_runtime.listener
import vectorfleet_runtime.logs

from . import attend, errors, lookout, ports, publish, reconcile, status
from .adapters import shards, system
from .adapters.local import cluster, complaints, folder, inbox, lock, store, workloads
from .api import parse
from .control import embedded
from .desired import names

_LOG = logging.getLogger(__name__)
_INBOX_SECONDS = 0.1
_WAKING = frozenset(
    kind.kind
    for kind in (
        ports.STATEFUL_SET,
        ports.DEPLOYMENT,
        ports.SERVICE,
        ports.CONFIG_MAP,
        ports.SECRET,
        ports.POD,
    )
)
IMAGE = "local"


class Supervisor:
    """Keeps the objects of one state directory true.

    Args:
        place: the state directory.
    """

    def __init__(self, place: folder.Folder) -> None:
        self._place = place
        self._board = attend.Board()
        self._objects = store.Store(place.objects, self._changed)
        self._objects.collect()
        self._doubt()
        self._workloads = workloads.Workloads(place, self._objects)
        self._control = embedded.Embedded(place, self._objects, self._workloads.host)
        self._complaints = complaints.Complaints()
        self._attended: dict[ports.Key, asyncio.Task[None]] = {}

    def _doubt(self) -> None:
        """Let no status of an earlier supervisor pass for what is: processes may have ended meanwhile."""
        for one in self._objects.of_kind(ports.VECTOR_INDEX):
            doubted = status.doubted(parse.parse_status(one), datetime.datetime.now(datetime.UTC))
            self._objects.set_status(store.place_of(one), publish.to_json(doubted))

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; processes are left to serve on."""
        nodes = shards.GrpcShards(self._place.hosts)
        world = ports.Ports(
            cluster.LocalCluster(self._objects), nodes, system.SystemClock(), system.SystemEntropy()
        )
        watch = lookout.Lookout(nodes, world.clock)
        attendant = attend.build_attendant(reconcile.Operator(world, watch, IMAGE))
        keep = asyncio.create_task(self._workloads.run())
        listener = self._listen()
        try:
            while not stop.is_set():
                with self._complaints.apart("a request can't be carried out", "inbox"):
                    self._read_inbox()
                self._attend(attendant)
                await self._control.settle()
                if keep.done():
                    keep.result()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _INBOX_SECONDS)
        finally:
            listener.close()
            await self._control.close()
            for task in (keep, *self._attended.values()):
                task.cancel()
            await asyncio.gather(keep, *self._attended.values(), return_exceptions=True)
            await nodes.close()

    def _listen(self) -> vectorfleet_runtime.listener.Listener:
        alive = vectorfleet_runtime.listener.loop_probe(asyncio.get_running_loop())
        return vectorfleet_runtime.listener.Listener(
            self._workloads.host, names.METRICS_PORT, alive, lambda: ""
        )

    def _read_inbox(self) -> None:
        inbox.carry_out(self._place, self._carry_out)

    def _carry_out(self, request: inbox.Request) -> None:
        match request:
            case inbox.Apply(manifest):
                self._objects.apply(manifest)
            case inbox.Delete(place):
                self._objects.delete(place)

    def _attend(self, attendant: attend.Attendant) -> None:
        for key, task in list(self._attended.items()):
            if task.done():  # its loop never ends by itself
                _LOG.error("an index was left alone; it is attended to anew", extra={"index": key.name})
                del self._attended[key]
        there = {_key(one) for one in self._objects.of_kind(ports.VECTOR_INDEX)}
        for key in there - set(self._attended):
            self._attended[key] = asyncio.create_task(attend.attend(key, attendant, self._board))
        for key in set(self._attended) - there:
            self._attended.pop(key).cancel()

    def _changed(self, manifest: ports.Manifest) -> None:
        metadata = manifest["metadata"]
        if manifest["kind"] == ports.VECTOR_INDEX.kind:
            self._board.wake_on_change(_key(manifest), metadata)
        elif manifest["kind"] in _WAKING:
            index = metadata.get("labels", {}).get(names.LABEL_INDEX, "")
            self._board.wake(ports.Key(metadata["namespace"], index))


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the supervisor is told."""

    place: folder.Folder
    log_level: str
    log_format: str
    lock: int | None = None
    """The descriptor of the lock, where who started the supervisor has taken it."""


async def serve(given: Settings) -> None:
    """Serve a state directory until SIGTERM or SIGINT.

    Raises:
        errors.Rejected: another supervisor serves it, or no addresses are to be had.
    """
    vectorfleet_runtime.logs.configure(given.log_level, as_json=given.log_format == "json")
    given.place.create()
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with lock.hold(given.place, given.lock):
        _LOG.info("the supervisor starts", extra={"state_dir": str(given.place.root)})
        await Supervisor(given.place).run(stop)
    _LOG.info("the supervisor stops; processes serve on")


def main() -> None:
    """Run a supervisor: `python -m vectorfleet_operator.local --state-dir D`."""
    parser = argparse.ArgumentParser(description="The operator on this machine.")
    parser.add_argument("--state-dir", type=pathlib.Path, required=True)
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--log-format", default="json", choices=("json", "text"))
    parser.add_argument("--lock", type=int, help="descriptor of the lock that was taken for it")
    arguments = parser.parse_args()
    place = folder.Folder(arguments.state_dir.resolve())
    try:
        asyncio.run(serve(Settings(place, arguments.log_level, arguments.log_format, arguments.lock)))
    except errors.OperatorError as error:
        sys.exit(f"vectorfleet: {error}")


def _key(manifest: ports.Manifest) -> ports.Key:
    return ports.Key(manifest["metadata"]["namespace"], manifest["metadata"]["name"])


if __name__ == "__main__":
    main()

"""The shard node's process: reads its settings, opens the shard, serves it until SIGTERM.

Exits 0 after a graceful stop, and 2 with one clear line where it lacks what it needs to begin.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable

import pydantic
import pydantic_core
import uvloop

from vectorfleet_runtime import credentials, garbage, listener, logs, parties

from . import errors, failing
from .api import config, shard_pb2
from .limits import meter
from .replication import replica
from .serving import refusing, reporting, server, service
from .settings import Settings

_LOG = logging.getLogger(__name__)
_GRACE = 10.0  # seconds for calls under way


class Unfit(Exception):  # noqa: N818 (it is the process that is unfit)
    """The process lacks what it needs to begin."""


class Readiness:
    """What `/ready` asks: why the shard is not served, empty once it is."""

    def __init__(self) -> None:
        self.ask: Callable[[], str] = lambda: "the log is being replayed"

    def __call__(self) -> str:
        """Return the reason."""
        return self.ask()


def main() -> None:
    """Run the process."""
    try:
        settings = Settings()
        logs.configure(settings.log_level, as_json=settings.log_format == "json")
        index = _read_config(settings)
        own = _find_credentials(settings, index)
    except pydantic.ValidationError as wrong:
        sys.exit(_unfit("; ".join(_setting(error) for error in wrong.errors())))
    except Unfit as unfit:
        sys.exit(_unfit(str(unfit)))
    sys.exit(uvloop.run(serve(settings, index, own)))


def _setting(error: pydantic_core.ErrorDetails) -> str:
    """Name the environment variable of a setting that is wrong or missing, and never its value."""
    return "VECTORFLEET_" + "__".join(map(str, error["loc"])).upper() + ": " + error["msg"].lower()


def _unfit(reason: str) -> int:
    sys.stderr.write("vectorfleet-shardnode can't start: " + " ".join(reason.split()) + "\n")
    return 2


def _find_credentials(settings: Settings, index: config.IndexConfig) -> credentials.Credentials:
    party = parties.Party(parties.Role.SHARD, index.index, index.namespace)
    try:
        return credentials.find(party, settings.internal_tls_dir, settings.internal_token_file)
    except credentials.UnsafeError as unsafe:
        raise Unfit(str(unsafe)) from unsafe


def _read_config(settings: Settings) -> config.IndexConfig:
    try:
        index = config.read(settings.config)
    except (OSError, pydantic.ValidationError) as wrong:
        raise Unfit(f"the index configuration {settings.config} can't be read: {wrong}") from wrong
    if settings.shard >= max(1, len(index.serving.shards)):
        raise Unfit(
            f"the index has {len(index.serving.shards)} shards; VECTORFLEET_SHARD is {settings.shard}"
        )
    return index


async def serve(settings: Settings, index: config.IndexConfig, own: credentials.Credentials) -> int:
    """Open the shard and serve it until SIGTERM or SIGINT; returns the exit status."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    ready = Readiness()
    health = listener.Listener(settings.host, settings.metrics_port, listener.loop_probe(loop), ready)
    try:
        while not stop.is_set():
            served = await _open(settings, index, own)
            await _serve_until(stop, settings, own, served, ready)
    except (errors.WrongIdentityError, errors.NotHereError, OSError) as unfit:
        return _unfit(str(unfit))
    finally:
        health.close()
    _LOG.info("stopped")
    return 0


async def _open(
    settings: Settings, index: config.IndexConfig, own: credentials.Credentials
) -> "service.ShardService | refusing.RefusingService":
    measured = meter.open_meter(settings.memory_bytes)
    reason: errors.ShardError
    try:
        return await service.open_service(
            index,
            settings.shard,
            settings.data_dir,
            settings.tuning,
            service.Machine(settings.search_threads, measured),
            replica.Membership(settings.pod_name, own, settings.hosts_file) if settings.replicated else None,
        )
    except (errors.DataLossError, errors.TooLargeError) as told:
        reason = told
    except OSError as failed:
        unreadable = await asyncio.to_thread(failing.explain, settings.data_dir, failed)
        if unreadable is None:
            raise
        reason = unreadable
    return _refuse(settings, index, measured, reason)


def _refuse(
    settings: Settings, index: config.IndexConfig, measured: meter.Meter, reason: errors.ShardError
) -> refusing.RefusingService:
    _LOG.error("the shard can't be served", extra={"reason": str(reason)})
    named = shard_pb2.ReportReply(
        index=index.index,
        generation=index.serving.name,
        shard=settings.shard,
        version=reporting.program_version(),
        memory_limit_bytes=measured.limit,
        memory_used_bytes=measured.used(),
    )
    if isinstance(reason, errors.TooLargeError):
        named.conditions.add(type="MemoryPressure", reason="TooLarge", message=str(reason))
    folder = settings.data_dir if settings.replicated else None
    return refusing.RefusingService(named, reason, folder, settings.disk_retry_seconds)


async def _serve_until(
    stop: asyncio.Event,
    settings: Settings,
    own: credentials.Credentials,
    served: "service.ShardService | refusing.RefusingService",
    ready: Readiness,
) -> None:
    ending = asyncio.Event()
    listening = server.make_server(served, own, ending, served.replication)
    try:
        port = own.listen(listening, settings.host, settings.grpc_port)
    except credentials.UnsafeError as unsafe:
        raise OSError(str(unsafe)) from unsafe
    except RuntimeError as taken:
        raise OSError(f"{settings.host}:{settings.grpc_port} can't be listened on: {taken}") from taken
    await listening.start()
    ready.ask = lambda: served.refusal
    _LOG.info("serving", extra={"host": settings.host, "port": port, "shard": settings.shard})
    ends = [asyncio.ensure_future(one) for one in (stop.wait(), served.starts_over())]
    with garbage.set_apart():
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for one in ends:
        one.cancel()
    if stop.is_set():
        await served.leave()
    ready.ask = lambda: "stopping" if stop.is_set() else "the shard starts over"
    ending.set()
    await listening.stop(_GRACE)
    await served.close()


if __name__ == "__main__":
    main()

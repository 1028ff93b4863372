"""`vectorfleet-gateway`: the process. It serves until SIGTERM and exits 0, or 2 where it can't start."""

import asyncio
import logging
import signal
import sys

import uvloop

from vectorfleet_runtime import garbage, listener, logs

from . import app, audit, errors, index, server, services, settings, sockets
from .auth import entrance, keys
from .serving import arrivals
from .shards import dialing

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

KEYS_SECONDS = 2.0
"""How often the folder of API keys is looked at."""


def main() -> None:
    """Run the process."""
    try:
        wanted = settings.read()
        logs.configure(wanted.log_level, as_json=wanted.log_format == "json")
        uvloop.run(run(wanted))
        for number in _SIGNALS:  # it ends with 0 even where it is told once more
            signal.signal(number, signal.SIG_IGN)
    except errors.SettingsError as error:
        sys.stderr.write(f"vectorfleet-gateway: {error}\n")
        sys.exit(2)


async def run(wanted: settings.Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SettingsError: something that it needs is missing.
    """
    config = settings.read_config(wanted.config)
    own = settings.find_credentials(wanted, config)
    folder = keys.KeyFolder(wanted.api_keys_dir)
    entering, issuer = entrance.build(folder.ring, wanted.jwt_keys, settings.find_terms(wanted))
    clients = [dialing.dial(shard, own, wanted.hosts_file) for shard in config.serving.shards]
    served = index.Index(config, clients)
    services.attach(served, services.Keys(wanted.embedder_key_file, wanted.reranker_key_file))
    application = app.App(
        served,
        entering,
        app.Bounds(
            wanted.max_body_bytes,
            wanted.request_timeout_seconds,
            wanted.max_requests,
            wanted.max_bodies_bytes,
        ),
        audit.Audit(wanted.audit_log, config.index),
        open_docs=wanted.open_docs,
    )
    following = [asyncio.create_task(_follow(folder))]
    if issuer is not None:
        following.append(asyncio.create_task(issuer.follow()))
    try:
        await _serve(application, wanted)
    finally:
        for task in following:
            task.cancel()
        await served.close()


async def _serve(application: app.App, wanted: settings.Settings) -> None:
    loop, stop, ready = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    shown = settings.find_certificate(wanted.tls_dir)
    address = sockets.Address(wanted.host, wanted.http_port, wanted.request_timeout_seconds)
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)

    def unready() -> str:
        if stop.is_set():
            return "stopping"
        return "" if ready.is_set() else "not listening yet"

    def started() -> None:
        ready.set()
        port = sockets.port_of(claimed)
        _log.info("serving", extra={"host": wanted.host, "port": port, "metrics_port": probes.port})

    claimed = sockets.claim(address)
    try:
        probes = listener.Listener(wanted.host, wanted.metrics_port, listener.loop_probe(loop), unready)
    except OSError as error:
        raise errors.SettingsError(
            f"can't listen on {wanted.host}:{wanted.metrics_port}: {error.strerror or error}"
        ) from error
    try:
        with garbage.set_apart():
            await server.serve(application, arrivals.Accepted(claimed), stop, started, shown)
        _log.info("stopped")
    finally:
        probes.close()


async def _follow(folder: keys.KeyFolder) -> None:
    while True:
        await asyncio.sleep(KEYS_SECONDS)
        folder.refresh()


if __name__ == "__main__":
    main()

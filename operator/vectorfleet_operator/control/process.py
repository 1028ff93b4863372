"""The control plane as a process of its own, by its own ServiceAccount: VectorIndexes of one namespace."""

import asyncio
import logging
import signal

import vectorfleet_runtime.listener
import vectorfleet_runtime.logs
from vectorfleet_runtime import keys

from .. import errors, ports
from ..adapters import kubernetes
from . import app, indexes, listening, settings

_LOG = logging.getLogger(__name__)
MANAGER = "vectorfleet-control-plane"
FOLLOW_SECONDS = 2.0


async def serve(given: settings.Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        errors.OperatorError: no key, no certificate, no Kubernetes, or no address to listen on.
    """
    vectorfleet_runtime.logs.configure(given.log_level, as_json=given.log_format == "json")
    ring, stop = keys.Ring(), asyncio.Event()
    folder = open_keys(given, ring)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    cluster = await kubernetes.connect(MANAGER)
    try:
        served = app.App(build_indexes(given, cluster), ring, given.audit_log)
        await _listen(given, served, folder, stop)
    finally:
        await kubernetes.close(cluster)


def open_keys(given: settings.Settings, ring: keys.Ring) -> keys.Folder:
    """Return the folder of keys that a ring follows.

    Raises:
        errors.Rejected: there is no valid key in it.
    """
    try:
        return keys.Folder(given.api_keys_dir, ring)
    except keys.UnusableError as unusable:
        raise errors.Rejected(f"VECTORFLEET_CONTROL_API_KEYS_DIR: {unusable}") from unusable


def build_indexes(given: settings.Settings, catalog: ports.Catalog) -> indexes.Indexes:
    """Return the indexes of the namespace that the settings name."""

    def host(manifest: ports.Manifest) -> str:
        if given.index_url:
            return given.index_url.replace("{name}", manifest["metadata"]["name"])
        return str((manifest.get("status") or {}).get("endpoint", ""))

    terms = indexes.Terms(given.namespace, given.template(), given.max_indexes)
    return indexes.Indexes(catalog, terms, host)


async def _listen(
    given: settings.Settings, served: app.App, folder: keys.Folder, stop: asyncio.Event
) -> None:
    alive = vectorfleet_runtime.listener.loop_probe(asyncio.get_running_loop())
    public = await listening.listen(served, given.host, given.port, given.tls_dir)
    health = vectorfleet_runtime.listener.Listener(given.host, given.metrics_port, alive, lambda: "")
    _LOG.info("the control plane starts", extra={"url": public.url, "namespace": given.namespace})
    try:
        while not stop.is_set():
            try:
                async with asyncio.timeout(FOLLOW_SECONDS):
                    await stop.wait()
            except TimeoutError:
                folder.refresh()
    finally:
        health.close()
        await public.close()

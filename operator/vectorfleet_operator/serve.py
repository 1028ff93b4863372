"""The process: ports made of real things, the listener for health and metrics, and kopf."""

import asyncio
import logging

import vectorfleet_runtime.listener
import vectorfleet_runtime.logs

from . import attend, errors, handlers, lookout, ports, reconcile, settings
from .adapters import kubernetes, shards, system

_LOG = logging.getLogger(__name__)
_LOOK_AGAIN_SECONDS = 2.0


async def serve(given: settings.Settings) -> None:
    """Run the operator until the process is told to end.

    Raises:
        errors.Transient: there is no Kubernetes to reach.
    """
    vectorfleet_runtime.logs.configure(given.log_level, as_json=given.log_format == "json")
    logging.getLogger("kopf.objects").setLevel(logging.ERROR)  # it tells of each event and of each stop
    cluster, nodes = await kubernetes.connect(), shards.GrpcShards()
    world = ports.Ports(cluster, nodes, system.SystemClock(), system.SystemEntropy(), given.network)

    operator = reconcile.Operator(world, lookout.Lookout(nodes, world.clock), given.image)
    ready = asyncio.Event()
    listener = _listen(given, ready)
    _LOG.info("the operator starts", extra={"image": given.image, "namespaces": given.namespaces or "all"})
    try:
        await _wait_for_definitions(cluster)
        await handlers.operate(attend.build_attendant(operator), given.namespaces, ready)
    finally:
        listener.close()
        await nodes.close()
        await kubernetes.close(cluster)


async def _wait_for_definitions(cluster: kubernetes.KubernetesCluster) -> None:
    """Wait until our kinds are known: a watch of one that is not would never begin.

    A server that does not answer is waited for as well: whoever ended would be started again ever later.
    """
    for kind in (ports.VECTOR_INDEX, ports.VECTOR_SHARD):
        while not await _is_known(cluster, kind):  # noqa: ASYNC110  nobody tells when that changes
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def _is_known(cluster: kubernetes.KubernetesCluster, kind: ports.Kind) -> bool:
    try:
        if await cluster.serves(kind):
            return True
        _LOG.warning("a CustomResourceDefinition is missing: install it", extra={"kind": kind.kind})
    except errors.Transient as error:
        _LOG.warning("the API server does not answer", extra={"reason": str(error)})
    return False


def _listen(given: settings.Settings, ready: asyncio.Event) -> vectorfleet_runtime.listener.Listener:
    alive = vectorfleet_runtime.listener.loop_probe(asyncio.get_running_loop())

    def is_ready() -> str:
        return "" if ready.is_set() else "the watches have not started; the log says what is missing"

    return vectorfleet_runtime.listener.Listener(given.host, given.metrics_port, alive, is_ready)

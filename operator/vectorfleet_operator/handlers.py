"""kopf's side: watches, and one daemon for each VectorIndex. The only module that imports kopf.

Level-based: handlers of events raise a flag and nothing else; the daemon passes over what it finds. There
are no handlers of creation, update or deletion, so kopf keeps no state in annotations. The daemon makes kopf
put a finalizer on each index, which it takes off as soon as the daemon has stopped.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import kopf

from . import attend, ports
from .desired import names

FINALIZER = f"{names.GROUP}/operator"
_STOP_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 3.0
_IDENTITY: Any = "vectorfleet-operator"


class Patience:
    """Pauses between tries to reach the API server, in seconds: without an end, and never long.

    kopf would give up after a minute and end the operator; the kubelet would start it again and again, at
    last after minutes, and shards would wait for it that long after the API server is back.
    """

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1.0, 2.0)
        yield from itertools.repeat(_LONGEST_PAUSE_SECONDS)


def build_registry(attendant: attend.Attendant, board: attend.Board) -> kopf.OperatorRegistry:
    """Return the handlers of the operator."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(_login)

    async def daemon(namespace: str | None, name: str | None, **_: Any) -> None:
        # kopf ends it by cancelling it, be it in the middle of a pass.
        await attend.attend(ports.Key(str(namespace), str(name)), attendant, board)

    async def on_index(meta: kopf.Meta, **_: Any) -> None:
        key = ports.Key(str(meta.namespace), str(meta.name))
        board.wake_on_change(key, meta)

    async def on_shard(meta: kopf.Meta, type: str | None, **_: Any) -> None:  # noqa: A002  kopf's name
        board.wake_on_change(_owner(meta), meta, gone=type == "DELETED")

    async def on_owned(meta: kopf.Meta, **_: Any) -> None:
        board.wake(_owner(meta))

    index, shard = _selector(ports.VECTOR_INDEX), _selector(ports.VECTOR_SHARD)
    kopf.daemon(*index, registry=registry, cancellation_timeout=_STOP_SECONDS)(daemon)
    kopf.on.event(*index, registry=registry)(on_index)
    kopf.on.event(*shard, registry=registry)(on_shard)
    for kind in ports.OWNED:
        kopf.on.event(*_selector(kind), registry=registry, labels={names.LABEL_INDEX: kopf.PRESENT})(on_owned)
    return registry


def build_settings() -> kopf.OperatorSettings:
    """Return kopf's settings: our finalizer, no events of its own, watches of our objects alone."""
    settings = kopf.OperatorSettings()
    settings.persistence.finalizer = FINALIZER
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=names.GROUP)
    settings.posting.enabled = False
    settings.networking.error_backoffs = Patience()
    # Namespaces are given by name or not at all, and our kinds are there before kopf starts; so the
    # operator needs no right to look at namespaces and definitions.
    settings.scanning.disabled = True
    for kind in ports.OWNED:
        settings.watching.label_selectors[_selector(kind)] = names.LABEL_INDEX
    return settings


async def operate(
    attendant: attend.Attendant, namespaces: tuple[str, ...], ready: Any, stop: Any = None
) -> None:
    """Watch and attend until `stop` is set or the process is told to end.

    Args:
        attendant: what is done for each index.
        namespaces: those to watch; all where empty.
        ready: an asyncio.Event that is set once the watches are being started.
        stop: an asyncio.Event that ends it.
    """
    board = attend.Board()
    await kopf.operator(
        registry=build_registry(attendant, board),
        settings=build_settings(),
        # kopf would ask for the name of the user, and in a container the user has none.
        identity=_IDENTITY,
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        ready_flag=ready,
        stop_flag=stop,
    )


async def _login(**given: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**given) or kopf.login_with_kubeconfig(**given)


def _selector(kind: ports.Kind) -> tuple[str, str]:
    return kind.api_version, kind.plural


def _owner(meta: kopf.Meta) -> ports.Key:
    return ports.Key(str(meta.namespace), str(meta.labels.get(names.LABEL_INDEX, "")))

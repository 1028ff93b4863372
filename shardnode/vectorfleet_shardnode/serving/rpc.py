"""One call of the API over gRPC: timed, its errors mapped to statuses, nothing told that was not foreseen."""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

import grpc
import grpc.aio

from .. import errors, metrics

_LOG = logging.getLogger(__name__)
Context = grpc.aio.ServicerContext[Any, Any]


def servicer(
    base: type,
    methods: Iterable[tuple[str, Callable[..., Any]]],
    streams: Iterable[str] = (),
    others: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
) -> object:
    """Return a servicer of the generated class `base` with these methods.

    Args:
        base: what has the methods' names.
        methods: each takes a request and returns its answer.
        streams: names of those that yield several.
        others: handlers that time and answer by themselves.
    """
    handlers: dict[str, Callable[..., Any]] = {
        name: _streaming(name, method) if name in streams else _single(name, method)
        for name, method in methods
    }
    handlers |= others
    return type("Servicer", (base,), {name: staticmethod(handler) for name, handler in handlers.items()})()


def _single(name: str, method: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Context], Awaitable[Any]]:
    async def handle(request: Any, context: Context) -> Any:
        started, status = time.perf_counter(), grpc.StatusCode.OK
        try:
            return await method(request)
        except Exception as failure:  # noqa: BLE001 (each is answered)
            status = status_of(name, failure)
            await _abort(context, status, failure)
        finally:
            metrics.RPC_SECONDS.labels(name, status.name).observe(time.perf_counter() - started)

    return handle


def _streaming(
    name: str, method: Callable[[Any], AsyncIterator[Any]]
) -> Callable[[Any, Context], AsyncIterator[Any]]:
    async def handle(request: Any, context: Context) -> AsyncIterator[Any]:
        started, status = time.perf_counter(), grpc.StatusCode.OK
        try:
            async for reply in method(request):
                yield reply
        except Exception as failure:  # noqa: BLE001 (each is answered)
            status = status_of(name, failure)
            await _abort(context, status, failure)
        finally:
            metrics.RPC_SECONDS.labels(name, status.name).observe(time.perf_counter() - started)

    return handle


def status_of(name: str, failure: Exception) -> grpc.StatusCode:
    """Return the status of a call that failed; what was not foreseen is logged."""
    if isinstance(failure, errors.ShardError):
        return failure.code
    _LOG.error("a call failed", extra={"method": name}, exc_info=failure)
    return grpc.StatusCode.INTERNAL


async def _abort(context: Context, status: grpc.StatusCode, failure: Exception) -> NoReturn:
    """End the call; the caller must not see what was not foreseen."""
    said, more = told(failure)
    await context.abort(status, said, tuple(more.items()))


def told(failure: Exception) -> tuple[str, dict[str, str]]:
    """Return what a caller is told of a failure: its message, and what programs may know."""
    if isinstance(failure, errors.ShardError):
        return str(failure), dict(failure.metadata)
    return "the shard node failed", {}

"""The inbox: what users want of the supervisor, as files, so that nothing asked for is lost with a process.

A request is taken out only once it was carried out; carrying one out twice changes nothing.
"""

import dataclasses
import logging
import os
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from ... import errors, ports
from . import folder, store

_LOG = logging.getLogger(__name__)
_APPLY, _DELETE = "apply", "delete"


@dataclasses.dataclass(frozen=True)
class Apply:
    """Keep this object."""

    manifest: ports.Manifest


@dataclasses.dataclass(frozen=True)
class Delete:
    """Delete the object of that kind, namespace and name, and what belongs to it."""

    place: store.Place


Request = Apply | Delete


def leave(place: folder.Folder, request: Request) -> None:
    """Leave a request; requests of one process are carried out in their order."""
    body: Mapping[str, Any]
    match request:
        case Apply():
            body = {_APPLY: request.manifest}
        case Delete():
            body = {_DELETE: list(request.place)}
    folder.write_json(place.inbox / f"{time.time_ns():020d}-{os.getpid()}.json", body)


def is_empty(place: folder.Folder) -> bool:
    """Return whether everything asked for was carried out."""
    return not any(place.inbox.glob("*.json"))


def carry_out(place: folder.Folder, act: Callable[[Request], None]) -> None:
    """Hand each request to `act`, oldest first, and take it out; one that can't be read is dropped."""
    for path in sorted(place.inbox.glob("*.json")):
        try:
            act(_read(path))
        except (errors.Rejected, KeyError, TypeError, ValueError) as error:
            _LOG.error("dropped a request", extra={"file": path.name, "reason": str(error)})
        path.unlink()


def _read(path: pathlib.Path) -> Request:
    body = folder.read_json(path) or {}
    if _APPLY in body:
        return Apply(body[_APPLY])
    kind, namespace, name = body[_DELETE]
    return Delete((kind, namespace, name))

"""Server-side apply for one field manager, as values: which object an apply leads to. PURE.

Lists are replaced whole, where an API server would merge some of them by key: what a manifest names is how
the list ends up, and one manager names all of it.
"""

import copy
from collections.abc import Mapping
from typing import Any


def applied(before: Mapping[str, Any], last: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object after an apply.

    Args:
        before: the object as it stands.
        last: what this manager's apply before this one named; it gives up what `wanted` does not name.
        wanted: the manifest that is applied.
    """
    now = copy.deepcopy(dict(before))
    _remove(now, last, wanted)
    _merge(now, wanted)
    return now


def without_status(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a manifest without its status, which has a way of its own."""
    return {key: copy.deepcopy(value) for key, value in manifest.items() if key != "status"}


_SERVERS_OWN = frozenset({"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"})


def without_servers_own(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object that was read as a manifest to apply, without what the server writes itself."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _SERVERS_OWN}
    return without_status(manifest) | {"metadata": metadata}


def _remove(now: dict[str, Any], before: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key, value in before.items():
        if key not in wanted:
            now.pop(key, None)
        elif (
            isinstance(value, Mapping) and isinstance(wanted[key], Mapping) and isinstance(now.get(key), dict)
        ):
            _remove(now[key], value, wanted[key])


def _merge(now: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    for key, value in wanted.items():
        if isinstance(value, Mapping) and isinstance(now.get(key), dict):
            _merge(now[key], value)
        else:
            now[key] = copy.deepcopy(value)

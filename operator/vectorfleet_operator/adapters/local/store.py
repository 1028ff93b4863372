"""Objects as files: what an API server would keep, with its numbers.

One process writes: the supervisor. Others read the files, each of which is replaced whole.
"""

import copy
import datetime
import pathlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ... import errors, ports
from .. import fields
from . import folder

Place = tuple[str, str, str]
"""Kind, namespace and name."""
_LAST = "last"
_OBJECT = "object"


class Store:
    """The objects of one state directory.

    Args:
        root: the folder of the objects.
        changed: called with each object that was written or deleted.
    """

    def __init__(self, root: pathlib.Path, changed: Callable[[ports.Manifest], None]) -> None:
        self._root, self._changed = root, changed
        self._objects: dict[Place, dict[str, Any]] = {}
        self._last: dict[Place, dict[str, Any]] = {}
        for path in sorted(root.glob("*/*/*.json")):
            self._load(path)
        versions = (int(one["metadata"]["resourceVersion"]) for one in self._objects.values())
        self._version = max(versions, default=0)

    def apply(self, manifest: ports.Manifest) -> dict[str, Any]:
        """Apply a manifest and return the object."""
        place, wanted = place_of(manifest), fields.without_status(manifest)
        before = self._objects.get(place)
        now = fields.applied(before or _new(), self._last.get(place, {}), wanted)
        self._last[place] = wanted
        self._put(place, before, now)
        return self.find(place) or {}

    def find(self, place: Place) -> dict[str, Any] | None:
        """Return a copy of an object, or None."""
        return copy.deepcopy(self._objects.get(place))

    def of_kind(self, kind: ports.Kind) -> tuple[dict[str, Any], ...]:
        """Return copies of all objects of a kind, by namespace and name."""
        return tuple(copy.deepcopy(self._objects[p]) for p in sorted(self._objects) if p[0] == kind.kind)

    def delete(self, place: Place) -> None:
        """Delete an object, and what belongs to it."""
        found = self._objects.pop(place, None)
        if found is None:
            return
        self._last.pop(place, None)
        _file(self._root, place).unlink(missing_ok=True)
        self._changed(found)
        for owned in [p for p, one in self._objects.items() if _belongs(one, found["metadata"]["uid"])]:
            self.delete(owned)

    def set_status(self, place: Place, status: Mapping[str, Any], version: str | None = None) -> None:
        """Replace an object's status.

        Args:
            place: names the object.
            status: the new one.
            version: where given, the resourceVersion that the object must still have.

        Raises:
            errors.Transient: there is no such object, or it has changed.
        """
        before = self._objects.get(place)
        if before is None:
            raise errors.Transient(f"{place[0]} {place[2]} does not exist")
        if version not in (None, before["metadata"]["resourceVersion"]):
            raise errors.Transient(f"{place[0]} {place[2]} has changed since it was read")
        self._put(place, before, before | {"status": copy.deepcopy(dict(status))})

    def _put(self, place: Place, before: dict[str, Any] | None, now: dict[str, Any]) -> None:
        if before == now:
            return
        self._version += 1
        now["metadata"] = now["metadata"] | {"resourceVersion": str(self._version)}
        if before is None or before.get("spec") != now.get("spec"):
            now["metadata"]["generation"] += 1
        self._objects[place] = now
        folder.write_json(_file(self._root, place), {_OBJECT: now, _LAST: self._last.get(place, {})})
        self._changed(now)

    def _load(self, path: pathlib.Path) -> None:
        saved = folder.read_json(path)
        if saved is not None:
            place = place_of(saved[_OBJECT])
            self._objects[place], self._last[place] = saved[_OBJECT], saved[_LAST]


def read(root: pathlib.Path, kind: ports.Kind) -> tuple[dict[str, Any], ...]:
    """Return the objects of a kind from their files, while a supervisor may be writing them."""
    saved = (folder.read_json(path) for path in sorted((root / kind.kind).glob("*/*.json")))
    return tuple(one[_OBJECT] for one in saved if one is not None)


def place_of(manifest: ports.Manifest) -> Place:
    """Return what names an object."""
    metadata = manifest["metadata"]
    return manifest["kind"], metadata["namespace"], metadata["name"]


def _new() -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"uid": str(uuid.uuid4()), "generation": 0, "creationTimestamp": now}}


def _file(root: pathlib.Path, place: Place) -> pathlib.Path:
    kind, namespace, name = place
    return root / kind / namespace / f"{name}.json"


def _belongs(manifest: ports.Manifest, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in manifest["metadata"].get("ownerReferences", ()))

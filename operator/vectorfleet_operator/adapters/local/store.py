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
    """The objects of one state directory. What it returns is for reading: each change makes an object anew.

    Args:
        root: the folder of the objects.
        changed: called with each object that was written or deleted.

    Raises:
        errors.Rejected: a file was damaged.
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
        """Apply a manifest and return the object.

        Raises:
            OSError: it can't be written; nothing has changed.
        """
        place, wanted = place_of(manifest), fields.without_status(manifest)
        before = self._objects.get(place, _new())
        self._put(place, fields.applied(before, self._last.get(place, {}), wanted), wanted)
        return self._objects[place]

    def find(self, place: Place) -> dict[str, Any] | None:
        """Return an object, or None."""
        return self._objects.get(place)

    def of_kind(self, kind: ports.Kind) -> tuple[dict[str, Any], ...]:
        """Return all objects of a kind, by namespace and name."""
        return tuple(self._objects[place] for place in sorted(self._objects) if place[0] == kind.kind)

    def uids(self) -> frozenset[str]:
        """Return the uid of every object."""
        return frozenset(one["metadata"]["uid"] for one in self._objects.values())

    def terminate(self, place: Place) -> None:
        """Mark an object as one that is to be deleted, once what it stands for is gone.

        Raises:
            OSError: it can't be written; nothing has changed.
        """
        before = self._objects.get(place)
        if before is not None and "deletionTimestamp" not in before["metadata"]:
            metadata = before["metadata"] | {"deletionTimestamp": _now()}
            self._put(place, before | {"metadata": metadata}, self._last[place])

    def delete(self, place: Place, *, orphan: bool = False) -> None:
        """Delete an object, and what belongs to it unless that is orphaned."""
        found = self._objects.get(place)
        if found is None:
            return
        _file(self._root, place).unlink(missing_ok=True)
        del self._objects[place], self._last[place]
        self._changed(found)
        for owned in [p for p, one in self._objects.items() if found["metadata"]["uid"] in _owners(one)]:
            if orphan:
                self._release(owned)
            else:
                self.delete(owned)

    def set_status(
        self, place: Place, status: Mapping[str, Any], version: str | None = None
    ) -> dict[str, Any]:
        """Replace an object's status and return the object.

        Args:
            place: names the object.
            status: the new one.
            version: where given, the resourceVersion that the object must still have.

        Raises:
            errors.Transient: there is no such object, or it has changed.
            OSError: it can't be written; nothing has changed.
        """
        before = self._objects.get(place)
        if before is None:
            raise errors.Transient(f"{place[0]} {place[2]} does not exist")
        if version not in (None, before["metadata"]["resourceVersion"]):
            raise errors.Transient(f"{place[0]} {place[2]} has changed since it was read")
        self._put(place, before | {"status": copy.deepcopy(dict(status))}, self._last[place])
        return self._objects[place]

    def collect(self) -> None:
        """Delete what belongs to objects that are gone: a deletion that was cut short is carried through."""
        for place, one in list(self._objects.items()):
            owners = _owners(one)
            if owners and not owners & self.uids():
                self.delete(place)

    def mend(self) -> None:
        """Write the files again that somebody removed, and remove those that were left half written."""
        for place, one in self._objects.items():
            if not _file(self._root, place).exists():
                self._write(place, one, self._last[place])
        for partial in self._root.glob("*/*/.*.partial"):
            partial.unlink(missing_ok=True)

    def _release(self, place: Place) -> None:
        """Let an object belong to nothing any more."""
        one = self._objects[place]
        metadata = {key: value for key, value in one["metadata"].items() if key != "ownerReferences"}
        self._put(place, one | {"metadata": metadata}, self._last[place])

    def _put(self, place: Place, now: dict[str, Any], last: dict[str, Any]) -> None:
        """Write an object down, and only then go by it."""
        before = self._objects.get(place)
        if before == now:
            self._last[place] = last
            return
        is_changed = before is None or before.get("spec") != now.get("spec")
        now["metadata"] = now["metadata"] | {
            "resourceVersion": str(self._version + 1),
            "generation": now["metadata"]["generation"] + is_changed,
        }
        self._write(place, now, last)
        self._version += 1
        self._objects[place], self._last[place] = now, last
        self._changed(now)

    def _write(self, place: Place, value: Mapping[str, Any], last: Mapping[str, Any]) -> None:
        folder.write_json(_file(self._root, place), {_OBJECT: value, _LAST: last})

    def _load(self, path: pathlib.Path) -> None:
        saved = _read(path)
        if saved is not None:
            place = place_of(saved[_OBJECT])
            self._objects[place], self._last[place] = saved[_OBJECT], saved[_LAST]


def read(root: pathlib.Path, kind: ports.Kind) -> tuple[dict[str, Any], ...]:
    """Return the objects of a kind from their files, while a supervisor may be writing them.

    Raises:
        errors.Rejected: a file was damaged.
    """
    saved = (_read(path) for path in sorted((root / kind.kind).glob("*/*.json")))
    return tuple(one[_OBJECT] for one in saved if one is not None)


def place_of(manifest: ports.Manifest) -> Place:
    """Return what names an object."""
    metadata = manifest["metadata"]
    return manifest["kind"], metadata["namespace"], metadata["name"]


def _read(path: pathlib.Path) -> dict[str, Any] | None:
    saved = folder.read_json(path)
    if saved is not None and not {_OBJECT, _LAST} <= saved.keys():
        raise errors.Rejected(f"{path} holds no object; put back what it held, or remove it to delete that")
    return saved


def _new() -> dict[str, Any]:
    return {"metadata": {"uid": str(uuid.uuid4()), "generation": 0, "creationTimestamp": _now()}}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _file(root: pathlib.Path, place: Place) -> pathlib.Path:
    kind, namespace, name = place
    return root / kind / namespace / f"{name}.json"


def _owners(manifest: ports.Manifest) -> set[str]:
    return {owner["uid"] for owner in manifest["metadata"].get("ownerReferences", ())}

"""A cluster that is data only: the port's contract kept by a dictionary. The seam of the operator's tests.

It keeps objects and the rules of server-side apply, and runs nothing: who wants pods to become ready says so
with `set_status`.
"""

import copy
import uuid
from collections.abc import Mapping
from typing import Any

from .. import errors, ports
from . import fields

_Place = tuple[str, str, str]


class MemoryCluster:
    """Implements `ports.Catalog` on a dictionary.

    Attributes:
        events: what was emitted, oldest first.
    """

    def __init__(self) -> None:
        self.events: list[ports.Event] = []
        self._objects: dict[_Place, dict[str, Any]] = {}
        self._applied: dict[_Place, dict[str, Any]] = {}
        self._version = 0

    async def apply(self, manifest: ports.Manifest) -> ports.Manifest:
        """Make the fields that `manifest` names equal to it."""
        place, wanted = _place(manifest), fields.without_status(manifest)
        before = self._objects.get(place)
        now = fields.applied(before or self._new(), self._applied.get(place, {}), wanted)
        self._applied[place] = wanted
        self._store(place, before, now)
        return copy.deepcopy(self._objects[place])

    async def get(self, kind: ports.Kind, namespace: str, name: str) -> ports.Manifest | None:
        """Return the object, or None."""
        return copy.deepcopy(self._objects.get((kind.kind, namespace, name)))

    async def list(
        self, kind: ports.Kind, namespace: str, labels: Mapping[str, str]
    ) -> tuple[ports.Manifest, ...]:
        """Return the objects that carry the labels, by name."""
        found = (
            self._objects[place] for place in sorted(self._objects) if place[:2] == (kind.kind, namespace)
        )
        return tuple(
            copy.deepcopy(one) for one in found if labels.items() <= one["metadata"].get("labels", {}).items()
        )

    async def delete(self, manifest: ports.Manifest, *, orphan: bool = False) -> None:
        """Delete exactly this object, and what belongs to it unless that is orphaned."""
        place = _place(manifest)
        found = self._objects.get(place)
        if found is None or found["metadata"]["uid"] != manifest["metadata"].get("uid"):
            return
        del self._objects[place]
        self._applied.pop(place, None)
        for owned in list(self._objects.values()):
            owners = owned["metadata"].get("ownerReferences", ())
            if not orphan and any(owner["uid"] == found["metadata"]["uid"] for owner in owners):
                await self.delete(owned)

    async def apply_status(self, manifest: ports.Manifest) -> ports.Manifest:
        """Write the object's status, where its resourceVersion is the one that `manifest` carries."""
        found = self._objects.get(_place(manifest))
        version = manifest["metadata"].get("resourceVersion")
        if found is None:
            raise errors.Transient(f"{manifest['kind']} {manifest['metadata']['name']} does not exist")
        if version not in (None, found["metadata"]["resourceVersion"]):
            raise errors.Transient("the object has changed since it was read")
        self.set_status(manifest, manifest["status"])
        return copy.deepcopy(self._objects[_place(manifest)])

    async def create(self, manifest: ports.Manifest) -> ports.Manifest:
        """Store an object, where there is none of that name."""
        if _place(manifest) in self._objects:
            raise errors.Taken(f"{manifest['kind']} {manifest['metadata']['name']} exists already")
        return await self.apply(manifest)

    async def replace(self, manifest: ports.Manifest) -> ports.Manifest:
        """Make the object equal to `manifest`, where it is at the resourceVersion that this carries."""
        found = self._objects.get(_place(manifest))
        version = manifest["metadata"]["resourceVersion"]
        if found is None or found["metadata"]["resourceVersion"] != version:
            raise errors.Changed("the object has changed since it was read, or is gone")
        return await self.apply(fields.without_servers_own(manifest))

    async def emit(self, event: ports.Event) -> None:
        """Keep the event."""
        self.events.append(event)

    def put(self, manifest: ports.Manifest, status: Mapping[str, Any]) -> None:
        """Store an object with its status, as a controller would."""
        place = _place(manifest)
        now = fields.applied(self._objects.get(place) or self._new(), {}, fields.without_status(manifest))
        self._store(place, self._objects.get(place), now | {"status": copy.deepcopy(dict(status))})

    def set_status(self, manifest: ports.Manifest, status: Mapping[str, Any]) -> None:
        """Write an object's status, as a controller would."""
        place = _place(manifest)
        before = self._objects[place]
        self._store(place, before, before | {"status": copy.deepcopy(dict(status))})

    def objects(self) -> tuple[ports.Manifest, ...]:
        """Return every object, by kind, namespace and name."""
        return tuple(copy.deepcopy(self._objects[place]) for place in sorted(self._objects))

    def _new(self) -> dict[str, Any]:
        return {"metadata": {"uid": str(uuid.uuid4()), "generation": 0}}

    def _store(self, place: _Place, before: dict[str, Any] | None, now: dict[str, Any]) -> None:
        if before == now:
            return
        self._version += 1
        metadata = now["metadata"] | {"resourceVersion": str(self._version)}
        if before is None or before.get("spec") != now.get("spec"):
            metadata["generation"] += 1
        self._objects[place] = now | {"metadata": metadata}


def _place(manifest: ports.Manifest) -> _Place:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata["namespace"], metadata["name"]

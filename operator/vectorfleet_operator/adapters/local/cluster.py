"""The ports `Cluster` and `Catalog` on a store of files. What it stores, `workloads` brings to life."""

import copy
import logging
from collections.abc import Mapping

from ... import errors, ports
from .. import fields
from . import store

_LOG = logging.getLogger(__name__)


class LocalCluster:
    """Implements `ports.Catalog` on this machine."""

    def __init__(self, objects: store.Store) -> None:
        self._objects = objects

    async def apply(self, manifest: ports.Manifest) -> ports.Manifest:
        """Make the fields that `manifest` names equal to it."""
        return copy.deepcopy(self._objects.apply(manifest))

    async def get(self, kind: ports.Kind, namespace: str, name: str) -> ports.Manifest | None:
        """Return the object, or None."""
        return copy.deepcopy(self._objects.find((kind.kind, namespace, name)))

    async def list(
        self, kind: ports.Kind, namespace: str, labels: Mapping[str, str]
    ) -> tuple[ports.Manifest, ...]:
        """Return the objects that carry the labels, by name."""
        return tuple(
            copy.deepcopy(one)
            for one in self._objects.of_kind(kind)
            if one["metadata"]["namespace"] == namespace
            and labels.items() <= one["metadata"].get("labels", {}).items()
        )

    async def delete(self, manifest: ports.Manifest, *, orphan: bool = False) -> None:
        """Delete exactly this object, and what belongs to it unless that is orphaned.

        A pod's object goes once its process has ended.
        """
        place = store.place_of(manifest)
        found = self._objects.find(place)
        if found is None or found["metadata"]["uid"] != manifest["metadata"].get("uid"):
            return
        if manifest["kind"] == ports.POD.kind:
            self._objects.terminate(place)
        else:
            self._objects.delete(place, orphan=orphan)

    async def apply_status(self, manifest: ports.Manifest) -> ports.Manifest:
        """Write the object's status, where its resourceVersion is the one that `manifest` carries."""
        version = manifest["metadata"].get("resourceVersion")
        return copy.deepcopy(self._objects.set_status(store.place_of(manifest), manifest["status"], version))

    async def emit(self, event: ports.Event) -> None:
        """Write the event to the log."""
        extra = {"index": event.about["metadata"]["name"], "reason": event.reason, "event": event.message}
        _LOG.log(logging.WARNING if event.warning else logging.INFO, "event", extra=extra)

    async def create(self, manifest: ports.Manifest) -> ports.Manifest:
        """Keep an object, where there is none of that name."""
        place = store.place_of(manifest)
        if self._objects.find(place) is not None:
            raise errors.Taken(f"{place[0]} {place[2]} exists already")
        return copy.deepcopy(self._objects.apply(manifest))

    async def replace(self, manifest: ports.Manifest) -> ports.Manifest:
        """Make the object equal to `manifest`, where it is at the resourceVersion that this carries."""
        place = store.place_of(manifest)
        found = self._objects.find(place)
        version = manifest["metadata"]["resourceVersion"]
        if found is None or found["metadata"]["resourceVersion"] != version:
            raise errors.Changed(f"{place[0]} {place[2]} has changed since it was read, or is gone")
        return copy.deepcopy(self._objects.apply(fields.without_servers_own(manifest)))

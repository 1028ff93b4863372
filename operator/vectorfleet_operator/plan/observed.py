"""What one pass saw of the cluster: every object of an index."""

import dataclasses
from collections.abc import Mapping

from .. import ports

Ref = tuple[str, str]
"""Kind and name of an object; the namespace is the index's."""


@dataclasses.dataclass(frozen=True)
class Observed:
    """The cluster as one pass saw it."""

    owner_uid: str
    """The uid of the VectorIndex."""
    objects: Mapping[Ref, ports.Manifest]
    """Objects that carry the index's label, and objects that have a name it needs."""

    def find(self, kind: ports.Kind, name: str) -> ports.Manifest | None:
        """Return the object of that kind and name, None where there is none."""
        return self.objects.get((kind.kind, name))

    def of_kind(self, kind: ports.Kind) -> tuple[ports.Manifest, ...]:
        """Return every object of that kind, by name."""
        return tuple(self.objects[ref] for ref in sorted(self.objects) if ref[0] == kind.kind)

    def owns(self, manifest: ports.Manifest) -> bool:
        """Return whether the object belongs to this very index, not to a namesake before it."""
        owners = manifest["metadata"].get("ownerReferences") or ()
        return any(owner.get("uid") == self.owner_uid and owner.get("controller") for owner in owners)

    def updated(self, manifests: tuple[ports.Manifest, ...]) -> "Observed":
        """Return the same, with newer states of some objects."""
        return dataclasses.replace(self, objects={**self.objects, **{ref(one): one for one in manifests}})


def ref(manifest: ports.Manifest) -> Ref:
    """Return the kind and name of an object."""
    return manifest["kind"], manifest["metadata"]["name"]


def is_rolled_out(workload: ports.Manifest) -> bool:
    """Return whether every pod of a StatefulSet or Deployment is of its newest template and ready."""
    status, wanted = workload.get("status") or {}, workload["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    enough = min(status.get("updatedReplicas", 0), status.get("readyReplicas", 0)) >= wanted
    return bool(seen and enough and status.get("replicas", wanted) == wanted)

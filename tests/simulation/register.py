"""The API server: it keeps the VectorShard, which changes by compare-and-swap, and its index's wishes."""

import base64
import functools

from simulation import values

from vectorfleet_operator import ports
from vectorfleet_operator.api import parse
from vectorfleet_operator.desired import names
from vectorfleet_runtime import parties

KEY = ports.Key("sim", "x")
SHARD = names.shard(KEY.name, 0)
OWNER = {"uid": "1", "controller": True}


class Register:
    """Called by operators over the network as "api"."""

    def __init__(self, world):
        self._world = world
        self.conflicts = 0.0  # how often somebody else wrote meanwhile
        self.changes = 0  # of the configuration
        self.status = values.Status()
        self._version, self._written = 0, {}

    def read(self, answer):
        """Answer the index, and all objects that belong to it."""
        index = _index(self._world.replicas_wanted, self._world.plan.every)
        answer((index, _FIXED | self._world.pods.objects() | {("VectorShard", SHARD): self.shard()}))

    def shard(self):
        """Return the VectorShard."""
        metadata = {
            "name": SHARD,
            "namespace": KEY.namespace,
            "uid": "2",
            "resourceVersion": str(self._version),
            "ownerReferences": [OWNER],
            "annotations": self._annotations(),
        }
        kind = ports.VECTOR_SHARD
        return {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": metadata,
            "status": self._written,
        }

    def _annotations(self):
        wishes = {"primary": self._world.handover, "accept-loss": self._world.person.accepted}
        return {f"vectorfleet.io/{name}": wish for name, wish in wishes.items() if wish}

    def find(self, answer):
        """Answer the VectorShard."""
        answer(self.shard())

    def write(self, version, written, answer):
        """Write the status where nobody has since `version`; answers the object, False where somebody has."""
        if self._world.rng.random() < self.conflicts:
            self._version += 1
        if version is not None and version != str(self._version):
            answer(False)
            return
        self._version += 1
        self._written = written
        before, self.status = self.status, values.status(written)
        if self.status.configuration != before.configuration:
            self.changes += 1
            self._world.person.takes_effect(before.configuration, self.status.configuration)
        answer(self.shard())


@functools.cache
def _index(replicas, every):
    kind = ports.VECTOR_INDEX
    spec = {"model": {"name": "m", "dimensions": 3}, "shards": 1, "replicas": replicas}
    spec["consistency"] = {"write": "all" if every else "quorum"}
    manifest = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": KEY.name, "namespace": KEY.namespace, "uid": OWNER["uid"]},
        "spec": spec,
    }
    return manifest, parse.parse_index(manifest)


def _fixed():
    name = names.certificate_secret(KEY.name, parties.Role.OPERATOR)
    text = base64.b64encode(b"shown").decode()
    data = dict.fromkeys(("tls.crt", "tls.key", "ca.crt"), text)
    return {("Secret", name): {"kind": "Secret", "metadata": {"name": name}, "data": data}}


_FIXED = _fixed()

"""The keys of the services that an index names, as files in the gateway's pods.

A Secret that does not exist yet keeps no gateway from starting: what needs its key fails with the reason, the
rest is served, and the key is found once it is there.
"""

from typing import NamedTuple

from ..api import base
from . import inputs, pod

_FILE = "key"


class _Key(NamedTuple):
    service: str
    entry: base.SecretKeyReference

    @property
    def folder(self) -> str:
        return f"/etc/vectorfleet/{self.service}"

    @property
    def volume(self) -> str:
        return f"{self.service}-key"


def build_volumes(given: inputs.Inputs) -> list[inputs.Object]:
    """Return a volume for each key."""
    return [pod.build_entry_volume(key.volume, key.entry, _FILE) for key in _keys(given)]


def build_mounts(given: inputs.Inputs) -> list[inputs.Object]:
    """Return where the volumes are mounted."""
    return [{"name": key.volume, "mountPath": key.folder, "readOnly": True} for key in _keys(given)]


def build_variables(given: inputs.Inputs) -> list[inputs.Object]:
    """Return the environment variables that say where the keys are."""
    return [
        {"name": f"VECTORFLEET_{key.service.upper()}_KEY_FILE", "value": f"{key.folder}/{_FILE}"}
        for key in _keys(given)
    ]


def _keys(given: inputs.Inputs) -> list[_Key]:
    named = {"embedder": given.spec.embedder, "reranker": given.spec.reranker}
    return [
        _Key(service, spec.secret_ref)
        for service, spec in named.items()
        if spec is not None and spec.secret_ref is not None
    ]

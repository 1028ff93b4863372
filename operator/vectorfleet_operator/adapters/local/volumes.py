"""Volumes as folders: ConfigMaps and Secrets written out, claims kept, everything else for the pod's life."""

import base64
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from ... import errors, ports
from ...desired import names
from . import folder, pod, store

META = ".claim.json"
"""Beside a claim's data: whose it is, and whether it goes with it."""


class Volumes:
    """The folders of one state directory's pods."""

    def __init__(self, place: folder.Folder, objects: store.Store) -> None:
        self._place, self._objects = place, objects

    def prepare(
        self, who: pod.Identity, mounts: tuple[pod.Mount, ...], owner: Mapping[str, Any]
    ) -> dict[str, pathlib.Path]:
        """Make the folders of a pod's mounts and return them by mount path.

        Raises:
            errors.Transient: a ConfigMap or Secret is not there yet.
        """
        return {mount.path: self._prepare(who, mount, owner) for mount in mounts}

    def entry(self, namespace: str, kind: str, name: str, key: str) -> str:
        """Return an entry of a ConfigMap or Secret as text.

        Raises:
            errors.Transient: it is not there.
        """
        entries = self._entries(namespace, kind, name)
        if key not in entries:
            raise errors.Transient(f"{kind} {name} has no entry {key}")
        return entries[key].decode()

    def sweep(self, living: set[str]) -> None:
        """Remove the volumes whose StatefulSet is gone and that were to go with it.

        Args:
            living: uids of the StatefulSets there are.
        """
        for meta in self._place.claims().glob(f"*/*/{META}"):
            claim = folder.read_json(meta) or {}
            if claim.get("whenDeleted") == "Delete" and claim.get("owner") not in living:
                shutil.rmtree(meta.parent, ignore_errors=True)

    def _prepare(self, who: pod.Identity, mount: pod.Mount, owner: Mapping[str, Any]) -> pathlib.Path:
        volume = mount.volume
        path = self._place.pod(who.namespace, who.name) / "volumes" / mount.name
        if "persistentVolumeClaim" in volume:
            return self._claim(who.namespace, volume["persistentVolumeClaim"]["claimName"], owner)
        if "configMap" in volume:
            _write(path, self._entries(who.namespace, ports.CONFIG_MAP.kind, volume["configMap"]["name"]))
        elif "secret" in volume:
            _write(path, self._entries(who.namespace, ports.SECRET.kind, volume["secret"]["secretName"]))
        elif "emptyDir" in volume:
            path.mkdir(parents=True, exist_ok=True)
        else:
            raise errors.Rejected(f"volume {mount.name} is of a kind that needs a kubelet")
        return path

    def _claim(self, namespace: str, name: str, owner: Mapping[str, Any]) -> pathlib.Path:
        path = self._place.claim(namespace, name)
        path.mkdir(parents=True, exist_ok=True)
        policy = (owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}).get(
            "whenDeleted", "Retain"
        )
        index = owner["metadata"].get("labels", {}).get(names.LABEL_INDEX, "")
        meta = {"owner": owner["metadata"]["uid"], "index": index, "whenDeleted": policy}
        folder.write_json(path / META, meta)
        data = path / "data"
        data.mkdir(exist_ok=True)
        return data

    def _entries(self, namespace: str, kind: str, name: str) -> dict[str, bytes]:
        found = self._objects.find((kind, namespace, name))
        if found is None:
            raise errors.Transient(f"{kind} {name} does not exist")
        if kind == ports.SECRET.kind:
            return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
        return {key: value.encode() for key, value in (found.get("data") or {}).items()}


def _write(path: pathlib.Path, entries: Mapping[str, bytes]) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for stale in path.iterdir():
        if stale.name not in entries:
            stale.unlink()
    for name, content in entries.items():
        target, partial = path / name, path / f".{name}.partial"
        if target.exists() and target.read_bytes() == content:
            continue
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        partial.replace(target)

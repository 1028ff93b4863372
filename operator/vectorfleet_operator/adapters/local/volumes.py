"""Volumes as folders: ConfigMaps and Secrets written out, claims kept, everything else for the pod's life."""

import base64
import dataclasses
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from ... import errors, ports
from ...desired import names
from . import folder, objects, pod, store

Folders = dict[str, pathlib.Path]
"""The folder of each mount path."""
META = ".claim.json"
"""Beside a claim's data: whose it is, and whether it goes with it."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A volume there is, whose it is (the uid of its StatefulSet's owner), and whether it goes with that."""

    path: pathlib.Path
    index: str
    pod: objects.Key
    owner: str
    when_deleted: str


def claims(place: folder.Folder) -> tuple[Claim, ...]:
    """Return the volumes of a state directory."""
    found = []
    for meta in sorted(place.claims.glob(f"*/*/{META}")):
        saved = folder.recollect(meta)
        key = (meta.parent.parent.name, str(saved.get("pod", "")))
        owner, policy = str(saved.get("owner", "")), str(saved.get("whenDeleted", "Retain"))
        found.append(Claim(meta.parent, str(saved.get("index", "")), key, owner, policy))
    return tuple(found)


class Volumes:
    """The folders of one state directory's pods."""

    def __init__(self, place: folder.Folder, objects: store.Store) -> None:
        self._place, self._objects = place, objects

    def prepare(self, who: pod.Identity, mounts: tuple[pod.Mount, ...], owner: Mapping[str, Any]) -> Folders:
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

    def sweep(self, living: frozenset[str], pods: set[objects.Key]) -> None:
        """Remove the volumes whose index is gone and that were to go with it.

        A StatefulSet alone that got lost takes no data along: it is made anew, and finds its volume.

        Args:
            living: uids of the objects there are.
            pods: the pods there are; the volume of one that is still ending stays.
        """
        for one in claims(self._place):
            if one.when_deleted == "Delete" and one.owner not in living and one.pod not in pods:
                shutil.rmtree(one.path, ignore_errors=True)

    def _prepare(self, who: pod.Identity, mount: pod.Mount, owner: Mapping[str, Any]) -> pathlib.Path:
        volume = mount.volume
        path = self._place.pod(who.namespace, who.name) / "volumes" / mount.name
        if "persistentVolumeClaim" in volume:
            return self._claim(who, volume["persistentVolumeClaim"]["claimName"], owner)
        if "configMap" in volume:
            write_entries(
                path, self._entries(who.namespace, ports.CONFIG_MAP.kind, volume["configMap"]["name"])
            )
        elif "secret" in volume:
            write_entries(path, self._chosen(who.namespace, volume["secret"]))
        elif "emptyDir" in volume:
            path.mkdir(parents=True, exist_ok=True)
        else:
            raise errors.Rejected(f"volume {mount.name} is of a kind that needs a kubelet")
        return path

    def _claim(self, who: pod.Identity, name: str, owner: Mapping[str, Any]) -> pathlib.Path:
        path = self._place.claim(who.namespace, name)
        path.mkdir(parents=True, exist_ok=True)
        policy = (owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}).get(
            "whenDeleted", "Retain"
        )
        index = owner["metadata"].get("labels", {}).get(names.LABEL_INDEX, "")
        meta = {
            "owner": objects.root_of(owner),
            "index": index,
            "pod": who.name,
            "whenDeleted": policy,
        }
        if folder.recollect(path / META) != meta:
            folder.write_json(path / META, meta)
        data = path / "data"
        data.mkdir(exist_ok=True)
        return data

    def _chosen(self, namespace: str, wanted: Mapping[str, Any]) -> dict[str, bytes]:
        """Return the files that a volume of a Secret has: all of its entries, or those that it names."""
        optional = bool(wanted.get("optional"))
        if optional and self._objects.find((ports.SECRET.kind, namespace, wanted["secretName"])) is None:
            return {}
        entries = self._entries(namespace, ports.SECRET.kind, wanted["secretName"])
        if "items" not in wanted:
            return entries
        missing = [item["key"] for item in wanted["items"] if item["key"] not in entries]
        if missing and not optional:
            raise errors.Transient(f"Secret {wanted['secretName']} has no entry {missing[0]}")
        return {item["path"]: entries[item["key"]] for item in wanted["items"] if item["key"] in entries}

    def _entries(self, namespace: str, kind: str, name: str) -> dict[str, bytes]:
        found = self._objects.find((kind, namespace, name))
        if found is None:
            raise errors.Transient(f"{kind} {name} does not exist")
        if kind == ports.SECRET.kind:
            return secret_entries(found)
        return {key: value.encode() for key, value in (found.get("data") or {}).items()}


def secret_entries(secret: Mapping[str, Any]) -> dict[str, bytes]:
    """Return what a Secret holds, by entry."""
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


def write_entries(path: pathlib.Path, entries: Mapping[str, bytes]) -> None:
    """Make a folder's files these entries, each readable by its owner alone."""
    path.mkdir(parents=True, exist_ok=True)
    for stale in path.iterdir():
        if stale.name not in entries:
            stale.unlink()
    for name, content in entries.items():
        target = path / name
        if target.exists() and target.read_bytes() == content:
            continue
        folder.write(target, content)

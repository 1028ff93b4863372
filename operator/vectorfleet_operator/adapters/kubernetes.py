"""The cluster behind a Kubernetes API server: the only module that imports the kubernetes client.

Objects travel as plain JSON over the client's connection, authentication included; its typed models and its
discovery are not used, since every kind and its URL is known beforehand. One field manager, forced.
"""

import datetime
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from kubernetes.aio import client, config

from .. import errors, ports

MANAGER = "vectorfleet-operator"
_PAGE = "500"
_TIMEOUT_SECONDS = 30
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_EVENT_MESSAGE_LIMIT = 1024
_NEVER = frozenset({400, 422})  # the object is wrong as it is; everything else may pass
_Query = tuple[tuple[str, str], ...]


class KubernetesCluster:
    """Implements `ports.Catalog` on a Kubernetes API server.

    Args:
        api: connection and credentials.
        manager: by what name our fields are known.
    """

    def __init__(self, api: client.ApiClient, manager: str = MANAGER) -> None:
        self._api = api
        self._manager = manager

    async def apply(self, manifest: ports.Manifest) -> ports.Manifest:
        """Apply the object on the server, as our field manager, taking over what others set.

        Server-side apply keeps items that others added to a list, even those that clash with ours; then
        the lists that we name are first made ours as a whole.
        """
        try:
            stored = await self._call("PATCH", _path_of(manifest), self._owned(), manifest, _APPLY)
        except errors.Rejected as rejection:
            await self._take_lists(manifest, rejection)
        else:
            if _same_lengths(manifest, stored):
                return _lean(stored)
            await self._take_lists(manifest, None)
        return _lean(await self._call("PATCH", _path_of(manifest), self._owned(), manifest, _APPLY))

    async def get(self, kind: ports.Kind, namespace: str, name: str) -> ports.Manifest | None:
        """Return the object, or None."""
        try:
            return _lean(await self._call("GET", f"{_path(kind, namespace)}/{name}"))
        except _NotFound:
            return None

    async def list(
        self, kind: ports.Kind, namespace: str, labels: Mapping[str, str]
    ) -> tuple[ports.Manifest, ...]:
        """Return the objects that carry the labels, by name."""
        selector = ",".join(f"{label}={value}" for label, value in sorted(labels.items()))
        query: _Query = (("labelSelector", selector), ("limit", _PAGE))
        found: list[ports.Manifest] = []
        position = ""
        while True:
            page = await self._call("GET", _path(kind, namespace), (*query, *_continued(position)))
            named = {"apiVersion": kind.api_version, "kind": kind.kind}  # items of a list don't say it
            found += (_lean(named | item) for item in page.get("items") or ())
            position = page["metadata"].get("continue", "")
            if not position:
                return tuple(sorted(found, key=lambda one: str(one["metadata"]["name"])))

    async def delete(self, manifest: ports.Manifest, *, orphan: bool = False) -> None:
        """Delete exactly this object, and what belongs to it unless that is orphaned."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": manifest["metadata"]["uid"]},
            "propagationPolicy": "Orphan" if orphan else "Background",
        }
        try:
            await self._call("DELETE", _path_of(manifest), (), options)
        except (_NotFound, errors.Changed):  # gone, or another one of that name by now
            return

    async def apply_status(self, manifest: ports.Manifest) -> ports.Manifest:
        """Apply the object's status; a resourceVersion in `manifest` makes it a compare-and-swap."""
        return _lean(
            await self._call("PATCH", f"{_path_of(manifest)}/status", self._owned(), manifest, _APPLY)
        )

    async def emit(self, event: ports.Event) -> None:
        """Create an event beside its object; a failure is passed over."""
        namespace = event.about["metadata"]["namespace"]
        try:
            await self._call("POST", f"/api/v1/namespaces/{namespace}/events", (), _event(event))
        except errors.OperatorError:
            return

    async def create(self, manifest: ports.Manifest) -> ports.Manifest:
        """Create the object, where there is none of that name."""
        path = _path(ports.KINDS[manifest["kind"]], manifest["metadata"]["namespace"])
        try:
            return _lean(await self._call("POST", path, self._named(), manifest))
        except errors.Changed as conflict:
            raise errors.Taken(str(conflict)) from None

    async def replace(self, manifest: ports.Manifest) -> ports.Manifest:
        """Replace the object, where it is at the resourceVersion that `manifest` carries."""
        try:
            return _lean(await self._call("PUT", _path_of(manifest), self._named(), manifest))
        except _NotFound as gone:
            raise errors.Changed(str(gone)) from None

    async def serves(self, kind: ports.Kind) -> bool:
        """Return whether the API server knows objects of that kind.

        Raises:
            errors.Transient: the server did not answer.
        """
        try:
            known = await self._call("GET", f"/apis/{kind.api_version}")
        except _NotFound:
            return False
        return any(resource["name"] == kind.plural for resource in known.get("resources", ()))

    async def _take_lists(self, manifest: ports.Manifest, rejection: errors.Rejected | None) -> None:
        """Replace the lists that `manifest` names; where the object does not exist, `rejection` stands."""
        try:
            await self._call("PATCH", _path_of(manifest), self._named(), manifest, _MERGE)
        except _NotFound:
            if rejection is not None:
                raise rejection from None

    def _named(self) -> _Query:
        return (("fieldManager", self._manager),)

    def _owned(self) -> _Query:
        return (*self._named(), ("force", "true"))

    async def _call(
        self, method: str, path: str, query: _Query = (), body: Any = None, content: str = "application/json"
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": content}
        try:
            request = await self._api.param_serialize(
                method,
                path,
                query_params=list(query),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            reply = await self._api.call_api(*request, _request_timeout=_TIMEOUT_SECONDS)
            text = await reply.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise errors.Transient(f"{method} {path}: {error or type(error).__name__}") from error
        return _answer(f"{method} {path}", reply.status, text)


async def connect(manager: str = MANAGER) -> KubernetesCluster:
    """Return the cluster that the pod runs in, or the one that the user's kubeconfig names.

    Args:
        manager: by what name our fields are known.

    Raises:
        errors.Transient: there is neither.
    """
    settings = client.Configuration()
    try:
        try:
            config.load_incluster_config(client_configuration=settings)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=settings)
    except config.ConfigException as error:
        raise errors.Transient(
            f"no service account and no kubeconfig to reach Kubernetes with: {error}"
        ) from error
    return KubernetesCluster(client.ApiClient(settings), manager)


async def close(cluster: KubernetesCluster) -> None:
    """Close the cluster's connections."""
    await cluster._api.close()  # noqa: SLF001  the other half of connect


class _NotFound(errors.Transient):
    pass


def _answer(call: str, status: int, text: bytes) -> dict[str, Any]:
    try:
        body: dict[str, Any] = json.loads(text)
    except ValueError:
        body = {"message": text[:200].decode(errors="replace")}
    if 200 <= status < 300:
        return body
    message = str(body.get("message", "")) or f"{call} was answered with {status}"
    kinds = {403: errors.Forbidden, 404: _NotFound, 409: errors.Changed}
    if status in _NEVER:
        raise errors.Rejected(message)
    raise kinds.get(status, errors.Transient)(message)


def _path(kind: ports.Kind, namespace: str) -> str:
    root = "/apis" if "/" in kind.api_version else "/api"
    return f"{root}/{kind.api_version}/namespaces/{namespace}/{kind.plural}"


def _path_of(manifest: ports.Manifest) -> str:
    metadata = manifest["metadata"]
    return f"{_path(ports.KINDS[manifest['kind']], metadata['namespace'])}/{metadata['name']}"


def _continued(position: str) -> _Query:
    return (("continue", position),) if position else ()


def _same_lengths(wanted: Any, stored: Any) -> bool:
    """Return whether each list of `wanted` has as many items in `stored`."""
    if isinstance(wanted, Mapping):
        return all(
            key in stored and _same_lengths(value, stored[key]) for key, value in wanted.items() if value
        )
    if isinstance(wanted, list | tuple):
        return len(wanted) == len(stored) and all(map(_same_lengths, wanted, stored))
    return True


def _lean(manifest: dict[str, Any]) -> ports.Manifest:
    manifest["metadata"].pop("managedFields", None)  # long, and nobody here reads it
    return manifest


def _event(event: ports.Event) -> dict[str, Any]:
    metadata = event.about["metadata"]
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {
        field: metadata[field]
        for field in ("name", "namespace", "uid", "resourceVersion")
        if field in metadata
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
        "involvedObject": {"apiVersion": event.about["apiVersion"], "kind": event.about["kind"]} | about,
        "reason": event.reason,
        "message": event.message[:_EVENT_MESSAGE_LIMIT],
        "type": "Warning" if event.warning else "Normal",
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
        "reportingInstance": MANAGER,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }

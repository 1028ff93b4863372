"""cert-manager on the cluster, with an authority of its own that signs for every namespace."""

from __future__ import annotations

import base64
import contextlib
import subprocess
from collections.abc import Iterator
from typing import Any

from cluster import toolchain

from . import handle, index

NAMESPACE, ISSUER, ROOT = "cert-manager", "ours", "our-root"
_API = "cert-manager.io/v1"


def build(kind: str, name: str, spec: dict[str, Any], namespace: str | None = None) -> dict[str, Any]:
    """An object of cert-manager's. PURE."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": spec}


@contextlib.contextmanager
def running(cluster: handle.Handle) -> Iterator[str]:
    """Run its controllers; yield the authority's certificate, in PEM. Everything is gone afterwards."""
    program, log = cluster.programs["certd"], cluster.where.logs / "certd.log"
    definitions = [str(path) for path in sorted((program.parent / toolchain.CARRIED).iterdir())]
    for path in definitions:
        cluster.kubectl("apply", "--server-side", "-f", path)
    cluster.kubectl("create", "namespace", NAMESPACE)
    command = [program, "--kubeconfig", cluster.where.kubeconfig]
    with log.open("ab") as said, subprocess.Popen(command, stdout=said, stderr=said, cwd="/") as started:
        try:
            yield _root(cluster)
        finally:
            started.terminate()
    for path in definitions:
        cluster.kubectl("delete", "--wait=false", "-f", path)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _root(cluster: handle.Handle) -> str:
    """Make an authority, and the issuer that signs by it."""
    cluster.kubectl.apply(build("ClusterIssuer", "self", {"selfSigned": {}}))
    signed = {"name": "self", "kind": "ClusterIssuer"}
    own = {"isCA": True, "commonName": ROOT, "secretName": ROOT, "issuerRef": signed}
    cluster.kubectl.apply(build("Certificate", ROOT, own, NAMESPACE))
    cluster.kubectl.apply(build("ClusterIssuer", ISSUER, {"ca": {"secretName": ROOT}}))
    cluster.kubectl(
        "wait", "--for=condition=Ready", f"clusterissuer/{ISSUER}", f"--timeout={index.READY_SECONDS}s"
    )
    secret = cluster.kubectl.get("-n", NAMESPACE, "secret", ROOT)
    return base64.b64decode(secret["data"]["tls.crt"]).decode()

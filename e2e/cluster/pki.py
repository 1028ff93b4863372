"""Keys and certificates of the cluster, and the kubeconfigs made from them.

Everyone who speaks to the API server or a kubelet has a certificate signed by the cluster's own CA;
nothing is verified by trust in the network. Made anew at each `up`.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import addresses, commands, settings

CA = "ca"
FRONT_PROXY_CA = "front-proxy-ca"
DAYS = "3650"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Identity:
    """Whom a certificate speaks for."""

    name: str
    subject: str
    usage: str = "clientAuth"
    alternative_names: str = ""
    ca: str = CA


def create(where: settings.Settings) -> None:
    """Make both authorities, every certificate and the service accounts' key pair."""
    where.pki.mkdir(parents=True, exist_ok=True)
    for name in (CA, FRONT_PROXY_CA):
        _create_authority(where.pki, name)
    for identity in _identities(where.nodes):
        _issue(where.pki, identity)
    commands.run(["openssl", "genrsa", "-out", "service-accounts.key", "2048"], cwd=where.pki)
    commands.run(
        ["openssl", "rsa", "-in", "service-accounts.key", "-pubout", "-out", "service-accounts.pub"],
        cwd=where.pki,
    )


def write_kubeconfig(where: settings.Settings, identity: str, target: Path) -> None:
    """Write a kubeconfig for one of the identities, all keys inside, readable by root alone."""
    cluster = {
        "server": addresses.API_SERVER,
        "certificate-authority-data": _encoded(where.pki / f"{CA}.crt"),
    }
    user = {
        "client-certificate-data": _encoded(where.pki / f"{identity}.crt"),
        "client-key-data": _encoded(where.pki / f"{identity}.key"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "vectorfleet-e2e", "cluster": cluster}],
        "users": [{"name": identity, "user": user}],
        "contexts": [
            {"name": "vectorfleet-e2e", "context": {"cluster": "vectorfleet-e2e", "user": identity}}
        ],
        "current-context": "vectorfleet-e2e",
    }
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(config, file, indent=2)


def _identities(nodes: int) -> Iterator[Identity]:
    domain = f"kubernetes.default.svc.{addresses.DNS_DOMAIN}"
    hosts = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", domain]
    ips = ["127.0.0.1", addresses.API_SERVICE, addresses.HOST]
    server_names = ",".join([*(f"DNS:{host}" for host in hosts), *(f"IP:{ip}" for ip in ips)])
    yield Identity("apiserver", "/CN=kube-apiserver", "serverAuth", server_names)
    yield Identity("apiserver-kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client")
    yield Identity("front-proxy-client", "/CN=front-proxy-client", ca=FRONT_PROXY_CA)
    yield Identity("admin", "/O=system:masters/CN=admin")
    for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
        yield Identity(name, f"/CN=system:{name}")
    for number in range(1, nodes + 1):
        name = addresses.node_name(number)
        names = f"DNS:{name},IP:{addresses.node_address(number)}"
        yield Identity(name, f"/O=system:nodes/CN=system:node:{name}", "clientAuth,serverAuth", names)


def _create_authority(folder: Path, name: str) -> None:
    argv = ["openssl", "req", "-x509", *NEW_KEY, "-days", DAYS, "-subj", f"/CN=vectorfleet-e2e-{name}"]
    argv += ["-addext", "basicConstraints=critical,CA:TRUE"]
    argv += ["-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"]
    commands.run([*argv, "-keyout", f"{name}.key", "-out", f"{name}.crt"], cwd=folder)


def _issue(folder: Path, identity: Identity) -> None:
    name = identity.name
    request = [
        "openssl",
        "req",
        *NEW_KEY,
        "-subj",
        identity.subject,
        "-keyout",
        f"{name}.key",
        "-out",
        f"{name}.csr",
    ]
    commands.run(request, cwd=folder)
    extensions = ["basicConstraints=CA:FALSE", "keyUsage=digitalSignature,keyEncipherment"]
    extensions.append(f"extendedKeyUsage={identity.usage}")
    if identity.alternative_names:
        extensions.append(f"subjectAltName={identity.alternative_names}")
    (folder / f"{name}.ext").write_text("\n".join(extensions) + "\n")
    sign = [
        "openssl",
        "x509",
        "-req",
        "-in",
        f"{name}.csr",
        "-CA",
        f"{identity.ca}.crt",
        "-CAkey",
        f"{identity.ca}.key",
    ]
    sign += ["-CAcreateserial", "-days", DAYS, "-extfile", f"{name}.ext", "-out", f"{name}.crt"]
    commands.run(sign, cwd=folder)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()

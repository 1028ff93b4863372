"""Story: cert-manager signs for an index, within and without, and renews while it serves."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cluster import errors
from harness import authority, handle, index

PUBLIC = "signed-public-tls"
SIGNED = {"issuerRef": {"name": authority.ISSUER, "kind": "ClusterIssuer"}}


@pytest.fixture(scope="module")
def root(operator: handle.Handle) -> Iterator[str]:
    """The authority's certificate."""
    with authority.running(operator) as certificate:
        yield certificate


@pytest.fixture(scope="module")
def signed(operator: handle.Handle, root: str, namespace: str) -> index.Index:
    """An index whose certificates are all cert-manager's, Ready."""
    operator.kubectl.apply(
        index.build(
            namespace,
            "signed",
            internalTls=SIGNED,
            gateway={
                "replicas": 1,
                "tls": SIGNED,
                "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
            },
        )
    )
    made = index.Index(operator, namespace, "signed")
    made.wait_until_ready()
    return made


def ask(made: index.Index, root: str, path: str, body: object) -> Any:
    """Ask by HTTPS at the Service's address, trusting the authority alone, and that by the Service's name."""
    address, name = made.get("service", made.name)["spec"]["clusterIP"], f"{made.name}.{made.namespace}.svc"
    trusting = ssl.create_default_context(cadata=root)
    with httpx.Client(verify=trusting, headers={"Api-Key": made.key}, timeout=10) as client:
        answer = client.post(f"https://{address}{path}", json=body, extensions={"sni_hostname": name})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_certificate_is_cert_managers(signed: index.Index, root: str) -> None:
    """The operator makes no authority; an index is written to and asked by certificates of the issuer's."""
    issued = {one["metadata"]["name"]: one for one in signed.get("certificates")["items"]}
    assert set(issued) == {"signed-gateway-tls", "signed-shard-tls", "signed-operator-tls", PUBLIC}
    with pytest.raises(errors.CommandFailedError, match="not found"):
        signed.get("secret", "signed-ca")
    rows = [{"id": str(n), "values": [float(n)] * 16} for n in range(20)]
    assert ask(signed, root, "/vectors/upsert", {"vectors": rows}) == {"upsertedCount": 20}
    found = ask(signed, root, "/query", {"vector": [3.0] * 16, "topK": 1})
    assert found["matches"][0]["id"] == "3"


def test_renewed_certificates_are_taken_up(signed: index.Index, root: str) -> None:
    """cert-manager signs all of them anew, with new keys; every question meanwhile is answered."""
    names = ["signed-gateway-tls", "signed-shard-tls", "signed-operator-tls", PUBLIC]
    before = {name: _certificate(signed, name) for name in names}
    for name in names:
        renewing = {"type": "Issuing", "status": "True", "reason": "Wanted", "message": "a story renews it"}
        told = signed.get("certificate", name)["status"]["conditions"]
        patch = json.dumps({"status": {"conditions": [*told, renewing]}})
        signed.kubectl("patch", "certificate", name, "--subresource=status", "--type=merge", "-p", patch)

    def renewed() -> bool:
        assert ask(signed, root, "/describe_index_stats", {})["totalVectorCount"] == 20
        return all(_certificate(signed, name) != before[name] for name in names)

    index.wait_until(renewed)
    index.wait_until(lambda: _shown(signed) == _leaf(_certificate(signed, PUBLIC)))
    signed.kubectl("delete", "pod", "signed-g1-s0-0")
    signed.wait_until_ready()
    assert ask(signed, root, "/describe_index_stats", {})["totalVectorCount"] == 20


def _certificate(made: index.Index, name: str) -> str:
    return base64.b64decode(made.get("secret", name)["data"]["tls.crt"]).decode()


def _shown(made: index.Index) -> bytes:
    """The certificate that the public port shows."""
    address = made.get("service", made.name)["spec"]["clusterIP"]
    return _leaf(ssl.get_server_certificate((address, 443), timeout=10))


def _leaf(chain: str) -> bytes:
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(chain.partition(end)[0] + end)

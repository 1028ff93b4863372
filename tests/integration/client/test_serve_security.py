"""`vectorfleet serve` with what guards a public port."""

import json
import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from issuing import folders

START = ("--dimensions", "2", "--metric", "cosine")


def test_https_is_spoken(serve, tmp_path, monkeypatch):
    """By the certificate of a folder; the SDK takes its authority from where OpenSSL does."""
    made = folders.Folders(tmp_path)
    made.write_for("tls", "localhost")
    (tmp_path / "authority.pem").write_text(made.trusted.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    served = serve(*START, "--tls-dir", str(tmp_path / "tls"))
    served.url = f"https://localhost:{served.port}"
    with served.until_ready().client() as index:
        index.upsert([("a", [1.0, 0.0])])
        assert index.stats().total_vector_count == 1
    assert served.stop() == 0
    assert served.url.replace("localhost", "127.0.0.1") in served.stderr()


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key"])
def test_a_missing_certificate_is_said(serve, tmp_path, missing):
    """In one line, and HTTP is not spoken instead."""
    folder = folders.Folders(tmp_path).write_for("tls", "localhost")
    (folder / missing).unlink()
    served = serve(*START, "--tls-dir", str(folder))
    assert served.wait() != 0
    assert f"--tls-dir: can't read {folder / missing}" in served.stderr()


def test_keys_of_a_folder_and_tokens_are_taken(serve, tmp_path):
    """Beside or in place of the one key; each with its own rights."""
    issuer = ed25519.Ed25519PrivateKey.generate()
    entry = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(issuer.public_key()))
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [entry]}))
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "admin").write_text("test-key")
    tokens = ("--jwt-keys", str(tmp_path / "jwks.json"), "--jwt-audience", "shop")
    served = serve(*START, "--api-keys-dir", str(tmp_path / "keys"), *tokens, key="").until_ready()
    claims = {"aud": "shop", "exp": time.time() + 60, "role": "read"}
    headers = {"Authorization": "Bearer " + jwt.encode(claims, issuer, "EdDSA")}
    assert httpx.get(f"{served.url}/namespaces", headers=headers).status_code == 200
    refused = httpx.post(f"{served.url}/vectors/upsert", headers=headers, json={"vectors": []})
    assert refused.status_code == 403
    assert httpx.get(f"{served.url}/namespaces", headers={"Api-Key": ""}).status_code == 401


def test_tokens_without_an_audience_are_not_taken(serve, tmp_path):
    """It does not start, and says what is missing."""
    served = serve(*START, "--jwt-keys", str(tmp_path / "none"))
    assert served.wait() != 0
    assert "audience" in served.stderr()


def test_changes_and_refusals_are_audited(serve):
    """As JSON, with what nobody configured: who, what, and of which index; reads where they are asked for."""
    served = serve(*START).until_ready()
    with served.client() as index:
        index.delete(delete_all=True)
    assert httpx.get(f"{served.url}/namespaces", headers={"Api-Key": "wrong"}).status_code == 401
    assert served.stop() == 0
    assert audited(served) == [("serve", "delete", "local", 200), ("", "list_namespaces", "local", 401)]


def test_the_audit_log_has_what_it_is_told_to(serve):
    """Everything, or nothing."""
    everything = serve(*START, "--audit-log", "all").until_ready()
    nothing = serve(
        *START, "--audit-log", "off", data_dir=everything.data_dir.with_name("other")
    ).until_ready()
    for served in (everything, nothing):
        with served.client() as index:
            index.upsert([("a", [1.0, 0.0])])
        assert served.stop() == 0
    assert {action for _, action, _, _ in audited(everything)} == {"stats", "upsert"}
    assert audited(nothing) == []


def audited(served):
    """Return who did what of which index, and how it ended, of the lines of the audit log."""
    lines = [json.loads(line) for line in served.stderr().splitlines() if line.startswith("{")]
    names = ("principal", "action", "index", "status")
    return [tuple(line[name] for name in names) for line in lines if line["message"] == "audit"]

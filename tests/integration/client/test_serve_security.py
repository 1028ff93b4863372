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

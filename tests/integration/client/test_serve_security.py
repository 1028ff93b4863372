"""`vectorfleet serve` with what guards a public port."""

import pytest
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
    assert served.url.replace("localhost", "127.0.0.1") in served.stderr()


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key"])
def test_a_missing_certificate_is_said(serve, tmp_path, missing):
    """In one line, and HTTP is not spoken instead."""
    folder = folders.Folders(tmp_path).write_for("tls", "localhost")
    (folder / missing).unlink()
    served = serve(*START, "--tls-dir", str(folder))
    assert served.wait() != 0
    assert f"--tls-dir: can't read {folder / missing}" in served.stderr()

"""Files of certificates, and what becomes of them when they change."""

import pytest

from vectorfleet_runtime import certificates


@pytest.fixture
def now(monkeypatch):
    """Look at the files each time."""
    monkeypatch.setattr(certificates, "LOOK_SECONDS", 0)


def test_what_is_there_is_read(folders):
    """Certificate, key and authorities, as they are."""
    folder = folders.write("a", folders.party("shard"))
    shown = certificates.Certificates(folder).current()
    assert shown.certificate == (folder / "tls.crt").read_bytes()
    assert shown.key == (folder / "tls.key").read_bytes()
    assert shown.authorities == folders.trusted.certificate.encode()


def test_a_change_is_seen(folders, now):
    """New files are in force with the next look, and have a number of their own."""
    folder = folders.write("a", folders.party("shard"))
    files = certificates.Certificates(folder)
    first = files.current()
    folders.write("a", folders.party("shard"))
    second = files.current()
    assert second.certificate != first.certificate
    assert second.number > first.number
    assert files.current() is second


@pytest.mark.parametrize("broken", ["key of another", "no certificate", "missing", "no authority"])
def test_a_half_change_changes_nothing(folders, now, broken, caplog):
    """What does not fit together is said once, and the last that did stays in force."""
    folder = folders.write("a", folders.party("shard"))
    files = certificates.Certificates(folder)
    first = files.current()
    if broken == "key of another":
        other = folders.write("b", folders.party("shard"))
        (folder / "tls.key").write_bytes((other / "tls.key").read_bytes())
    elif broken == "no certificate":
        (folder / "tls.crt").write_text("nothing")
    elif broken == "no authority":
        (folder / "ca.crt").write_text("")
    else:
        (folder / "tls.crt").unlink()
    assert files.current() is first
    assert files.current() is first
    assert len(caplog.records) == 1
    assert "PRIVATE" not in caplog.text
    folders.write("a", folders.party("shard"))
    assert files.current().number > first.number


def test_a_mounted_secret_is_followed(folders, now):
    """Kubernetes swaps a link to a folder."""
    for version in ("..1", "..2"):
        folders.write(version, folders.party("shard"))
    mount = folders.root
    (mount / "..data").symlink_to("..1")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (mount / name).symlink_to(f"..data/{name}")
    files = certificates.Certificates(mount)
    (mount / "..new").symlink_to("..2")
    (mount / "..new").rename(mount / "..data")
    assert files.current().certificate == (mount / "..2" / "tls.crt").read_bytes()


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "ca.crt"])
def test_a_file_that_is_missing_is_named(folders, name):
    """Before anything runs on it."""
    folder = folders.write("a", folders.party("shard"))
    (folder / name).unlink()
    with pytest.raises(certificates.UnusableError, match=name):
        certificates.Certificates(folder)


def test_authorities_are_needed_for_mutual_trust_alone(folders):
    """A public port asks nobody for a certificate."""
    folder = folders.write("a", folders.party("shard"))
    (folder / "ca.crt").unlink()
    assert certificates.Certificates(folder, authorities=False).current().authorities == b""

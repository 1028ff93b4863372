"""Keys, and what they allow."""

import pytest

from vectorfleet_gateway import errors
from vectorfleet_gateway.auth import keys, policy


@pytest.fixture
def folder(tmp_path):
    """A folder with one key."""
    (tmp_path / "first").write_text("key-1\n")
    return tmp_path


def passes(ring, key):
    """Return whether a key is valid."""
    try:
        ring.authenticate(key)
    except errors.UnauthenticatedError:
        return False
    return True


def test_several_keys_are_valid_at_once():
    """Each is known by its name."""
    ring = keys.KeyRing({"old": "key-1", "new": "key-2"})
    assert ring.authenticate("key-1").name == "old"
    assert ring.authenticate("key-2").name == "new"


@pytest.mark.parametrize("key", [None, "", "key", "key-11", "KEY-1", "key-1 ", "\udce9", "k" * 100_000])
def test_other_keys_are_not(key):
    """Neither a part of a key nor more than it."""
    assert not passes(keys.KeyRing({"first": "key-1"}), key)


def test_keys_are_not_kept():
    """What is in memory is a digest; the key itself is nowhere in the ring."""
    assert "key-1" not in repr(vars(keys.KeyRing({"first": "key-1"})))


def test_keys_rotate(folder):
    """A key that is added becomes valid, one that is removed stops to be."""
    followed = keys.KeyFolder(folder)
    (folder / "second").write_text("key-2")
    followed.refresh()
    assert passes(followed.ring, "key-1")
    assert passes(followed.ring, "key-2")
    (folder / "first").unlink()
    followed.refresh()
    assert not passes(followed.ring, "key-1")
    assert passes(followed.ring, "key-2")


def test_a_mounted_secret_is_followed(folder):
    """Kubernetes swaps a hidden link to a hidden folder; what begins with a dot is no key."""
    (folder / "first").unlink()
    for version, key in (("..1", "key-1"), ("..2", "key-2")):
        (folder / version).mkdir()
        (folder / version / "api-key").write_text(key)
    (folder / "..data").symlink_to("..1")
    (folder / "api-key").symlink_to("..data/api-key")
    followed = keys.KeyFolder(folder)
    assert passes(followed.ring, "key-1")
    (folder / "..new").symlink_to("..2")
    (folder / "..new").rename(folder / "..data")
    followed.refresh()
    assert passes(followed.ring, "key-2")
    assert not passes(followed.ring, "key-1")


def test_no_key_left_refuses_everything(folder):
    """Removing the last key is a revocation."""
    followed = keys.KeyFolder(folder)
    (folder / "first").unlink()
    followed.refresh()
    assert not passes(followed.ring, "key-1")


def test_a_folder_that_goes_away_changes_nothing(folder):
    """What can't be read is no revocation."""
    followed = keys.KeyFolder(folder)
    (folder / "first").unlink()
    folder.rmdir()
    followed.refresh()
    assert passes(followed.ring, "key-1")


@pytest.mark.parametrize("content", [b"", b"\n", b"a b", b"a\nb", "é".encode(), b"\xff", b"a\0"])
def test_a_folder_without_a_key_is_refused(tmp_path, content):
    """Nothing ever runs open: a file that holds no key does not count as one."""
    (tmp_path / "first").write_bytes(content)
    with pytest.raises(errors.SettingsError, match="holds no key"):
        keys.KeyFolder(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    """The message names the variable."""
    with pytest.raises(errors.SettingsError, match="VECTORFLEET_API_KEYS_DIR"):
        keys.KeyFolder(tmp_path / "none")


@pytest.mark.parametrize("role", list(policy.Role))
@pytest.mark.parametrize("needed", list(policy.Role))
def test_a_role_includes_those_before_it(role, needed):
    """Read, then write, then admin."""
    if role >= needed:
        policy.authorize(policy.Principal("x", role), needed)
    else:
        with pytest.raises(errors.PermissionDeniedError):
            policy.authorize(policy.Principal("x", role), needed)

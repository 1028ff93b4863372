"""Keys, what they grant, and what is refused to whom."""

import hashlib
import json

import pytest

from vectorfleet_gateway import errors, operations, policy
from vectorfleet_gateway.auth import keys
from vectorfleet_gateway.routes import table
from vectorfleet_runtime import grants

NOW = 1_800_000_000.0


@pytest.fixture
def folder(tmp_path):
    """A folder with one key."""
    (tmp_path / "first").write_text("key-1\n")
    return tmp_path


def ring_of(**named):
    """Return a ring of plain keys."""
    return keys.KeyRing(grants.plain(name, key) for name, key in named.items())


def entry(key="key-1", **given):
    """Return an entry that grants by digest."""
    return json.dumps({"sha256": hashlib.sha256(key.encode()).hexdigest()} | given).encode()


def passes(ring, key, now=NOW):
    """Return whether a key is valid."""
    try:
        ring.authenticate(key, now)
    except errors.UnauthenticatedError:
        return False
    return True


def test_several_keys_are_valid_at_once():
    """Each is known by its name."""
    ring = ring_of(old="key-1", new="key-2")
    assert ring.authenticate("key-1", NOW).name == "old"
    assert ring.authenticate("key-2", NOW).name == "new"


@pytest.mark.parametrize("key", [None, "", "key", "key-11", "KEY-1", "key-1 ", "\udce9", "k" * 100_000])
def test_other_keys_are_not(key):
    """Neither a part of a key nor more than it."""
    assert not passes(ring_of(first="key-1"), key)


def test_the_digest_of_a_key_is_no_key():
    """Who reads the Secret with the digests can't get in with them."""
    ring = keys.KeyRing([grants.parse("a", entry())])
    digest = hashlib.sha256(b"key-1").hexdigest()
    assert not passes(ring, digest)
    assert not passes(ring, entry().decode())
    assert passes(ring, "key-1")


def test_keys_are_not_kept():
    """What is in memory is a digest; the key itself is nowhere in the ring."""
    assert "key-1" not in repr(vars(ring_of(first="key-1")))


def test_an_entry_names_role_namespaces_and_expiry():
    """All that it says holds; what it leaves out is everything."""
    content = entry(role="read", namespaces=["shop", "__default__"], expires="2027-01-15T08:00:00Z")
    granted = grants.parse("reader", content)
    assert granted == grants.Grant(
        hashlib.sha256(b"key-1").digest(),
        policy.Principal("reader", policy.Role.READ, frozenset({"shop", ""}), NOW),
    )
    assert grants.parse("all", entry()).principal == policy.Principal("all")


def test_a_key_expires():
    """From its moment on it is as good as none, and is not told from one."""
    ring = keys.KeyRing([grants.parse("a", entry(expires="2027-01-15T08:00:00Z"))])
    assert passes(ring, "key-1", NOW - 0.001)
    with pytest.raises(errors.UnauthenticatedError, match="not valid"):
        ring.authenticate("key-1", NOW)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "none"),
        (b"{}", "sha256"),
        (entry(role="root"), "root"),
        (entry(expires="2027-01-15T08:00:00"), "time zone"),
        (entry(expires="soon"), "expires"),
        (entry(namespaces="shop"), "namespaces"),
        (entry(key="k", more=1), "more"),
        (b'{"sha256": "abc"}', "sha256"),
        (b"[" * 20_000, "bytes"),
        (b"{" + b'"a":{' * 3_000, "JSON"),
    ],
)
def test_an_entry_that_is_wrong_grants_nothing(content, why):
    """Why is said, and no part of a key or digest is in it."""
    with pytest.raises(ValueError, match=why) as refused:
        grants.parse("a", content)
    assert hashlib.sha256(b"key-1").hexdigest() not in str(refused.value)


def test_a_wrong_entry_spoils_no_other(folder):
    """The others hold."""
    (folder / "second").write_bytes(b"{}")
    assert passes(keys.KeyFolder(folder).ring, "key-1")


def test_keys_rotate(folder):
    """A key that is added becomes valid, one that is removed stops to be."""
    followed = keys.KeyFolder(folder)
    (folder / "second").write_bytes(entry("key-2"))
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


@pytest.mark.parametrize("content", [b"", b"\n", b"a b", b"a\nb", "é".encode(), b"\xff", b"a\0", b"{}"])
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


REQUESTS = {
    "upsert": ("POST", "/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0]}]}, ""),
    "update": ("POST", "/vectors/update", {"id": "a", "values": [1, 0]}, ""),
    "delete": ("POST", "/vectors/delete", {"ids": ["b"]}, ""),
    "fetch": ("GET", "/vectors/fetch", None, "ids=a"),
    "list": ("GET", "/vectors/list", None, "limit=5"),
    "query": ("POST", "/query", {"vector": [1, 0], "topK": 1}, ""),
    "stats": ("POST", "/describe_index_stats", {}, ""),
    "list_namespaces": ("GET", "/namespaces", None, ""),
    "describe_namespace": ("GET", "/namespaces/{name}", None, ""),
    "delete_namespace": ("DELETE", "/namespaces/{name}", None, ""),
    "upsert_records": ("POST", "/records/namespaces/{name}/upsert", {"_id": "a", "text": "x"}, ""),
    "search_records": (
        "POST",
        "/records/namespaces/{name}/search",
        {"query": {"top_k": 1, "vector": {"values": [1, 0]}}},
        "",
    ),
    "openapi": ("GET", "/openapi.json", None, ""),
    "docs": ("GET", "/docs", None, ""),
}
"""A good request of each route; where the route takes a namespace is known by its form."""
REFUSED = {"upsert_records"}
"""Let in, and refused for what it asks: this index has no embedder."""
EVERYWHERE = {"stats", "list_namespaces", "openapi", "docs"}


def test_every_route_is_tried():
    """A new route has to be added above, and so to the tests of who may do what."""
    assert set(REQUESTS) == {route.name for route in table.ROUTES}


async def test_every_described_route_is_tried(gateway):
    """What the OpenAPI document tells the world of is what the tests of who may do what go through."""
    described = (await gateway.ask("GET", "/openapi.json")).json["paths"]
    told = {
        (method.upper(), path)
        for path, methods in described.items()
        for method in methods
        if method in {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
    }
    assert told == {(method, path) for method, path, *_ in REQUESTS.values()}


async def ask(gateway, name, namespace, key):
    """Send the request of a route about a namespace; return its status."""
    method, path, body, query = REQUESTS[name]
    if operations.NAME in path:
        path = path.replace(operations.NAME, namespace)
    elif name not in EVERYWHERE and body is not None:
        body = body | {"namespace": namespace}
    elif name not in EVERYWHERE:
        query += f"&namespace={namespace}"
    done = await gateway.ask(method, path, body, query, {"api-key": key})
    return done.status


@pytest.mark.parametrize("name", list(REQUESTS))
async def test_who_may_do_what(gateway, name):
    """Without a key 401; with one of a lesser role, or of another namespace, 403; with its own, an answer."""
    needed = next(route.role for route in table.ROUTES if route.name == name)
    assert await ask(gateway, name, "mine", None) == 401
    for role in policy.Role:
        await gateway.upsert([("a", [1, 0])], "mine")
        content = entry("key-2", role=role.name.lower(), namespaces=["mine"])
        gateway.ring.replace([grants.plain("first", "key-1"), grants.parse("second", content)])
        done = 400 if name in REFUSED else 200
        assert await ask(gateway, name, "mine", "key-2") == (done if role >= needed else 403)
        if name not in EVERYWHERE:
            assert await ask(gateway, name, "other", "key-2") == 403


async def test_other_namespaces_are_not_shown(gateway):
    """Lists and counts hold what the key allows, and nothing tells of the rest."""
    for namespace in ("mine", "theirs", ""):
        await gateway.upsert([("a", [1, 0])], namespace)
    gateway.ring.replace([grants.parse("second", entry("key-2", role="read", namespaces=["mine"]))])
    own = {"api-key": "key-2"}
    stats = (await gateway.ask("POST", "/describe_index_stats", {}, headers=own)).json
    assert (stats["totalVectorCount"], set(stats["namespaces"])) == (1, {"mine"})
    listed = (await gateway.ask("GET", "/namespaces", headers=own)).json["namespaces"]
    assert [one["name"] for one in listed] == ["mine"]
    hidden = await gateway.ask("GET", "/namespaces/theirs", headers=own)
    missing = await gateway.ask("GET", "/namespaces/nobody", headers=own)
    assert hidden.status == missing.status == 403

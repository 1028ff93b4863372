"""Callers by token, on real processes: an issuer's keys from a file and from a URL, and how they change."""

import asyncio
import contextlib
import http.server
import json
import threading
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from vectorfleet_gateway import errors
from vectorfleet_gateway.auth import bearers, issuers

AUDIENCE = "vectorfleet"


class Issuer:
    """An issuer with one key at a time."""

    def __init__(self):
        self.number = 0
        self.rotate()

    def rotate(self):
        """Sign by another key."""
        self.number += 1
        self.key = ed25519.Ed25519PrivateKey.generate()

    @property
    def kid(self):
        """The name of the key."""
        return f"key-{self.number}"

    def keys(self):
        """Return the set of keys."""
        entry = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(self.key.public_key()))
        return json.dumps({"keys": [entry | {"kid": self.kid, "use": "sig"}]}).encode()

    def token(self, **claims):
        """Return a token."""
        right = {"aud": AUDIENCE, "sub": "ann", "exp": time.time() + 600, "role": "read"}
        return jwt.encode(right | claims, self.key, "EdDSA", headers={"kid": self.kid})


def status(fleet, token, method="GET", path="/namespaces", **more):
    """Return the status that a token gets."""
    with fleet.http() as client:
        del client.headers["Api-Key"]
        return client.request(method, path, headers={"Authorization": f"Bearer {token}"}, **more).status_code


def until(condition, seconds=30):
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


ROW = {"vectors": [{"id": "a", "values": [1, 2, 3, 4]}], "namespace": "shop"}


def test_tokens_by_a_file(make_fleet, tmp_path):
    """Roles and namespaces hold as for keys, which work beside; a changed file changes who is let in."""
    issuer, file = Issuer(), tmp_path / "jwks.json"
    file.write_bytes(issuer.keys())
    fleet = make_fleet(shards=1, JWT_KEYS=file, JWT_AUDIENCE=AUDIENCE)
    with fleet.http() as client:
        assert client.post("/vectors/upsert", json=ROW).status_code == 200
    reader, writer = issuer.token(namespaces=["shop"]), issuer.token(role="write", namespaces=["shop"])
    assert status(fleet, reader) == 200
    assert status(fleet, reader, "POST", "/vectors/upsert", json=ROW) == 403
    assert status(fleet, writer, "POST", "/vectors/upsert", json=ROW) == 200
    assert status(fleet, writer, "POST", "/vectors/upsert", json=ROW | {"namespace": "other"}) == 403
    assert status(fleet, issuer.token(aud="other")) == 401
    assert status(fleet, issuer.token(exp=time.time() - 60)) == 401
    assert status(fleet, "integration-key") == 401
    issuer.rotate()
    assert status(fleet, issuer.token()) == 401
    file.write_bytes(issuer.keys())
    until(lambda: status(fleet, issuer.token()) == 200)
    assert status(fleet, reader) == 401
    file.write_bytes(b"{}")
    until(lambda: "can't read the issuer's keys" in fleet.gateway.log)
    assert status(fleet, issuer.token()) == 200
    assert '"principal": "jwt:ann"' in fleet.gateway.log
    assert reader not in fleet.gateway.log


def test_what_a_subject_may_ask(make_fleet, tmp_path):
    """All its tokens together, of requests and of rows; another's are its own, and keys have none of it."""
    issuer, file = Issuer(), tmp_path / "jwks.json"
    file.write_bytes(issuer.keys())
    fleet = make_fleet(
        shards=1,
        JWT_KEYS=file,
        JWT_AUDIENCE=AUDIENCE,
        JWT_REQUESTS_PER_SECOND=0.001,
        JWT_BURST=3,
        JWT_ROWS_PER_SECOND=0.001,
    )
    tokens = [issuer.token(role="write", jti=str(number)) for number in range(4)]
    assert status(fleet, tokens[0], "POST", "/vectors/upsert", json=ROW) == 200
    assert status(fleet, tokens[1], "POST", "/vectors/upsert", json=ROW) == 429
    assert [status(fleet, token) for token in tokens[2:]] == [200, 429]
    assert status(fleet, issuer.token(sub="bob")) == 200
    with fleet.http() as client:
        assert [client.get("/namespaces").status_code for _ in range(5)] == [200] * 5


@pytest.fixture
def published():
    """An issuer whose keys are at a URL; what it answers may be changed."""
    issuer = Issuer()
    issuer.status, issuer.asked, issuer.headers = 200, 0, {}
    issuer.send = lambda stream, body: stream.write(body)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            issuer.asked += 1
            body = issuer.keys()
            self.send_response(issuer.status)
            for name, value in ({"Content-Length": str(len(body))} | issuer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who asked may have had enough
                issuer.send(self.wfile, body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}/jwks"
    yield issuer
    server.shutdown()
    server.server_close()
    thread.join()


def test_tokens_by_a_url(make_fleet, published):
    """A new key is known soon after its first token; an issuer that leads elsewhere changes nothing."""
    fleet = make_fleet(alone=True, JWT_KEYS=published.url, JWT_AUDIENCE=AUDIENCE)
    until(lambda: status(fleet, published.token()) == 503)  # let in; the shards are away
    before = published.token()
    published.status, published.headers = 302, {"Location": "http://127.0.0.1:1/"}
    published.rotate()
    assert status(fleet, published.token()) == 401
    until(lambda: "it answers HTTP 302" in fleet.gateway.log)
    assert status(fleet, before) == 503
    published.status, published.headers = 200, {}
    until(lambda: status(fleet, published.token()) == 503)
    assert status(fleet, before) == 401


@pytest.fixture
def made():
    """Return a function that makes the follower of an issuer, and the bearers of its tokens."""

    def make(url):
        holders = bearers.Bearers(bearers.terms_of(AUDIENCE, "EdDSA"))
        return issuers.Issuer(url, holders), holders

    return make


def is_let_in(holders, token):
    """Tell whether a token is taken."""
    try:
        holders.enter({"authorization": f"Bearer {token}"}, time.time())
    except errors.UnauthenticatedError:
        return False
    return True


async def test_proxies_of_the_environment_are_not_used(made, published, monkeypatch):
    """Whoever sets them could slip in keys."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    follower, holders = made(published.url)
    await follower.refresh()
    assert is_let_in(holders, published.token())


@pytest.mark.parametrize("host", ["0xa9fea9fe", "169.254.169.254", "[fd00:ec2::254]"])
async def test_an_issuer_is_at_no_forbidden_address(made, caplog, host):
    """What its name leads to is looked at before anything is connected, as a service's is."""
    follower, _ = made(f"https://{host}/jwks")
    async with asyncio.timeout(30):
        await follower.refresh()
    assert "where no service may be" in caplog.records[-1].why


async def test_an_issuer_that_drips_is_given_up(made, published, caplog, monkeypatch):
    """The whole answer has a time, not each piece of it; the last keys stay."""
    follower, holders = made(published.url)
    await follower.refresh()
    monkeypatch.setattr(issuers, "SECONDS", 0.5)
    gone = threading.Event()

    def drip(stream, body):
        for byte in body:
            if gone.wait(0.2):
                return
            stream.write(bytes([byte]))

    published.send = drip
    try:
        async with asyncio.timeout(15):
            await follower.refresh()
    finally:
        gone.set()
    assert "within 0.5 s" in caplog.records[-1].why
    assert is_let_in(holders, published.token())


async def test_what_is_too_long_is_no_set_of_keys(made, published, caplog):
    """It is not read to its end."""
    published.headers = {"Content-Length": str(2 * issuers.MAX_BYTES)}
    published.send = lambda stream, body: stream.write(b" " * 2 * issuers.MAX_BYTES)
    follower, _ = made(published.url)
    await follower.refresh()
    assert "longer than" in caplog.records[-1].why


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"JWT_KEYS": "/nowhere/jwks"}, "VECTORFLEET_JWT_AUDIENCE"),
        ({"JWT_KEYS": "/nowhere/jwks", "JWT_AUDIENCE": "a"}, "can't use /nowhere/jwks"),
        ({"JWT_KEYS": "http://example.org/jwks", "JWT_AUDIENCE": "a"}, "neither a file nor an https URL"),
        ({"JWT_KEYS": "ftp://example.org/jwks", "JWT_AUDIENCE": "a"}, "neither a file nor an https URL"),
        ({"JWT_KEYS": "/x", "JWT_AUDIENCE": "a", "JWT_ALGORITHMS": "HS256"}, "can't be signed by"),
    ],
)
def test_what_would_not_be_safe_does_not_start(make_fleet, settings, said):
    """In one line, with status 2."""
    fleet = make_fleet(alone=True, start=False, **settings)
    fleet.gateway.start()
    assert fleet.gateway.process.wait(20) == 2
    assert said in fleet.gateway.log

"""Tokens: whose are taken, and what their claims grant."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from vectorfleet_gateway import errors, policy
from vectorfleet_gateway.auth import bearers
from vectorfleet_runtime import grants

AUDIENCE, ISSUER = "vectorfleet", "https://issuer.test"
RSA, OTHER_RSA, WEAK_RSA = (rsa.generate_private_key(65537, size) for size in (2048, 2048, 1024))
ED, EC = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
ALGORITHMS = {
    "rsa": jwt.algorithms.RSAAlgorithm,
    "ed": jwt.algorithms.OKPAlgorithm,
    "ec": jwt.algorithms.ECAlgorithm,
}


def jwk(key, kind, kid, **more):
    """Return the public half of a key as a JWK."""
    return json.loads(ALGORITHMS[kind].to_jwk(key.public_key())) | {"kid": kid} | more


KEYS = {"keys": [jwk(RSA, "rsa", "r"), jwk(ED, "ed", "e"), jwk(EC, "ec", "c")]}


def claims(**changes):
    """Return claims that are right, with changes; None leaves one out."""
    right = {"aud": AUDIENCE, "iss": ISSUER, "sub": "ann", "exp": time.time() + 60, "role": "read"}
    return {name: value for name, value in (right | changes).items() if value is not None}


def sign(key=ED, algorithm="EdDSA", kid="e", headers=None, **changes):
    """Return a token."""
    named = ({"kid": kid} if kid else {}) | (headers or {})
    return jwt.encode(claims(**changes), key, algorithm, headers=named)


def holders(keys=KEYS, **terms):
    """Return whoever has tokens of some keys."""
    found = bearers.terms_of(AUDIENCE, terms.pop("algorithms", "RS256,EdDSA"), **({"issuer": ISSUER} | terms))
    return bearers.Bearers(found, bearers.parse_keys(json.dumps(keys).encode()))


def enter(token, who=None, now=None, kind="Bearer"):
    """Show a token; return the principal, or None where it is refused."""
    try:
        return (who or holders()).enter({"authorization": f"{kind} {token}"}, now or time.time())
    except errors.UnauthenticatedError:
        return None


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA, "RS256", "r"), (ED, "EdDSA", "e")])
def test_a_token_of_the_issuer_is_taken(key, algorithm, kid):
    """By RSA and by Ed25519; its subject names the caller, its claims what it may do."""
    found = enter(sign(key, algorithm, kid, namespaces=["shop", "__default__"]))
    assert (found.name, found.role, found.namespaces) == ("jwt:ann", policy.Role.READ, {"shop", ""})
    assert enter(sign(key, algorithm, kid)).namespaces is None
    assert enter(sign(key, algorithm, kid), kind="bearer") is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"aud": ["a", "b"]},
        {"iss": "https://evil.test"},
        {"iss": None},
        {"exp": None},
        {"exp": 1},
        {"exp": "soon"},
        {"nbf": 1e11},
        {"iat": 1e11},
        {"role": None},
        {"role": "root"},
        {"role": 3},
        {"role": {}},
        {"role": []},
        {"namespaces": "shop"},
        {"namespaces": [1]},
        {"namespaces": {"shop": 1}},
    ],
    ids=str,
)
def test_claims_that_do_not_fit_are_refused(changes):
    """Another audience or issuer, no expiry, not yet or no more valid, no role."""
    assert enter(sign(**changes)) is None
    assert enter(sign()) is not None


def test_clocks_may_differ_a_little():
    """By the leeway and no more, before and after; a token that was taken ends too."""
    who, now = holders(leeway=30), time.time()
    assert enter(sign(exp=now - 20), who) is not None
    assert enter(sign(exp=now - 40), who) is None
    assert enter(sign(nbf=now + 20), who) is not None
    assert enter(sign(nbf=now + 40), who) is None
    token = sign(exp=now + 5)
    assert enter(token, who, now + 34) is not None
    assert enter(token, who, now + 36) is None


def forge(header, secret=b"", body=None):
    """Return a token with a header of one's own, signed by HMAC where there is a secret."""
    parts = [json.dumps(part).encode() for part in (header, body or claims())]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.new(secret, signed, hashlib.sha256).digest() if secret else b""
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_nobody_chooses_the_algorithm():
    """Neither none, nor HMAC by the public key, nor one that is not allowed or that the key is not for."""
    public = RSA.public_key().public_bytes(*_pem())
    for kid in ("r", "e", None):
        for name in ("none", "None", "NONE", ""):
            assert enter(forge({"alg": name, "typ": "JWT", "kid": kid})) is None
        for name in ("HS256", "RS256", "EdDSA"):
            assert enter(forge({"alg": name, "kid": kid}, public)) is None
    assert enter(sign(EC, "ES256", "c")) is None
    assert enter(sign(EC, "ES256", "c"), holders(algorithms="ES256")) is not None
    assert enter(sign(RSA, "RS256", "r"), holders(algorithms="EdDSA")) is None
    assert enter(sign(RSA, "PS256", "r"), holders(algorithms="RS256,PS256")) is None
    assert enter(sign(RSA, "RS256", "e")) is None


def _pem():
    return serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo


def test_a_key_in_the_token_is_no_key():
    """Nor is one that it points to: the issuer's set is all there is."""
    own = jwk(OTHER_RSA, "rsa", "r")
    for headers in (
        {"jwk": own},
        {"jku": "https://evil.test/jwks"},
        {"x5u": "https://evil.test"},
        {"x5c": ["MIIB"]},
    ):
        assert enter(sign(OTHER_RSA, "RS256", "r", headers)) is None
    for kid in ("../../dev/null", "x' UNION SELECT 'key", "r\0", "e" * 10_000):
        assert enter(sign(OTHER_RSA, "RS256", kid)) is None


def test_a_changed_token_is_refused():
    """Whatever part of it was changed."""
    token = sign()
    header, body, signature = token.split(".")
    other = sign(role="admin").split(".")[1]
    for changed in (
        f"{header}.{other}.{signature}",
        f"{header}.{body}.",
        f"{header}.{body}",
        token[:-4],
        token + "x",
        f"{token}.x",
    ):
        assert enter(changed) is None


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "x",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer " + "a" * 20_000,
        "Bearer \udce9",
        "Bearer " + "." * 5000,
    ],
)
def test_what_is_no_token_is_refused(shown):
    """In the same words as a wrong one."""
    with pytest.raises(errors.UnauthenticatedError, match="the token is not valid"):
        holders().enter({"authorization": shown}, time.time())


def test_deep_claims_are_refused():
    """A token is read before its signature is looked at, and does no harm."""
    deep = base64.urlsafe_b64encode(b"[" * 9_000).rstrip(b"=").decode()
    header = base64.urlsafe_b64encode(b'{"alg":"EdDSA","kid":"e"}').rstrip(b"=").decode()
    assert enter(f"{deep}.{deep}.x") is None
    assert enter(f"{header}.{deep}.x") is None


@pytest.mark.parametrize(
    ("named", "most", "role"),
    [
        ("admin", "WRITE", "WRITE"),
        ("admin", "ADMIN", "ADMIN"),
        ("write", "READ", "READ"),
        (["x", "read", "write"], "ADMIN", "WRITE"),
    ],
)
def test_no_token_grants_more_than_the_settings(named, most, role):
    """An issuer may name roles for other services too; the greatest that we know counts, up to ours."""
    assert enter(sign(role=named), holders(max_role=policy.Role[most])).role is policy.Role[role]


def test_claims_may_have_other_names():
    """As the issuer calls them."""
    who = holders(role_claim="https://x/role", namespaces_claim="https://x/ns")
    found = enter(sign(**{"role": None, "https://x/role": "write", "https://x/ns": ["a"]}), who)
    assert (found.role, found.namespaces) == (policy.Role.WRITE, {"a"})


def test_a_subject_does_no_harm_in_logs():
    """It is cut, and what does not print is not printed."""
    shown, _, digest = enter(sign(sub="a\n\x1b[31m" + "b" * 500)).name.partition("…")
    assert (shown, len(digest)) == ("jwt:a??[31m" + "b" * 121, 16)
    assert enter(sign(sub=None)).name == "jwt:"


def test_keys_are_replaced():
    """What the former ones signed is refused, though it was taken before; a missing key is noted."""
    who, token = holders(), sign()
    assert enter(token, who) is not None
    who.replace(bearers.parse_keys(json.dumps({"keys": [jwk(RSA, "rsa", "r")]}).encode()))
    assert not who.missed
    assert enter(token, who) is None
    assert who.missed
    assert enter(sign(RSA, "RS256", None), who) is not None


@pytest.mark.parametrize(
    "keys",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": 1}',
        b'{"keys": []}',
        b'{"keys": ["x"]}',
        b"[" * 50_000,
        b'{"keys": [{"kty": "RSA"}]}',
        json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "h"}]}).encode(),
        json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "RS256"}]}).encode(),
        json.dumps({"keys": [jwk(WEAK_RSA, "rsa", "w")]}).encode(),
        json.dumps({"keys": [jwk(RSA, "rsa", "r", use="enc")]}).encode(),
        json.dumps({"keys": [jwk(RSA, "rsa", "r", alg="HS256")]}).encode(),
        json.dumps({"keys": [jwk(RSA, "rsa", "r")] * 101}).encode(),
    ],
    ids=range(14),
)
def test_sets_that_hold_no_key_are_refused(keys):
    """Shared secrets, weak keys and keys for something else are none."""
    with pytest.raises(bearers.Unusable):
        bearers.parse_keys(keys)


def test_a_token_is_verified_once():
    """The second time it costs a digest; no more than a thousand are remembered."""
    who, token = holders(), sign()
    assert enter(token, who) is enter(token, who)
    for number in range(1_100):
        who._remember(str(number).encode(), policy.Principal("x"))
    assert len(who._known) == 1_024


@pytest.mark.parametrize(
    ("audience", "algorithms"),
    [("", "RS256"), ("a", ""), ("a", "HS256"), ("a", "none"), ("a", "RS256,HS256")],
)
def test_terms_that_are_not_safe_are_refused(audience, algorithms):
    """Without an audience, or with an algorithm of a shared secret, nothing starts."""
    with pytest.raises(errors.SettingsError):
        bearers.terms_of(audience, algorithms)


def test_each_subject_has_the_issuer_s_quota():
    """Whatever its tokens: by its name, which no other subject has."""
    quota = grants.Quota(requests_per_second=5)
    who = holders(quota=quota)
    one, again, other = (
        enter(sign(sub=sub, jti=jti), who) for sub, jti in (("a", "1"), ("a", "2"), ("b", "1"))
    )
    assert (one.name, one.quota, one.issued) == (again.name, again.quota, True) == ("jwt:a", quota, True)
    assert other.name != one.name
    assert enter(sign()).quota is None


@pytest.mark.parametrize(
    ("left", "right"),
    [("a" * 200 + "1", "a" * 200 + "2"), ("a\nb", "a\tb"), ("a\nb", "a?b"), ("\ud800", "\ud801")],
)
def test_no_two_subjects_have_one_name(left, right):
    """What can't be shown, or is too long, is told apart by a digest."""
    names = [bearers._name(one) for one in (left, right)]
    assert names[0] != names[1]
    assert all(name.isprintable() and len(name) < 160 for name in names)

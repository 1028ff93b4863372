"""Callers by token: a JWT that an issuer signed, and what its claims grant.

Checked are the signature, by a key of the issuer's set that is meant for it; the algorithm, which the index
allows and the key fits; audience, issuer, `exp` and `nbf`, with some leeway for clocks. The claims grant a
role and namespaces as an API key's entry does, and never more than the settings allow.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import msgspec

from .. import body, errors, limits, policy

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
"""Those that may be allowed: none that shares a secret, and not `none`."""
MAX_TOKEN_BYTES = 16 * 1024
MAX_KEYS = 100
_MIN_RSA_BITS = 2048
_REMEMBERED = 1_024
_MOST_SHOWN = 128
"""Characters of a subject in logs."""
_ROLES = {role.name.lower(): role for role in policy.Role}
_WRONG = "the token is not valid"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a token has to be.

    Attributes:
        audience: one of its `aud`.
        issuer: its `iss`; any where empty.
        algorithms: those that are allowed.
        leeway: seconds that clocks may differ by.
        role_claim: holds a role, or a list of which the greatest counts.
        namespaces_claim: holds a list of namespaces; a token without it may use all.
        max_role: no token grants more.
        quota: how much each `sub` may ask, whatever its tokens; None for as much as it likes.
    """

    audience: str
    issuer: str = ""
    algorithms: tuple[str, ...] = ("RS256", "EdDSA")
    leeway: float = 30.0
    role_claim: str = "role"
    namespaces_claim: str = "namespaces"
    max_role: policy.Role = policy.Role.WRITE
    quota: policy.Quota | None = None


def terms_of(audience: str, algorithms: str, **others: Any) -> Terms:
    """Return what tokens have to be; `algorithms` are separated by commas.

    Raises:
        SettingsError: no audience is named, or an algorithm that can't be allowed.
    """
    if not audience:
        raise errors.SettingsError(
            "tokens need an audience: name what their `aud` has to be, or those for other services would do"
        )
    named = tuple(name.strip() for name in algorithms.split(",") if name.strip())
    if not named or not set(named) <= set(ALGORITHMS):
        raise errors.SettingsError(
            f"tokens can't be signed by {algorithms or 'nothing'!r}; choose of {', '.join(ALGORITHMS)}"
        )
    return Terms(audience, algorithms=named, **others)


class Unusable(ValueError):  # noqa: N818  # said of a text
    """A text is no set of keys; the message says why."""


def parse_keys(content: bytes) -> dict[str, jwt.PyJWK]:
    """Return the keys of a JSON Web Key Set that can verify, by key id; "" is one without.

    Raises:
        Unusable: it is no set, or has no key that could be used.
    """
    try:
        entries = msgspec.json.decode(content)["keys"]
        entries = [entry for entry in entries if isinstance(entry, dict)]
    except (msgspec.DecodeError, RecursionError, KeyError, TypeError):
        raise Unusable('it is no JSON object with a list "keys"') from None
    if len(entries) > MAX_KEYS:
        raise Unusable(f"it has {len(entries)} keys; at most {MAX_KEYS} are read")
    found = {str(entry.get("kid", "")): key for entry in entries if (key := _key(entry)) is not None}
    if not found:
        raise Unusable(f"none of its {len(entries)} keys can verify one of {', '.join(ALGORITHMS)}")
    return found


class Bearers:
    """Whoever has a token.

    Args:
        terms: what tokens have to be.
        keys: of the issuer, by key id; none as long as they are not known.
    """

    def __init__(self, terms: Terms, keys: Mapping[str, jwt.PyJWK] | None = None) -> None:
        self._terms = terms
        self._keys = dict(keys or {})
        self._known: OrderedDict[bytes, policy.Principal] = OrderedDict()
        self.missed = False
        """Whether a token named a key that is not in the set."""

    def replace(self, keys: Mapping[str, jwt.PyJWK]) -> None:
        """Make these the issuer's keys; what the former ones signed is looked at anew."""
        self._keys = dict(keys)
        self._known.clear()
        self.missed = False

    def enter(self, headers: body.Headers, now: float) -> policy.Principal:
        """Return whom a request's token names.

        Raises:
            UnauthenticatedError: it has none, or one that is not valid; why is not told.
        """
        kind, _, token = (headers.get("authorization") or "").partition(" ")
        if kind.lower() != "bearer" or not token or len(token) > MAX_TOKEN_BYTES:
            raise errors.UnauthenticatedError(_WRONG)
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        principal = self._known.get(digest)
        if principal is None:
            principal = self._remember(digest, self._verify(token.strip()))
        if principal.expires is not None and now >= principal.expires + self._terms.leeway:
            raise errors.UnauthenticatedError(_WRONG)
        return principal

    def _remember(self, digest: bytes, principal: policy.Principal) -> policy.Principal:
        self._known[digest] = principal
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return principal

    def _verify(self, token: str) -> policy.Principal:
        try:
            header = jwt.get_unverified_header(token)
            # A key verifies by its own algorithm alone, whatever the token's header says.
            claims = jwt.decode(
                token,
                self._key_of(header),
                algorithms=self._terms.algorithms,
                audience=self._terms.audience,
                issuer=self._terms.issuer or None,
                leeway=self._terms.leeway,
                options={"require": ["exp", "aud", *(["iss"] if self._terms.issuer else [])]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise errors.UnauthenticatedError(_WRONG) from None
        return _principal(claims, self._terms)

    def _key_of(self, header: Mapping[str, Any]) -> jwt.PyJWK:
        named = header.get("kid")
        if named is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        found = self._keys.get(str(named or ""))
        if found is None:
            self.missed = True
            raise jwt.InvalidKeyError("no such key")
        return found


def _principal(claims: Mapping[str, Any], terms: Terms) -> policy.Principal:
    named = claims.get(terms.role_claim)
    listed = named if isinstance(named, list) else [named]
    roles = [_ROLES[one] for one in listed if isinstance(one, str) and one in _ROLES]
    if not roles:
        raise errors.UnauthenticatedError(f"the token's claim {terms.role_claim!r} names no role")
    namespaces = claims.get(terms.namespaces_claim)
    if namespaces is not None and not (
        isinstance(namespaces, list) and all(isinstance(one, str) for one in namespaces)
    ):
        raise errors.UnauthenticatedError(f"the token's claim {terms.namespaces_claim!r} is no list of names")
    return policy.Principal(
        _name(claims.get("sub")),
        min(max(roles), terms.max_role),
        None if namespaces is None else frozenset(_plain(one) for one in namespaces),
        float(claims["exp"]),
        terms.quota,
        issued=True,
    )


def _name(subject: object) -> str:
    """Return what logs call the holder of a token, and what it is counted by: each subject has its own."""
    text = subject if isinstance(subject, str) else ""
    if len(text) <= _MOST_SHOWN and text.isprintable():
        return f"jwt:{text}"
    shown = "".join(one if one.isprintable() else "?" for one in text[:_MOST_SHOWN])
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"jwt:{shown}…{digest[:16]}"


def _plain(namespace: str) -> str:
    return "" if namespace == limits.DEFAULT_NAMESPACE else namespace


def _key(entry: Mapping[str, Any]) -> jwt.PyJWK | None:
    """Return a key that may verify signatures, None where it is for something else or too weak."""
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        return None
    try:
        key = jwt.PyJWK(dict(entry))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if key.algorithm_name not in ALGORITHMS:
        return None
    if key.key_type == "RSA" and getattr(key.key, "key_size", 0) < _MIN_RSA_BITS:
        return None
    return key

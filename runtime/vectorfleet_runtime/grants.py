"""What a file of a folder of keys grants: a key, or the digest of one with role, namespaces, expiry. Pure.

Gateways and the control plane's API know their callers by the same files.

```
vf-3kq…                                          the key itself: admin, everywhere, for ever
{"sha256": "9f86…", "role": "read",              its digest, so that the key is nowhere at rest
 "namespaces": ["shop"], "expires": "2027-01-01T00:00:00Z",
 "limits": {"requestsPerSecond": 50, "burst": 100, "rowsPerSecond": 1000, "requestsPerDay": 100000}}
```
Keys are long and random, so a plain SHA-256 of one can't be guessed back.
"""

import datetime
import enum
import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

MAX_BYTES = 16 * 1024
DEFAULT_NAMESPACE = "__default__"
"""Another name of the namespace whose name is empty."""


class Role(enum.IntEnum):
    """What a key allows; each role includes those before it."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Quota:
    """How much a key may ask of each gateway; None is without a bound.

    Attributes:
        requests_per_second: on average.
        burst: requests at once after a pause; `requests_per_second` where None.
        rows_per_second: upserted, on average.
        requests_per_day: from midnight to midnight, UTC.
    """

    requests_per_second: float | None = None
    burst: float | None = None
    rows_per_second: float | None = None
    requests_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever holds a key.

    Attributes:
        name: of the key, for logs; never the key itself.
        role: the most that it allows.
        namespaces: those that it allows, None for all.
        expires: seconds since 1970 at which it ends, None for never.
        quota: how much it may ask, None for as much as it likes.
        issued: whether it is one of any number whom an issuer of tokens names, and no key of ours.
    """

    name: str
    role: Role = Role.ADMIN
    namespaces: frozenset[str] | None = None
    expires: float | None = None
    quota: Quota | None = None
    issued: bool = False

    def may_use(self, namespace: str) -> bool:
        """Tell whether the key allows a namespace; the default one is the empty name."""
        return self.namespaces is None or namespace in self.namespaces


_ROLES = {role.name.lower(): role for role in Role}
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")]
Namespace = Annotated[str, msgspec.Meta(max_length=512)]


class Grant(msgspec.Struct, frozen=True):
    """A digest of a key, and who holds it."""

    digest: bytes
    principal: Principal


Rate = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10**12)]


class _Limits(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    requests_per_second: Rate | None = None
    burst: Annotated[float, msgspec.Meta(ge=1, le=1e9)] | None = None
    rows_per_second: Rate | None = None
    requests_per_day: Count | None = None


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    sha256: Digest
    role: Literal["read", "write", "admin"] = "admin"
    namespaces: list[Namespace] | None = None
    expires: datetime.datetime | None = None
    limits: _Limits | None = None


def parse(name: str, content: bytes) -> Grant:
    """Return what an entry grants.

    Args:
        name: of the entry; it names the principal in logs.
        content: of the file.

    Raises:
        ValueError: it is neither one line of printable ASCII characters nor a JSON object of the form above;
            the message never holds a part of it.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has {len(content)} bytes; at most {MAX_BYTES} are read")
    text = content.strip()
    if text.startswith(b"{"):
        return _granted(name, text)
    key = text.decode("ascii", "replace")
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("it holds no key: one line of printable ASCII characters, or a JSON object")
    return plain(name, key)


def plain(name: str, key: str) -> Grant:
    """Return what a key grants that stands there as it is: everything, for ever."""
    return Grant(digest_of(key), Principal(name))


def digest_of(key: str) -> bytes:
    """Return what a key is compared by."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _granted(name: str, text: bytes) -> Grant:
    try:
        entry = msgspec.json.decode(text, type=_Entry)
    except msgspec.ValidationError as wrong:
        raise ValueError(f"its JSON does not fit: {wrong}") from None
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("it begins as JSON and is none") from None
    if entry.expires is not None and entry.expires.tzinfo is None:
        raise ValueError("expires needs a time zone, such as 2027-01-01T00:00:00Z")
    principal = Principal(
        name,
        _ROLES[entry.role],
        None if entry.namespaces is None else frozenset(_plain(one) for one in entry.namespaces),
        None if entry.expires is None else entry.expires.timestamp(),
        None if entry.limits is None else Quota(**msgspec.structs.asdict(entry.limits)),
    )
    return Grant(bytes.fromhex(entry.sha256), principal)


def _plain(namespace: str) -> str:
    return "" if namespace == DEFAULT_NAMESPACE else namespace

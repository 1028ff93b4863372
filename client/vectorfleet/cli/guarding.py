"""Who is let in to `vectorfleet serve`: a key, a folder of keys, an issuer's tokens.

Imported only when it is needed, since the servers are extras.
"""

import asyncio
import contextlib
import dataclasses
import pathlib
from collections.abc import AsyncIterator

from vectorfleet_gateway import app
from vectorfleet_gateway.auth import bearers, entrance, keys
from vectorfleet_runtime import certificates, grants

from . import errors

_LOOK_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Guard:
    """Who is let in.

    Attributes:
        api_key: a key that may do everything; empty where there is none.
        api_keys_dir: folder of more keys, which is followed; None where there is none.
        jwt_keys: a JWKS, file or URL, whose tokens are taken; empty where none are.
        jwt_audience: their `aud`.
        jwt_issuer: their `iss`; any where empty.
        jwt_requests_per_second: what each `sub` may send; None for as much as it likes.
        jwt_rows_per_second: what each `sub` may upsert.
        tls_dir: of HTTPS's certificate; HTTP is spoken where None.
    """

    api_key: str = dataclasses.field(repr=False)
    api_keys_dir: pathlib.Path | None = None
    jwt_keys: str = ""
    jwt_audience: str = ""
    jwt_issuer: str = ""
    tls_dir: pathlib.Path | None = None
    jwt_requests_per_second: float | None = None
    jwt_rows_per_second: float | None = None


@contextlib.asynccontextmanager
async def watched(guard: Guard) -> AsyncIterator[app.Entrance]:
    """Give whoever knows callers, while keys and tokens are followed.

    Raises:
        SettingsError: keys can't be read, or tokens would not be safe.
    """
    alone = [grants.plain("serve", guard.api_key)] if guard.api_key else []
    folder = keys.KeyFolder(guard.api_keys_dir, alone) if guard.api_keys_dir else None
    ring = folder.ring if folder else keys.KeyRing(alone)
    terms = None
    if guard.jwt_keys:
        quota = grants.Quota(guard.jwt_requests_per_second, rows_per_second=guard.jwt_rows_per_second)
        terms = bearers.terms_of(
            guard.jwt_audience,
            "RS256,EdDSA",
            issuer=guard.jwt_issuer,
            quota=None if quota == grants.Quota() else quota,
        )
    entering, issuer = entrance.build(ring, guard.jwt_keys, terms)
    following = [asyncio.create_task(_follow(folder))] if folder else []
    if issuer is not None:
        following.append(asyncio.create_task(issuer.follow()))
    try:
        yield entering
    finally:
        for task in following:
            task.cancel()


def certificate(guard: Guard) -> certificates.Certificates | None:
    """Return what HTTPS shows, None where HTTP is spoken.

    Raises:
        ServeError: it can't be used.
    """
    try:
        return certificates.Certificates(guard.tls_dir, authorities=False) if guard.tls_dir else None
    except certificates.UnusableError as unusable:
        raise errors.ServeError(f"--tls-dir: {unusable}") from unusable


async def _follow(folder: keys.KeyFolder) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        folder.refresh()

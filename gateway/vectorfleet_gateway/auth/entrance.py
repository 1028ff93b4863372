"""The ways in: by API key, and where an issuer is trusted by token."""

from dataclasses import dataclass

from .. import body, policy
from . import bearers, issuers, keys


@dataclass(frozen=True, slots=True)
class Entrance:
    """Both ways; see `app.Entrance`.

    Attributes:
        ring: the API keys.
        tokens: those of an issuer.
    """

    ring: keys.KeyRing
    tokens: bearers.Bearers

    def enter(self, headers: body.Headers, now: float) -> policy.Principal:
        """Return who asks: by key where one is shown, else by token.

        Raises:
            UnauthenticatedError: nobody who is known.
        """
        if headers.get("api-key") is None and headers.get("authorization") is not None:
            return self.tokens.enter(headers, now)
        return self.ring.enter(headers, now)


def build(
    ring: keys.KeyRing, where: str, terms: bearers.Terms | None
) -> tuple[keys.KeyRing | Entrance, issuers.Issuer | None]:
    """Return who knows callers, and the issuer whose keys are to be followed, if one is trusted.

    Args:
        ring: the API keys.
        where: the issuer's keys, a file or a URL; empty where none is trusted.
        terms: what its tokens have to be.

    Raises:
        SettingsError: the issuer's keys can't be used.
    """
    if not where or terms is None:
        return ring, None
    tokens = bearers.Bearers(terms)
    return Entrance(ring, tokens), issuers.Issuer(where, tokens)

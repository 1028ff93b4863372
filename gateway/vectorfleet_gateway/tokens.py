"""Pagination tokens: where a listing goes on, as text that callers pass back unread. Pure.

A token says what was listed last and nothing of positions, so it stays valid while rows come and go.
"""

import base64
import binascii

from . import errors

_VERSION = b"1"


def encode(last: str) -> str:
    """Return the token of a page that ended with this name."""
    return base64.urlsafe_b64encode(_VERSION + last.encode()).decode().rstrip("=")


def decode(token: str) -> str:
    """Return the name that a token's page ended with; an empty token starts from the beginning.

    Raises:
        InvalidArgumentError: the token is none of ours.
    """
    if not token:
        return ""
    try:
        padded = token + "=" * (-len(token) % 4)
        raw = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
        if not raw.startswith(_VERSION):
            raise ValueError
        return raw[len(_VERSION) :].decode()
    except (ValueError, binascii.Error):
        raise errors.InvalidArgumentError("paginationToken is not one that this API gave") from None

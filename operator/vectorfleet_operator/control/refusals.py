"""Why a request is refused, in the words that Pinecone's clients read. PURE."""

import math
import types
from collections.abc import Mapping

_NONE: Mapping[str, str] = types.MappingProxyType({})


class Refused(Exception):  # noqa: N818  it tells of the answer, not of a fault
    """A request is answered with an error.

    Args:
        status: of HTTP.
        code: Pinecone's name of it.
        message: what was wrong and what would be right.
        headers: of the answer.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] = _NONE) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


def invalid(message: str) -> Refused:
    """Return the refusal of a request that is wrong."""
    return Refused(400, "INVALID_ARGUMENT", message)


def unauthenticated() -> Refused:
    """Return the refusal of a caller without a valid key; a missing one is not told from a wrong one."""
    return Refused(401, "UNAUTHENTICATED", "the Api-Key header needs a valid key of the control plane")


def forbidden(message: str) -> Refused:
    """Return the refusal of what this caller, or nobody, may do."""
    return Refused(403, "FORBIDDEN", message)


def not_found(name: str) -> Refused:
    """Return the refusal of an index that there is not."""
    return Refused(404, "NOT_FOUND", f"there is no index {name[:64]!r}")


def taken(name: str) -> Refused:
    """Return the refusal of a name that an index has."""
    return Refused(409, "ALREADY_EXISTS", f"there is an index {name!r} already; describe_index shows it")


def unavailable(message: str) -> Refused:
    """Return the refusal of what may work a little later."""
    return Refused(503, "UNAVAILABLE", message, _again(1))


def exhausted(message: str, seconds: float) -> Refused:
    """Return the refusal of what is too much now; it says after how many seconds to come again."""
    again = max(1, math.ceil(seconds))
    return Refused(429, "RESOURCE_EXHAUSTED", f"{message}; try again in {again} s", _again(again))


def _again(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}

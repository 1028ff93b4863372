"""What a caller may do, decided on the route that a request resolved to, and on the namespace it names. Pure.

Every route names the role that it needs; a route without one could not be written down. Nothing in a
request but its key says who asks: no header marks a caller as one of ours.
"""

from vectorfleet_runtime import grants

from . import errors, limits

# What keys grant, whichever way a caller came in.
Role = grants.Role
Quota = grants.Quota
Principal = grants.Principal

ANYONE = Principal("anyone", Role.READ, frozenset())
"""Whoever asks without a key, where that is allowed; no namespace is theirs."""


def authorize(principal: Principal, needed: Role) -> None:
    """Let a principal pass who has the role, or a greater one.

    Raises:
        PermissionDeniedError: it has not.
    """
    if principal.role < needed:
        raise errors.PermissionDeniedError(f"this key does not allow {needed.name.lower()} requests")


def check_namespace(principal: Principal, namespace: str) -> str:
    """Return a namespace that the key allows.

    Raises:
        PermissionDeniedError: it does not; whether the namespace exists is not told.
    """
    if not principal.may_use(namespace):
        shown = namespace or limits.DEFAULT_NAMESPACE
        raise errors.PermissionDeniedError(f"this key does not allow the namespace {shown[:64]!r}")
    return namespace

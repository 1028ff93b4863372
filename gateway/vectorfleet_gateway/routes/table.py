"""Every route, what it needs, and how a path resolves to one. Pure.

A path, percent-decoded once, resolves exactly or not at all: nothing is normalised. What is decided is
decided on the route, so it holds however the path was written.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .. import call, errors, index, policy, replies
from . import namespaces, query, stats, vectors

Handler = Callable[[call.Call, index.Index], Awaitable[replies.Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Attributes:
        name: in metrics and logs.
        method: HTTP method.
        path: the whole path; what ends in `/` goes on with a name.
        role: what a key must allow.
        handler: answers.
        takes_body: whether the body is read.
    """

    name: str
    method: str
    path: str
    role: policy.Role
    handler: Handler
    takes_body: bool = False


ROUTES = (
    Route("upsert", "POST", "/vectors/upsert", policy.Role.WRITE, vectors.upsert, takes_body=True),
    Route("update", "POST", "/vectors/update", policy.Role.WRITE, vectors.update, takes_body=True),
    Route("delete", "POST", "/vectors/delete", policy.Role.WRITE, vectors.delete, takes_body=True),
    Route("fetch", "GET", "/vectors/fetch", policy.Role.READ, vectors.fetch),
    Route("list", "GET", "/vectors/list", policy.Role.READ, vectors.list_ids),
    Route("query", "POST", "/query", policy.Role.READ, query.query, takes_body=True),
    Route("stats", "POST", "/describe_index_stats", policy.Role.READ, stats.describe, takes_body=True),
    Route("list_namespaces", "GET", "/namespaces", policy.Role.READ, namespaces.list_names),
    Route("describe_namespace", "GET", "/namespaces/", policy.Role.READ, namespaces.describe),
    Route("delete_namespace", "DELETE", "/namespaces/", policy.Role.WRITE, namespaces.delete),
)

_BY_PATH: dict[str, dict[str, Route]] = {}
for _route in ROUTES:
    _BY_PATH.setdefault(_route.path, {})[_route.method] = _route
_PREFIXES = tuple(path for path in _BY_PATH if path.endswith("/"))


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a path means: a route and the name in it, or why there is none."""

    route: Route | None
    name: str = ""
    problem: errors.ApiError | None = None

    def require(self) -> Route:
        """Return the route.

        Raises:
            NotFoundError, MethodNotAllowedError: there is none.
        """
        if self.route is None:
            raise self.problem or errors.NotFoundError("no such route")
        return self.route


def resolve(method: str, path: str) -> Resolved:
    """Return what a decoded path means; never an error, so that who asks is looked at first."""
    methods, name = _BY_PATH.get(path), ""
    if methods is None or path in _PREFIXES:
        methods = None
        for prefix in _PREFIXES:
            if path.startswith(prefix) and len(path) > len(prefix):
                methods, name = _BY_PATH[prefix], path[len(prefix) :]
    if methods is None:
        return Resolved(None, problem=errors.NotFoundError(f"there is no route {path[:128]!r}"))
    if "\N{REPLACEMENT CHARACTER}" in name:
        return Resolved(None, problem=errors.InvalidArgumentError("the path is not percent-encoded UTF-8"))
    if method not in methods:
        allow = ", ".join(sorted(methods))
        problem = errors.MethodNotAllowedError(f"{path[:128]!r} takes {allow}, not {method[:16]}", allow)
        return Resolved(None, problem=problem)
    return Resolved(methods[method], name)

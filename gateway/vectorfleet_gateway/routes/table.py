"""Every route, what it needs, and how a path resolves to one. Pure.

A path, percent-decoded once, resolves exactly or not at all: nothing is normalised. What is decided is
decided on the route, so it holds however the path was written.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .. import call, errors, index, operations, policy, replies
from . import about, namespaces, query, records, stats, vectors

Handler = Callable[[call.Call, index.Index], Awaitable[replies.Reply]]

_HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "upsert": vectors.upsert,
        "update": vectors.update,
        "delete": vectors.delete,
        "fetch": vectors.fetch,
        "list": vectors.list_ids,
        "query": query.query,
        "stats": stats.describe,
        "list_namespaces": namespaces.list_names,
        "describe_namespace": namespaces.describe,
        "delete_namespace": namespaces.delete,
        "upsert_records": records.upsert,
        "search_records": records.search,
        "openapi": about.describe,
        "docs": about.show,
    }
)


@dataclass(frozen=True, slots=True)
class Route:
    """An operation and its handler."""

    operation: operations.Operation
    handler: Handler

    @property
    def name(self) -> str:
        """In metrics and logs."""
        return self.operation.name

    @property
    def method(self) -> str:
        """Of HTTP."""
        return self.operation.method

    @property
    def path(self) -> str:
        """The whole path; `{name}` in it stands for a name."""
        return self.operation.path

    @property
    def role(self) -> policy.Role:
        """What a key must allow."""
        return self.operation.role

    @property
    def writes(self) -> bool:
        """Whether it may change what the index holds."""
        return self.operation.writes

    @property
    def takes_body(self) -> bool:
        """Whether the body is read."""
        return self.operation.body is not None


ROUTES = tuple(Route(one, _HANDLERS[one.name]) for one in operations.OPERATIONS)

_BY_PATH: dict[str, dict[str, Route]] = {}
for _route in ROUTES:
    _BY_PATH.setdefault(_route.path, {})[_route.method] = _route
_EXACT = {path for path in _BY_PATH if operations.NAME not in path}
_NAMED: list[tuple[str, str, dict[str, Route]]] = []
"""What stands before a name and behind it, and the methods there."""
for _path in _BY_PATH.keys() - _EXACT:
    _before, _, _behind = _path.partition(operations.NAME)
    _NAMED.append((_before, _behind, _BY_PATH[_path]))


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


# Made once for all requests: most of them are to these.
_RESOLVED = {(route.method, route.path): Resolved(route) for route in ROUTES if route.path in _EXACT}


def resolve(method: str, path: str) -> Resolved:
    """Return what a decoded path means; never an error, so that who asks is looked at first."""
    if (known := _RESOLVED.get((method, path))) is not None:
        return known
    methods, name = _BY_PATH[path] if path in _EXACT else None, ""
    if methods is None:
        for before, behind, named in _NAMED:
            if path.startswith(before) and path.endswith(behind) and len(path) > len(before) + len(behind):
                methods, name = named, path[len(before) : len(path) - len(behind)]
    if methods is None:
        return Resolved(None, problem=errors.NotFoundError(f"there is no route {path[:128]!r}"))
    if "\N{REPLACEMENT CHARACTER}" in name:
        return Resolved(None, problem=errors.InvalidArgumentError("the path is not percent-encoded UTF-8"))
    if method not in methods:
        allow = ", ".join(sorted(methods))
        problem = errors.MethodNotAllowedError(f"{path[:128]!r} takes {allow}, not {method[:16]}", allow)
        return Resolved(None, problem=problem)
    return Resolved(methods[method], name)

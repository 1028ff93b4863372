"""`/namespaces`: list, describe, delete. A namespace exists while it has rows."""

import itertools

from .. import call, errors, index, limits, replies, schemas, tokens

LIST_LIMIT = 100
"""Namespaces of a page where the caller does not say."""


async def list_names(asked: call.Call, served: index.Index) -> replies.Reply:
    """List namespaces by name, ascending, a page at a time; the default one is called `__default__`."""
    asked.check_fields(*schemas.names_of(schemas.NamespacesQuery))
    limit = asked.number("limit", LIST_LIMIT)
    limits.check_range("limit", limit, 1, limits.MAX_LIST_LIMIT)
    after = tokens.decode(asked.text("paginationToken"))
    counts = await served.stats(b"", asked.remaining())
    allowed = {name: rows for name, rows in counts.items() if asked.principal.may_use(name)}
    shown = sorted((name or limits.DEFAULT_NAMESPACE, rows) for name, rows in allowed.items())
    later = itertools.dropwhile(lambda entry: entry[0] <= after, shown)
    page = list(itertools.islice(later, limit + 1))
    more = tokens.encode(page[limit - 1][0]) if len(page) > limit else None
    return replies.namespaces(dict(page[:limit]), more)


async def describe(asked: call.Call, served: index.Index) -> replies.Reply:
    """Say how many rows a namespace has."""
    name = asked.namespace(asked.name)
    counts = await served.stats(b"", asked.remaining())
    if name not in counts:
        raise _missing(asked.name)
    return replies.namespace(name, counts[name])


async def delete(asked: call.Call, served: index.Index) -> replies.Reply:
    """Delete a namespace with every row in it."""
    name = asked.namespace(asked.name)
    if not await served.delete_where(name, b"", asked.remaining()):
        raise _missing(asked.name)
    return replies.EMPTY


def _missing(name: str) -> errors.NotFoundError:
    return errors.NotFoundError(f"there is no namespace {name[:64]!r}")

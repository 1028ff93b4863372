"""`/describe_index_stats`: how many rows there are."""

from .. import call, index, limits, replies, schemas

_stats = schemas.decoder(schemas.Stats)


async def describe(asked: call.Call, served: index.Index) -> replies.Reply:
    """Count rows by namespace, all or those that pass a filter; of those that the key allows."""
    request: schemas.Stats = _stats(asked.body or b"{}")
    condition = schemas.given(request.filter)
    encoded = limits.filter_of(condition) if condition else b""
    counts = await served.stats(encoded, asked.remaining())
    allowed = {name: rows for name, rows in counts.items() if asked.principal.may_use(name)}
    return replies.stats(allowed, served.generation)

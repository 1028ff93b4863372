"""`/describe_index_stats`: how many rows there are."""

from .. import call, index, limits, replies, schemas

_stats = schemas.decoder(schemas.Stats)


async def describe(asked: call.Call, served: index.Index) -> replies.Reply:
    """Count rows by namespace, all or those that pass a filter."""
    request: schemas.Stats = _stats(asked.body or b"{}")
    condition = schemas.given(request.filter)
    encoded = limits.filter_of(condition) if condition else b""
    counts = await served.stats(encoded, asked.remaining())
    return replies.stats(counts, served.generation)

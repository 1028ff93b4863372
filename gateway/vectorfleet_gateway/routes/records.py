"""`/records/…`: rows of text in, and what is found for a text out, as Pinecone's indexes with a model do."""

from .. import call, index, record_schemas, records, replies, schemas
from . import query, vectors

_search = schemas.decoder(record_schemas.Search)


async def upsert(asked: call.Call, served: index.Index) -> replies.Reply:
    """Write rows of text. All is checked, and embedded, before any of it is written."""
    namespace = asked.namespace(asked.name)
    rows = records.parse(asked.body, served.config.text_field)
    await vectors.write(asked, served, namespace, rows)
    return replies.upserted(len(rows), status=201)


async def search(asked: call.Call, served: index.Index) -> replies.Reply:
    """Find the best rows by text, by vector, or by both."""
    request: record_schemas.Search = _search(asked.body)
    wanted = records.question(request, asked.name, served.config)
    return await query.answer(asked, served, wanted, records.Telling(schemas.given(request.fields)))

"""By what an answer is known again: all that was asked, and nothing of how it is told. Pure."""

import hashlib

import orjson

from vectorfleet_shardnode.api import shard_pb2

from .. import questions


def key_of(question: questions.Question, namespace: str, telling: str = "") -> bytes:
    """Return 32 bytes for a question whose vector is in its place.

    Args:
        question: two that differ in what they are to explain alone have the same key.
        namespace: as the caller wrote it; the answer repeats it.
        telling: how the answer is told.
    """
    digest = hashlib.blake2b(digest_size=32)
    again, how = question.rerank, question.fusion
    told = {
        "namespace": namespace,
        "telling": telling,
        "topK": question.top_k,
        "fusion": how and (how.method, how.candidates, how.k, how.alpha),
        "rerank": again and (again.query, again.field, again.candidates, again.shows_metadata),
        "lists": list(question.queries),
    }
    digest.update(orjson.dumps(told))
    for query in question.queries.values():
        plain = shard_pb2.Query()
        plain.CopyFrom(query)
        plain.explain = False
        content = plain.SerializeToString(deterministic=True)
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.digest()

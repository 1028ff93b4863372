"""Gives an index the services that its configuration names."""

from dataclasses import dataclass
from pathlib import Path

from vectorfleet_shardnode.api import services

from . import index, metrics, remembering
from .embedding import embedder, wire
from .outbound import service
from .reranking import reranker
from .reranking import wire as reranking_wire


@dataclass(frozen=True, slots=True)
class Keys:
    """The files that hold the services' keys; None where a service wants none."""

    embedder: Path | None = None
    reranker: Path | None = None


def attach(served: index.Index, keys: Keys) -> None:
    """Attach the services to an index, which closes them with itself."""
    embedding, reranking = served.config.embedder, served.config.reranker
    served.attach(
        None if embedding is None else _embedder(embedding, served, keys.embedder),
        None if reranking is None else _reranker(reranking, keys.reranker),
    )


def _embedder(settings: services.Embedder, served: index.Index, key_file: Path | None) -> embedder.Embedder:
    most = wire.max_bytes(settings, served.generation.dimensions)
    terms = _terms("the embedder", settings, key_file, most)
    asked = service.Service(terms, metrics.observe_embedder_call)
    return embedder.Embedder(settings, served.generation, asked, remembering.IndexMemory(served))


def _reranker(settings: services.Reranker, key_file: Path | None) -> reranker.Reranker:
    terms = _terms("the reranker", settings, key_file, reranking_wire.MAX_BYTES)
    return reranker.Reranker(settings, service.Service(terms, metrics.observe_reranker_call))


def _terms(
    name: str, settings: services.Embedder | services.Reranker, key_file: Path | None, max_bytes: int
) -> service.Terms:
    return service.Terms(
        name=name,
        url=settings.url,
        key_file=key_file,
        timeout=settings.timeout_seconds,
        retries=settings.retries,
        concurrency=settings.concurrency,
        rate=settings.requests_per_second,
        max_bytes=max_bytes,
    )

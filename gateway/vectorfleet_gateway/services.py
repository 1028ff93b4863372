"""Gives an index the services that its configuration names."""

from dataclasses import dataclass
from pathlib import Path

from vectorfleet_shardnode.api import services

from . import index, metrics, remembering
from .embedding import embedder, wire
from .outbound import service


@dataclass(frozen=True, slots=True)
class Keys:
    """The files that hold the services' keys; None where a service wants none."""

    embedder: Path | None = None


def attach(served: index.Index, keys: Keys) -> None:
    """Attach the services to an index, which closes them with itself."""
    settings = served.config.embedder
    if settings is not None:
        served.attach(_embedder(settings, served, keys.embedder))


def _embedder(settings: services.Embedder, served: index.Index, key_file: Path | None) -> embedder.Embedder:
    terms = service.Terms(
        name="the embedder",
        url=settings.url,
        key_file=key_file,
        timeout=settings.timeout_seconds,
        retries=settings.retries,
        concurrency=settings.concurrency,
        rate=settings.requests_per_second,
        max_bytes=wire.max_bytes(settings, served.generation.dimensions),
    )
    asked = service.Service(terms, metrics.observe_embedder_call)
    return embedder.Embedder(settings, served.generation, asked, remembering.IndexMemory(served))

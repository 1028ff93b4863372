"""Which searches are known to take long by what they ask: gateways and shards keep them apart. Pure."""

from . import config, shard_pb2

_TIMES = 4
"""As hard as the index's own queries, so many times over."""
_EF_SEARCH = 400
_PROBES = 256
_OVERSAMPLING = 16
"""What is no more than these is quick whatever the index's own."""


def is_great(query: shard_pb2.Query, serving: config.Generation) -> bool:
    """Return whether a query has shards look far deeper than the index's own queries do."""
    return (
        query.ef_search > max(_EF_SEARCH, _TIMES * serving.hnsw.ef_search)
        or query.probes > max(_PROBES, _TIMES * serving.ivf.probes)
        or query.oversampling > max(_OVERSAMPLING, _TIMES * serving.quantization.oversampling)
    )

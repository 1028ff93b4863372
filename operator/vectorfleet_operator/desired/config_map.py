"""The ConfigMap with the index's configuration, as the data plane reads it."""

import hashlib
import json

from vectorfleet_shardnode.api import config

from .. import ports
from . import inputs, names

ENTRY = "index.json"


def build_index_config(given: inputs.Inputs) -> config.IndexConfig:
    """Return the configuration: the serving generation, and where its replicas listen."""
    key, spec = names.key(given.index), given.spec
    shards = tuple(
        config.ShardAddress(
            number=number,
            replicas=tuple(names.replica_address(key, number, ordinal) for ordinal in range(spec.replicas)),
        )
        for number in range(spec.shards)
    )
    serving = spec.generation().model_copy(update={"name": names.GENERATION, "shards": shards})
    return config.IndexConfig(
        index=key.name,
        namespace=key.namespace,
        serving=serving,
        metadata=spec.metadata_schema.settled(),
        embedder=None if spec.embedder is None else spec.embedder.settled(spec.model.name),
        reranker=None if spec.reranker is None else spec.reranker.settled(),
        cache=None if spec.gateway.cache is None else spec.gateway.cache.settled(),
    )


def build_config_map(given: inputs.Inputs) -> inputs.Object:
    """Return the ConfigMap."""
    name = given.index.metadata.name
    data = {ENTRY: _to_json(build_index_config(given))}
    return names.build_object(given, ports.CONFIG_MAP, names.config(name), names.labels(name), data=data)


def config_hash(given: inputs.Inputs, component: str) -> str:
    """Return a digest of what a component's pods read at their start: when it changes, they start anew."""
    index = build_index_config(given)
    if component == names.SHARD:
        index = index.model_copy(
            update={
                "serving": _of_shards(index.serving),
                "embedder": None,
                "reranker": None,
                "cache": None,
            }
        )
    return hashlib.sha256(_to_json(index).encode()).hexdigest()[:16]


def _of_shards(serving: config.Generation) -> config.Generation:
    """Return a generation without what concerns gateways alone: no shard need restart for it.

    That is what they say with each query, and where the replicas are: shards are told by the operator.
    """
    return serving.model_copy(
        update={
            "shards": tuple(shard.model_copy(update={"replicas": ()}) for shard in serving.shards),
            "hnsw": serving.hnsw.model_copy(update={"ef_search": 0}),
            "ivf": serving.ivf.model_copy(update={"probes": 0}),
            "quantization": serving.quantization.model_copy(update={"oversampling": 0}),
        }
    )


def _to_json(value: config.IndexConfig) -> str:
    return (
        json.dumps(value.model_dump(mode="json", by_alias=True, exclude_none=True), indent=2, sort_keys=True)
        + "\n"
    )

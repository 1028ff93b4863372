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
    serving = config.Generation(
        name=names.GENERATION,
        dimensions=spec.model.dimensions,
        metric=spec.metric,
        engine=config.EngineKind(spec.index.type.value),
        hnsw=spec.index.hnsw(),
        shards=shards,
    )
    return config.IndexConfig(index=key.name, namespace=key.namespace, serving=serving)


def build_config_map(given: inputs.Inputs) -> inputs.Object:
    """Return the ConfigMap."""
    name = given.index.metadata.name
    data = {ENTRY: _to_json(build_index_config(given))}
    return names.build_object(given, ports.CONFIG_MAP, names.config(name), names.labels(name), data=data)


def config_hash(given: inputs.Inputs) -> str:
    """Return a digest of what pods read at their start: when it changes, they have to start anew."""
    text = _to_json(build_index_config(given)) + given.credentials.token
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _to_json(value: config.IndexConfig) -> str:
    return json.dumps(value.model_dump(mode="json", by_alias=True), indent=2, sort_keys=True) + "\n"

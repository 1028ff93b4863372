"""The VectorShard: a shard's configuration, as an object that one can look at."""

from .. import ports
from . import inputs, names


def build_vector_shard(given: inputs.Inputs, number: int) -> inputs.Object:
    """Return one shard's object, without its status."""
    index = given.index.metadata.name
    spec = {"indexRef": {"name": index}, "generation": names.GENERATION, "number": number}
    labels = names.labels(index, names.SHARD, number)
    return names.build_object(given, ports.VECTOR_SHARD, names.shard(index, number), labels, spec=spec)

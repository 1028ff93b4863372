"""The configuration file that the operator writes and the data plane reads."""

import pydantic
import pytest

from vectorfleet_shardnode.api import config

JSON = """{"index": "products", "namespace": "shop", "serving": {
    "name": "g1", "dimensions": 384, "metric": "cosine",
    "hnsw": {"m": 16, "efConstruction": 128, "efSearch": 100},
    "shards": [{"number": 0, "replicas": ["a:7400"]}, {"number": 1, "replicas": ["b:7400", "c:7400"]}]}}"""


def test_a_file_is_read(tmp_path):
    """Names are camelCase in the file and snake_case in the program."""
    path = tmp_path / "index.json"
    path.write_text(JSON)
    read = config.read(path)

    assert (read.serving.hnsw.ef_construction, read.serving.shards[1].replicas[1]) == (128, "c:7400")


def test_it_survives_a_round_trip():
    """What the operator writes is what the data plane reads."""
    value = config.IndexConfig.model_validate_json(JSON)

    assert config.IndexConfig.model_validate_json(value.model_dump_json(by_alias=True)) == value


@pytest.mark.parametrize(
    ("wrong", "right"),
    [('"dimensions": 384', '"dimensions": 0'), ('"index"', '"indx"'), ('"number": 1', '"number": 2')],
)
def test_a_wrong_file_is_refused(wrong, right):
    """Unknown fields, impossible numbers and gaps between shards are errors, never ignored."""
    with pytest.raises(pydantic.ValidationError):
        config.IndexConfig.model_validate_json(JSON.replace(wrong, right))

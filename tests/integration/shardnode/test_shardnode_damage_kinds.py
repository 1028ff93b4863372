"""Damage to the files of every kind of segment: each engine and compression, vector fields, sparse values.

What the files are is asked of the folder, so a kind of file that is new is damaged too.
"""

import json
import random
import shutil

import numpy as np
import pytest
from fixtures import builders

from vectorfleet_shardnode import errors, files, operations, ragged, records, sparse, storage
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.segments import manifest
from vectorfleet_shardnode.settings import Tuning

TUNING = Tuning(index_min_rows=8, settle_seconds=0, stale_share=0.9, build_threads=1, reserved_bytes=0)
ROWS, DIMENSIONS = 320, 32
KINDS = [
    *((engine, "none") for engine in ("flat", "hnsw", "hnswlib", "ivf")),
    *(("hnsw", code) for code in ("float16", "sq8", "pq", "rabitq")),
    ("ivf", "sq8"),
]


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    """What is read is damaged on purpose, so nothing has to reach the disk."""
    monkeypatch.setattr(files, "fsync", lambda _: None)


def index_of(engine, code):
    """Return an index with a vector field, of the same code; without codes, of dot product."""
    generation = config.Generation(
        dimensions=DIMENSIONS,
        metric="dotproduct" if code == "none" else "cosine",
        engine=engine,
        quantization=config.Quantization(kind=code),
        vectors=(
            config.VectorField(name="title", dimensions=4, quantization=config.Quantization(kind=code)),
        ),
    )
    schema = config.Schema(fields=(config.SchemaField(name="year", type=config.FieldType.INTEGER),))
    return config.IndexConfig(index="damage", serving=generation, metadata=schema)


def make(index, folder):
    """Write a folder with one segment of that kind, of which some rows are dead."""
    numbers = np.random.default_rng(5)
    served = storage.open_shard(index, 0, folder, TUNING, builders.Built)
    ids = [f"id{row}" for row in range(ROWS)]
    title = ragged.Ragged(np.arange(ROWS + 1), numbers.normal(size=(ROWS, 4)).astype(np.float32))
    rows = records.Rows(
        ids,
        numbers.normal(size=(ROWS, DIMENSIONS)).astype(np.float32),
        [json.dumps({"year": 1900 + row}).encode() for row in range(ROWS)],
        {"title": title},
        _pairs() if index.serving.metric is config.Metric.DOTPRODUCT else None,
    )
    served.shard.write(operations.Upsert("", rows)).result(10)
    for _ in range(6):
        served.maintenance.step()
    served.shard.write(operations.DeleteIds("", ids[:9])).result(10)
    served.shard.write(operations.Upsert("other", rows)).result(10)
    served.shard.freeze().result(10)
    served.maintenance.step()
    served.close()


def _pairs():
    """Return a sparse value of each row."""
    numbers = np.arange(ROWS)
    return ragged.of_counts(np.ones(ROWS, np.int64), sparse.pairs_of(numbers % 7, numbers / 8))


def damages(content, drawn):
    """Yield the content cut, longer, and with a flipped bit at both ends and at drawn places."""
    yield content[:-1]
    yield content[: len(content) // 2]
    yield content + b"\0"
    for at in {0, len(content) - 1, *(drawn.randrange(len(content)) for _ in range(6))}:
        yield content[:at] + bytes([content[at] ^ 1 << drawn.randrange(8)]) + content[at + 1 :]


@pytest.mark.parametrize(("engine", "code"), KINDS)
def test_r06_every_file_of_every_kind_of_segment(tmp_path, engine, code):
    """Missing, cut, grown, or with one bit flipped: refused, the file named, and nothing changed."""
    index, data = index_of(engine, code), tmp_path / "data"
    make(index, data)
    paths = [path for path in (data / manifest.SEGMENTS).rglob("*.*") if path.name != "segment.json"]
    assert {path.suffix for path in paths} >= {".arrow", ".bin"}
    drawn = random.Random(f"{engine} {code}")
    for path in paths:
        content = path.read_bytes()
        for damaged in damages(content, drawn):
            path.write_bytes(damaged)
            with pytest.raises(errors.DataLossError, match=path.name):
                storage.open_shard(index, 0, data, TUNING, builders.Built)
            assert path.read_bytes() == damaged
        path.unlink()
        with pytest.raises(errors.DataLossError, match=path.name):
            storage.open_shard(index, 0, data, TUNING, builders.Built)
        path.write_bytes(content)
    shutil.copytree(data, tmp_path / "again")
    served = storage.open_shard(index, 0, tmp_path / "again", TUNING, builders.Built)
    assert served.shard.snapshot.count(None) == {"": ROWS - 9, "other": ROWS}
    served.close()

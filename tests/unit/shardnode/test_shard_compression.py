"""A shard that is compressed, or searched by another engine: built, reopened, updated, and measured."""

import dataclasses

import numpy as np
import pydantic
import pytest
from fixtures import builders

from vectorfleet_shardnode import errors, fitness, operations, records, settings, storage
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.engines import base, gpu, registry
from vectorfleet_shardnode.segments import descriptor, part, vectors_file
from vectorfleet_shardnode.serving import service

DIMENSIONS, ROWS = 16, 600
TUNING = settings.Tuning(
    growing_rows=300, index_min_rows=50, settle_seconds=0, build_threads=2, reserved_bytes=0
)
KINDS, CODES = config.EngineKind, config.QuantizationKind
LINKS = config.HnswParameters(m=4, ef_construction=32, ef_search=40)
BUILT = [
    (KINDS.HNSWLIB, CODES.NONE),
    (KINDS.IVF, CODES.NONE),
    (KINDS.IVF, CODES.SQ8),
    (KINDS.FLAT, CODES.FLOAT16),
    (KINDS.HNSW, CODES.PQ),
    (KINDS.HNSW, CODES.RABITQ),
]


def index_of(engine, code, **changes):
    """Return an index's configuration."""
    quantization = config.Quantization(kind=code, ratio=8, **changes)
    serving = config.Generation(dimensions=DIMENSIONS, engine=engine, hnsw=LINKS, quantization=quantization)
    return config.IndexConfig(index="shop", serving=serving)


def vectors_of(count, seed=1):
    """Return vectors around 20 centres."""
    numbers = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((20, DIMENSIONS))
    made = centres[numbers.integers(20, size=count)] + 0.5 * numbers.standard_normal((count, DIMENSIONS))
    return made.astype(np.float32)


def upsert(opened, ids, vectors):
    """Write rows; returns when they are durable."""
    rows = records.Rows([str(one) for one in ids], vectors, [b""] * len(vectors))
    opened.shard.write(operations.Upsert("", rows)).result(10)


def settle(opened):
    """Let maintenance do all that there is to do."""
    for _ in range(12):
        opened.maintenance.step()


def ask(opened, vectors, k=10, **changes):
    """Return ids and scores of the best rows for each query."""
    state = opened.shard.snapshot
    question = part.Question("", state.comparable(vectors), k, None, LINKS.ef_search, False, **changes)
    return [
        (state.take(place, part.Fields(False, False)).ids, scores) for scores, place in state.search(question)
    ]


@pytest.mark.parametrize(("engine", "code"), BUILT)
def test_a_shard_finds_its_rows_through_a_life(engine, code, tmp_path):
    """Settled, updated, deleted from, settled, reopened: the nearest live row comes first, exactly scored."""
    index, rows = index_of(engine, code), vectors_of(ROWS)
    opened = storage.open_shard(index, 0, tmp_path, TUNING, builders.Built)
    upsert(opened, range(ROWS), rows)
    settle(opened)
    rows[:150] = vectors_of(150, 9)
    upsert(opened, range(150), rows[:150])
    opened.shard.write(operations.DeleteIds("", [str(one) for one in range(150, 200)])).result(10)
    for again in (False, True):
        settle(opened)
        assert all(view.segment.engine is not None for view in opened.shard.snapshot.sealed)
        found = ask(opened, rows)
        living = [(str(one), *found[one]) for one in (*range(150), *range(200, ROWS))]
        scores = [scores[0] for one, ids, scores in living if ids[0] == one]
        assert len(scores) >= 0.97 * len(living)
        np.testing.assert_allclose(scores, 1, atol=1e-5)
        assert not {str(one) for one in range(150, 200)} & {one for ids, _ in found for one in ids}
        assert all(len(ids) == 10 for ids, _ in found)
        opened.close()
        if not again:
            opened = storage.open_shard(index, 0, tmp_path, TUNING, builders.Built)


def test_recall_is_measured_where_it_depends_on_the_rows(tmp_path):
    """A segment says what its codes found when it was built, with and without full vectors."""
    opened = storage.open_shard(index_of(KINDS.HNSW, CODES.RABITQ), 0, tmp_path, TUNING, builders.Built)
    upsert(opened, range(ROWS), vectors_of(ROWS))
    settle(opened)
    (view,) = opened.shard.snapshot.sealed
    measured = view.segment.descriptor.measured
    assert measured.queries == 128
    assert measured.estimated < measured.recall <= 1
    assert measured.oversampling == 4
    opened.close()


async def test_a_code_that_is_unfit_is_told(tmp_path):
    """Vectors that differ in what a code drops: served all the same, and RecallLow says so with figures."""
    numbers = np.random.default_rng(3)
    # One direction is shared by all and drowns the rest, in which alone they differ.
    rows = (100 + numbers.standard_normal((ROWS, DIMENSIONS))).astype(np.float32)
    unfit = index_of(KINDS.HNSW, CODES.RABITQ, oversampling=1, recall_floor=0.95)
    opened = storage.open_shard(unfit, 0, tmp_path, TUNING, builders.Built)
    upsert(opened, range(ROWS), rows)
    settle(opened)
    opened.close()
    served = await service.open_service(unfit, 0, tmp_path, TUNING)
    try:
        (condition,) = (await served.report(shard_pb2.ReportRequest())).conditions
        assert (condition.type, condition.reason) == ("RecallLow", "QuantizerUnfit")
        assert "rabitq is unfit for these vectors: recall@10 with oversampling 1 is 0." in condition.message
        assert "128 of a segment's 600 rows, the floor is 0.950; try more oversampling" in condition.message
        query = shard_pb2.Query(vector=rows[5].tobytes(), top_k=3, oversampling=100)
        (matches,) = (await served.search(shard_pb2.SearchRequest(queries=[query]))).results
        assert matches.rows.ids[0] == "5"
        query.oversampling = 101
        with pytest.raises(errors.BadRequestError, match="oversampling is 101; up to 100"):
            await served.search(shard_pb2.SearchRequest(queries=[query]))
    finally:
        await served.close()


async def test_each_query_of_a_batch_has_its_own_effort(tmp_path):
    """Probes of a query reach the lists, beside other queries of the same batch that ask for fewer."""
    index, rows = (
        index_of(KINDS.IVF, CODES.NONE),
        np.random.default_rng(1).standard_normal((ROWS, DIMENSIONS)),
    )
    rows = rows.astype(np.float32)
    opened = storage.open_shard(index, 0, tmp_path, TUNING, builders.Built)
    upsert(opened, range(ROWS), rows)
    settle(opened)
    opened.close()
    served = await service.open_service(index, 0, tmp_path, TUNING)
    try:
        ways = ({"probes": 1}, {"probes": 1_000}, {"exact": True})
        queries = [
            shard_pb2.Query(vector=row.tobytes(), top_k=10, **way) for row in rows[:20] for way in ways
        ]
        results = (await served.search(shard_pb2.SearchRequest(queries=queries))).results
        ids = [set(matches.rows.ids) for matches in results]
        assert ids[1::3] == ids[2::3]
        assert ids[0::3] != ids[2::3]
    finally:
        await served.close()


def described(kind, recall, estimated):
    """Return a segment's descriptor with a code and what it reached."""
    recipe = descriptor.Recipe(
        metric=config.Metric.COSINE,
        dimensions=4,
        engine=KINDS.HNSW,
        hnsw=LINKS,
        quantization=config.Quantization(kind=kind, ratio=4),
    )
    measured = descriptor.Measured(queries=128, recall=recall, estimated=estimated, oversampling=4)
    given = {"rows": 9, "first_seq": 1, "last_seq": 1, "files": {}}
    return descriptor.Descriptor(recipe=recipe, measured=measured, **given)


def serving(**code):
    """Return a generation with this compression of its values."""
    return config.Generation(dimensions=4, quantization=config.Quantization(**code))


def test_the_floor_is_held_against_what_is_served():
    """With rescoring the rescored recall counts, without it that of the codes; the worst segment is named."""
    segments = [described(CODES.SQ8, 0.99, 0.8), described(CODES.PQ, 0.95, 0.7)]
    assert fitness.conditions(serving(kind=CODES.PQ, recall_floor=0.9), segments) == []
    (told,) = fitness.conditions(serving(kind=CODES.PQ, recall_floor=0.9, rescore=False), segments)
    assert "pq is unfit for these vectors: recall@10 without rescoring is 0.700 on" in told.message
    assert "try rescoring, or a smaller ratio" in told.message
    assert fitness.conditions(serving(), []) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"engine": "hnswlib", "quantization": {"kind": "sq8"}}, "the engine hnswlib can't search sq8 codes"),
        ({"engine": "gpu", "quantization": {"kind": "pq"}}, "the engine gpu can't search pq codes"),
        ({"quantization": {"kind": "pq", "ratio": 10}}, "ratios that fit are 4, 8, 12, 16, 24, 32"),
        ({"quantization": {"kind": "pq", "ratio": 20}}, "pq can't cut 384 dimensions at ratio 20"),
        (
            {"vectors": [{"name": "a", "dimensions": 6, "quantization": {"kind": "pq", "ratio": 16}}]},
            'vector field "a": pq can\'t cut 6 dimensions at ratio 16: .* ratios that fit are 4, 8, 12, 24',
        ),
        (
            {
                "engine": "hnswlib",
                "vectors": [{"name": "a", "dimensions": 6, "quantization": {"kind": "float16"}}],
            },
            'vector field "a": the engine hnswlib can\'t search float16 codes',
        ),
        ({"engine": "ivf", "ivf": {"lists": 4, "probes": 5}}, "can't look into 5 of 4 lists"),
    ],
)
def test_what_no_generation_can_be_built_of_is_refused(wrong, message):
    """The configuration says what is wrong and what would be right."""
    with pytest.raises(pydantic.ValidationError, match=message):
        config.Generation.model_validate({"dimensions": 384} | wrong)


@pytest.mark.skipif(not gpu.refusal(), reason="there is a GPU here")
def test_lists_of_a_gpu_are_read_without_one(tmp_path):
    """The file is that of ivf: a segment that a GPU filled is no loss where there is none."""
    hnsw, lists, code = LINKS, config.IvfParameters(), config.Quantization(kind=CODES.SQ8)
    spec = base.Spec(config.Metric.EUCLIDEAN, KINDS.IVF, hnsw, lists, code)
    vectors = vectors_of(ROWS)
    vectors_file.write(tmp_path / "vectors", DIMENSIONS, ROWS, [vectors])
    stored = vectors_file.VectorsFile(tmp_path / "vectors")
    registry.build(spec, stored.vectors, base.Home(tmp_path))
    of_gpu = dataclasses.replace(spec, engine=KINDS.GPU)
    engine = registry.open_engine(of_gpu, stored, ROWS, base.Home(tmp_path))
    found = engine.search(vectors[:9], 1, None, base.Effort(probes=100))
    assert found.rows[:, 0].tolist() == list(range(9))


@pytest.mark.skipif(not gpu.refusal(), reason="there is a GPU here")
def test_without_a_gpu_the_engine_is_refused_at_the_start(tmp_path):
    """Nothing is set up, and the message says what is missing."""
    with pytest.raises(errors.NotHereError, match="the engine gpu needs"):
        storage.open_shard(index_of(KINDS.GPU, CODES.NONE), 0, tmp_path / "new", TUNING, builders.Built)
    assert not (tmp_path / "new").exists()

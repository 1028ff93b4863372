"""Vector fields in codes: what they find, how they are told of, and how they change."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
from fixtures import copies, folders, lives, shards
from fixtures.multivector import (
    BODY,
    COSINE,
    DOT,
    EUCLIDEAN,
    QUERY,
    TITLE,
    ask,
    check_exact,
    coded,
    drawn,
    oracle,
    shard_of,
    term,
    terms_of,
)

from vectorfleet_shardnode import fitness, identity, operations, shape, sketching
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.engines import choice, memory
from vectorfleet_shardnode.limits import estimates
from vectorfleet_shardnode.multivector import question as questions
from vectorfleet_shardnode.segments import descriptor, field_files, part
from vectorfleet_shardnode.serving import service

LINKS = config.HnswParameters(m=4, ef_construction=64)
KINDS, CODES = config.EngineKind, config.QuantizationKind
BOTH = {
    "float16": ({"kind": "float16"}, {"kind": "float16"}),
    "sq8": ({"kind": "sq8"}, {"kind": "sq8"}),
    "pq": ({"kind": "pq", "ratio": 4}, {"kind": "pq", "ratio": 4}),
    "rabitq": ({"kind": "rabitq"}, {"kind": "rabitq"}),
    "one of them": ({"kind": "sq8"}, {"kind": "none"}),
}
ENGINES = [(KINDS.HNSW, name) for name in BOTH] + [
    (KINDS.IVF, "sq8"),
    (KINDS.FLAT, "sq8"),
    (KINDS.FLAT, "pq"),
]


@pytest.fixture
def sealed_with(tmp_path):
    """Return what seals 2,000 rows whose fields have these codes; the view is usable until the test ends."""
    opened = []

    def sealed(**codes):
        rows, fields = drawn(COSINE, 2_000, 4), coded(COSINE, **codes)
        opened.append(shard_of(tmp_path, rows, COSINE, 2_000, vectors=fields, hnsw=LINKS))
        [view] = opened[0].shard.snapshot.sealed
        return view

    yield sealed
    opened[0].close()


def settle(served):
    """Do all the maintenance that there is."""
    for _ in range(8):
        served.maintenance.step()


@pytest.mark.parametrize(("engine", "name"), ENGINES)
def test_codes_bring_candidates_and_scores_are_exact(tmp_path, engine, name):
    """What is found is scored as the oracle scores it, little is missing, and exact search misses nothing."""
    rows, (title, body) = drawn(COSINE, 2_000, 15), BOTH[name]
    fields = coded(COSINE, title=title, body=body)
    served = shard_of(tmp_path, rows, COSINE, 2_000, engine=engine, vectors=fields, hnsw=LINKS)
    [view] = served.shard.snapshot.sealed
    sought = part.Sought("title", term("title", QUERY[:1], 1, COSINE).queries, 40, np.arange(2_000), 100)
    assert view.nearest(sought) is not None
    missing = 0
    for case in ("late", "named", "all three"):
        terms = terms_of(COSINE, case)
        found, expected = dict(ask(served, terms)), oracle(rows, terms, COSINE)
        for row_id, score in found.items():
            np.testing.assert_allclose(score, expected[row_id], rtol=1e-4, atol=1e-5)
        missing += 10 - len(found.keys() & set(sorted(expected, key=expected.get, reverse=True)[:10]))
        check_exact(ask(served, terms, exact=True), expected, COSINE, 10)
    assert missing <= 2
    served.close()


@pytest.mark.parametrize("metric", [DOT, EUCLIDEAN])
def test_codes_of_every_metric(tmp_path, metric):
    """Of similarities and of distances, a row is the nearest to its own title."""
    rows = drawn(metric, 600, 16)
    fields = coded(metric, title={"kind": "sq8", "oversampling": 1})
    served = shard_of(tmp_path, rows, metric, 600, vectors=fields, hnsw=LINKS)
    [view] = served.shard.snapshot.sealed
    assert view.segment.field("title").spec.coded
    right = 0
    for row in range(1, 600, 20):
        own = rows.fields["title"].take(np.array([row])).items
        terms = [term("title", own, 1, metric)]
        if len(own):
            [(found, score), *_] = ask(served, terms, k=4, depths=(20,), ef=20)
            expected = oracle(rows, terms, metric)
            np.testing.assert_allclose(score, expected[found], rtol=1e-4, atol=1e-5)
            best = max if metric is DOT else min
            right += found == best(expected, key=expected.get)
        else:
            right += 1
    assert right >= 28
    served.close()


def test_a_filter_is_obeyed_by_codes(sealed_with):
    """Only rows that may be returned are, and as many as are asked for."""
    view = sealed_with(title={"kind": "rabitq"}, body={"kind": "sq8"})
    for name, queries in (("title", QUERY[:1]), ("body", QUERY[:2, :5])):
        passing = np.arange(0, 2_000, 3)
        sought = part.Sought(name, term(name, queries, 1, COSINE).queries, 5, passing, 8, oversampling=2)
        near = view.nearest(sought)
        assert len(near.rows) >= 5
        assert set(near.rows) <= set(passing)


def test_without_rescoring_candidates_are_what_codes_tell(sealed_with):
    """Estimates say who is near, and no full vector is read for it; oversampling says how many are."""
    view = sealed_with(title={"kind": "rabitq"})
    field = view.segment.field("title")
    queries = np.ascontiguousarray(field.compared.items[:1])
    sought = part.Sought("title", queries, 20, np.arange(2_000), 20, oversampling=9)
    rescored, estimated = view.nearest(sought), view.nearest(dataclasses.replace(sought, rescore=False))
    exactly = field.compared.items @ queries[0]
    assert np.abs(exactly - rescored.farthest).min() < 1e-6
    assert np.abs(exactly - estimated.farthest).min() > 1e-6
    near = set(field.compared.owners(np.argsort(-exactly)[:20]))
    assert len(near & set(rescored.rows)) > len(near & set(estimated.rows))


def test_terms_say_what_the_configuration_says(tmp_path):
    """So that oversampling and rescoring change without a build."""
    [title, body] = coded(COSINE, title={"kind": "sq8", "oversampling": 9, "rescore": False})
    parts = [
        shard_pb2.QueryPart(field=field.name, weight=1, vectors=np.ones(field.dimensions, "<f4").tobytes())
        for field in (title, body)
    ]
    one, other = questions.parse_terms(parts, shape.Shape(COSINE, 4, (title, body)))
    assert (one.oversampling, one.rescore, other.rescore) == (9, False, True)
    served = shard_of(tmp_path, drawn(COSINE, 200, 4), COSINE, 200, vectors=(title, body))
    looked = field_files.SealedField.nearest
    with mock.patch.object(field_files.SealedField, "nearest", autospec=True, side_effect=looked) as nearest:
        ask(served, (one, other), k=3)
    sought = {call.args[1].field: call.args[1] for call in nearest.call_args_list}
    assert (sought["title"].oversampling, sought["title"].rescore) == (9, False)
    assert (sought["body"].oversampling, sought["body"].rescore) == (4, True)
    served.close()


def test_codes_are_measured_and_judged_by_the_floor_of_their_field(tmp_path):
    """Each field's recall is in the descriptor; the condition names the one that is unfit, and no other."""
    numbers = np.random.default_rng(3)
    rows = drawn(COSINE, 900, 3)
    # One direction is shared by all and drowns the rest, in which alone they differ.
    rows.fields["title"].items[:] = 100 + numbers.standard_normal(rows.fields["title"].items.shape)
    unfit = {"kind": "rabitq", "oversampling": 1, "recall_floor": 0.95}
    fields = coded(COSINE, title=unfit, body={"kind": "float16"})
    served = shard_of(tmp_path, rows, COSINE, 900, vectors=fields)
    [view] = served.shard.snapshot.sealed
    told = view.segment.descriptor.measured_fields
    assert told.keys() == {"title", "body"}
    assert told["title"].recall < 0.95 <= told["body"].recall
    generation = config.Generation(dimensions=4, vectors=fields)
    (condition,) = fitness.conditions(generation, [view.segment.descriptor])
    assert condition.message.startswith('vector field "title": rabitq is unfit for these vectors: recall@10')
    assert "of the vectors of a segment of 900 rows, the floor is 0.950; try more" in condition.message
    assert "body" not in condition.message
    lower = coded(COSINE, title=unfit | {"recall_floor": 0}, body={"kind": "float16"})
    assert not fitness.conditions(config.Generation(dimensions=4, vectors=lower), [view.segment.descriptor])
    served.close()


async def test_a_shard_reports_a_field_whose_codes_are_unfit(tmp_path):
    """In its report, which the operator makes a condition of."""
    rows = drawn(COSINE, 900, 3)
    fields = coded(COSINE, body={"kind": "pq", "ratio": 20, "oversampling": 1, "recall_floor": 1})
    served = shard_of(tmp_path, rows, COSINE, 900, vectors=fields)
    served.close()
    index = config.IndexConfig(index="shop", serving=config.Generation(dimensions=4, vectors=fields))
    opened = await service.open_service(index, 0, tmp_path, shards.TUNING)
    try:
        (condition,) = (await opened.report(shard_pb2.ReportRequest())).conditions
        assert (condition.type, condition.reason) == ("RecallLow", "QuantizerUnfit")
        assert 'vector field "body": pq is unfit' in condition.message
    finally:
        await opened.close()


@pytest.mark.parametrize("kind", ["sq8", "none"])
def test_a_field_changes_its_codes_with_the_next_build(tmp_path, kind):
    """A folder is served under other codes; what is built from then on has them, its graph is taken over."""
    rows = drawn(COSINE, 600, 14)
    before, after = coded(COSINE, title={"kind": "float16"}), coded(COSINE, title={"kind": kind})
    shard_of(tmp_path, rows, COSINE, 300, vectors=before).close()
    served = shards.opened(tmp_path, config.Generation(dimensions=4, vectors=after))
    [*_, view] = served.shard.snapshot.sealed
    assert view.segment.field("title").spec.quantization.kind is CODES.FLOAT16
    again = shards.taken(rows, np.arange(250, 600))
    served.shard.write(operations.Upsert("", again)).result(10)
    settle(served)
    [view] = served.shard.snapshot.sealed
    assert view.segment.field("title").spec.quantization.kind == kind
    terms = terms_of(COSINE, "named")
    check_exact(ask(served, terms, exact=True), oracle(rows, terms, COSINE), COSINE, 10)
    served.close()


@pytest.mark.parametrize(("engine", "estimates"), [(KINDS.FLAT, False), (KINDS.HNSW, True)])
def test_an_exact_engine_stays_exact_beside_codes_of_a_field(tmp_path, engine, estimates):
    """Rows that wait for the codes of a field are not compared by codes where values are never estimated."""
    fields = coded(COSINE, title={"kind": "sq8"})
    served = shard_of(tmp_path, drawn(COSINE, 60, 1), COSINE, 0, engine=engine, vectors=fields)
    with mock.patch.object(sketching.Sketch, "look") as look:
        settle(served)
    assert look.called == estimates
    [view] = served.shard.snapshot.sealed
    assert view.segment.indexed
    served.close()


def test_a_copy_has_the_codes_too(tmp_path):
    """What another replica is given is searched as it is: the files come along, and what they reached."""
    setting = lives.KINDS["fields-codes"].setting
    source = folders.Writer(folders.open_folder(tmp_path / "source", setting), setting, 7)
    lives.live_with_fields(source)
    folders.open_folder(tmp_path / "copy", setting).close()
    copies.fill(tmp_path / "copy", source.served)
    copy = folders.open_folder(tmp_path / "copy", setting)
    assert folders.rows_of(copy, setting) == folders.rows_of(source.served, setting)
    mine, other = (
        [view.segment for view in served.shard.snapshot.sealed if view.segment.indexed]
        for served in (copy, source.served)
    )
    assert all(segment.field(name).engine for segment in mine for name in ("title", "body"))
    assert [segment.descriptor for segment in mine] == [segment.descriptor for segment in other]
    copy.close()
    source.served.close()


def test_codes_are_no_part_of_whose_data_it_is():
    """As those of the rows' values are not."""
    plain, other = (
        config.IndexConfig(index="shop", serving=config.Generation(dimensions=4, vectors=fields))
        for fields in ((TITLE, BODY), coded(COSINE, title={"kind": "sq8"}, body={"kind": "pq", "ratio": 4}))
    )
    assert identity.of(plain, 0) == identity.of(other, 0)
    assert "quantization" not in identity.of(other, 0).model_dump_json()


def test_a_deep_look_needs_no_oversampling(sealed_with):
    """However many are wanted, a walk gives as many as it can: no more, and not all rows compared instead."""
    field = sealed_with(body={"kind": "sq8"}).segment.field("body")
    queries = np.ascontiguousarray(field.compared.items[:9])
    shallow = part.Sought("body", queries, 100, np.arange(2_000), 100, oversampling=6)
    with mock.patch.object(choice, "MAX_EF", 500):
        deep, shallower = (
            field._effort(dataclasses.replace(shallow, count=300), 100_000),
            field._effort(shallow, 100_000),
        )
    assert (deep.oversampling, shallower.oversampling) == (1, 5)


def recipe_of(fields):
    """Return how a segment with these fields is made."""
    return descriptor.Recipe(
        metric=COSINE, dimensions=4, engine=KINDS.HNSW, hnsw=config.HnswParameters(), vectors=fields
    )


def test_a_graph_is_the_same_whatever_the_codes():
    """It is built over full vectors, and extended though the codes change; not though the fields do."""
    plain, codes = recipe_of((TITLE, BODY)), recipe_of(coded(COSINE, title={"kind": "rabitq"}))
    assert codes.builds_the_same_graph(plain)
    assert plain.builds_the_same_graph(codes)
    assert not codes.builds_the_same_graph(recipe_of((TITLE,)))


@pytest.mark.parametrize("name", ["float16", "sq8", "rabitq"])
def test_files_of_a_field_are_as_large_as_computed(tmp_path, name):
    """Codes and links, of a plain field and of tokens, within 5 %."""
    title, body = BOTH[name]
    fields = coded(COSINE, title=title, body=body)
    served = shard_of(tmp_path, drawn(COSINE, 2_000, 15), COSINE, 2_000, vectors=fields, hnsw=LINKS)
    [view] = served.shard.snapshot.sealed
    made, files = config.Generation(dimensions=4, vectors=fields, hnsw=LINKS), view.segment.descriptor.files
    for number, field in enumerate(fields):
        items = len(view.segment.field(field.name).compared.items)
        held = sum(files[f"field-{number}-{file}.faiss"].bytes for file in ("graph", "codes"))
        assert held == pytest.approx(memory.needed(made.of_field(field), items).of(items), rel=0.05)
    served.close()


def test_what_fields_take_is_computed_before_it_is_taken():
    """A build and what it leaves count the engine of each field; what is read all the time are its codes."""
    fields = coded(COSINE, title={"kind": "sq8"})
    made = config.Generation(dimensions=4, vectors=fields)

    files = {
        "vectors.bin": 16_000,
        "comparable.bin": 16_000,
        "graph.faiss": 1_000,
        "field-0-vectors.bin": 24_000,
        "field-0-comparable.bin": 24_000,
        "field-0-codes.faiss": 6_000,
        "field-0-graph.faiss": 500,
        "field-1-vectors.bin": 40_000,
        "field-1-comparable.bin": 40_000,
        "field-1-graph.faiss": 700,
    }
    given = descriptor.Descriptor(
        recipe=recipe_of(fields),
        rows=1_000,
        first_seq=1,
        last_seq=2,
        files={name: descriptor.FileSum(bytes=size, sha256="") for name, size in files.items()},
    )
    resident = estimates.resident_of(given)
    assert resident.graphs == 1_000 + 500 + 700
    assert resident.wanted == 16_000 + 6_000 + 40_000
    merged = estimates.merge_of([(given, 1_000)], made, extended=False)
    alone = estimates.merge_of([(given, 1_000)], made.model_copy(update={"vectors": ()}), extended=False)
    title, body = (memory.needed(made.of_field(field), 0) for field in fields)
    links = memory.links(16)
    assert (title.row, title.build) == (6 + links, 24 + links)
    assert merged.building - alone.building == round(1_000 * title.build) + round(2_000 * body.build)
    assert merged.opened - alone.opened == pytest.approx(3_000 * links, abs=2)

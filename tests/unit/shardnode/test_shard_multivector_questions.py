"""What may be asked of vector fields, how deep it is looked, and what bounds a row."""

import numpy as np
import pytest
from fixtures.multivector import (
    COSINE,
    EUCLIDEAN,
    QUERY,
    shape_of,
    term,
)

from vectorfleet_shardnode import errors
from vectorfleet_shardnode.api import shard_pb2
from vectorfleet_shardnode.engines import base
from vectorfleet_shardnode.multivector import question as questions
from vectorfleet_shardnode.segments import part


def test_rows_are_bounded_by_where_they_were_found():
    """The best of a row's vectors counts for each query; how far it is from the farthest is its gain."""
    scores = np.array([[0.9, 0.7, 0.5], [0.8, 0.6, 0.0]], np.float32)
    found = base.Neighbours(scores, np.array([[4, 5, 9], [9, 4, -1]]))
    near = part.nearest_of(found, np.array([2, 2, 3, 3, 2]))  # vectors 4 and 5 are of row 2
    assert near.rows.tolist() == [2, 3]
    np.testing.assert_allclose(near.farthest, [0.5, 0.6])
    np.testing.assert_allclose(near.gains, [0.9 - 0.5 + 0.6 - 0.6, 0.5 - 0.5 + 0.8 - 0.6], atol=1e-6)


def part_of(field, vectors, weight=1.0):
    """Return a part of a query as a request has it."""
    return shard_pb2.QueryPart(field=field, vectors=np.array(vectors, "<f4").tobytes(), weight=weight)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([part_of("summary", [1, 2])], 'no vector field "summary"; it has "title", "body"'),
        ([part_of("title", [1, 2])], 'field "title" has 6 dimensions; 8 bytes'),
        ([part_of("title", [[1] * 6] * 2)], '2 vectors were sent for field "title"; one is taken'),
        ([part_of("body", [])], '0 vectors were sent for field "body"; 1 to 512'),
        ([part_of("body", [[1] * 5] * 513)], '513 vectors were sent for field "body"; 1 to 512'),
        ([part_of("body", [0] * 5)], "vector 0 is all zeros"),
        ([part_of("", [1, 2, 3])], "has 4 dimensions; 1 vectors came with 3"),
        ([part_of("", [1] * 4), part_of("", [1] * 4, 0)], "part 1 has the weight 0; .* other than 0"),
        ([part_of("", [1] * 4, np.inf)], "part 0 has the weight inf"),
        ([part_of("", [1] * 4)] * 17, "the query has 17 parts; at most 16"),
    ],
)
def test_what_can_not_be_asked_is_refused(parts, said):
    """With what would be right."""
    with pytest.raises(errors.BadRequestError, match=said):
        questions.parse_terms(parts, shape_of(COSINE))


@pytest.mark.parametrize(
    ("sent", "metric"), [(part_of("", [1] * 4, -1), EUCLIDEAN), (part_of("body", [1] * 5, -1), COSINE)]
)
def test_what_no_graph_can_look_for_needs_an_exact_search(sent, metric):
    """The farthest, and the least similar by MaxSim; other negative weights are as good as positive ones."""
    with pytest.raises(errors.BadRequestError, match=r"part 0 has the weight -1; .* needs exact search"):
        questions.parse_terms([sent], shape_of(metric))
    assert questions.parse_terms([sent], shape_of(metric), exact=True)[0].weight == -1
    assert questions.parse_terms([part_of("", [1] * 4, -1)], shape_of(COSINE))[0].weight == -1


def test_a_query_looks_deeper_as_long_as_it_must():
    """From topK x oversampling on in steps, bounded; a query's own oversampling is obeyed as it is."""
    plain, late = [term("title", QUERY[:1], 1, COSINE)], [term("body", QUERY[:, :5], 1, COSINE)]
    many = [term("body", np.ones((100, 5)), 1, COSINE)]
    assert questions.depths_of(10, 0, 4, plain) == (40, 160, 640, 2_560)
    assert questions.depths_of(10, 0, 4, late) == (80, 320, 1_280, 5_120)
    assert questions.depths_of(10, 0, 4, many) == (80, 320, 1_000)
    assert questions.depths_of(1, 0, 4, plain) == (32, 128, 512, 2_048)
    assert questions.depths_of(1_000, 0, 4, plain) == (4_000, 10_000)
    assert questions.depths_of(1_000, 0, 4, many) == (8_000,)
    assert questions.depths_of(10, 3, 4, late) == (30,)
    assert questions.depths_of(10_000, 100, 4, late) == (10_000,)

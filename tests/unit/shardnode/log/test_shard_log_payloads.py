"""What a record of the log carries: each kind comes back from its bytes, and what does not fit is refused."""

import pytest
from fixtures.logs import put

from vectorfleet_shardnode import errors, records


def test_all_kinds_of_record_survive_their_bytes():
    """Encoding and decoding give the same record back, whatever its ids and namespace."""
    every = [records.Clear("a"), records.Remove("", ["x", "漢" * 512]), records.Remove("ns", []), put(5)]
    for record in every:
        op, payload = records.encode(record)
        again = records.decode(op, memoryview(b"".join(payload)))
        assert records.encode(again) == (op, payload)


def test_a_payload_that_is_too_short_is_damage():
    """A checksum that fits bytes of another format does not lead to a crash."""
    op, payload = records.encode(put(1))
    data = b"".join(payload)
    for length in range(len(data)):
        with pytest.raises(errors.DataLossError):
            records.decode(op, memoryview(data)[:length])


def test_keys_that_do_not_fit_are_refused():
    """The format's length fields bound a namespace and an id."""
    with pytest.raises(errors.BadRequestError, match="namespace has 70000 bytes"):
        records.encode(records.Clear("n" * 70_000))
    with pytest.raises(errors.BadRequestError, match="id has 70000 bytes"):
        records.encode(records.Remove("", ["i" * 70_000]))

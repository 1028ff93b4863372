"""Whatever bytes stand in a log: what is replayed was written, and the rest is damage.

Where the format has checksums, they are made right for some of the inputs, to reach what lies behind.
"""

import hypothesis
import pytest
from fuzzing.inputs import ask, changed, fuzz, rubbish
from fuzzing.written import every_record, raw
from hypothesis import strategies as st

from vectorfleet_shardnode import errors, records, storage
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.log import log_files, log_format, recovery
from vectorfleet_shardnode.settings import Tuning

pytestmark = pytest.mark.timeout(60)  # no input may keep a parser busy
SALT = 0x5A17


def log_of(entries):
    """Return the bytes of a log file; entries are (op, seq, payload)."""
    parts = [log_format.pack_header(log_format.Header(SALT, 1, 0))]
    for op, seq, payload in entries:
        parts += [log_format.pack_record(SALT, seq, log_format.Head(1, op), [payload]), payload]
    return b"".join(parts)


def sound_log(written):
    """Return the bytes of a log in which each record was acknowledged, as the log writes it."""
    entries = []
    for seq, record in enumerate(written, 1):
        op, payload = records.encode(record)
        entries += [(op, seq, b"".join(payload)), (records.Op.MARK, seq, seq.to_bytes(8, "little"))]
    return log_of(entries)


def recover(folder, content):
    """Recover a log of one file; returns what was replayed, as bytes; None where it is refused."""
    path = log_files.path_of(folder, 1)
    path.write_bytes(content)
    seen = []

    def apply(place, record):
        seen.append((place.seq, raw(record)))

    found, refusal = ask(errors.DataLossError, recovery.recover, folder, recovery.Expected(), apply)
    assert found or path.name in refusal
    return seen if found else None


@fuzz
@hypothesis.given(st.binary(max_size=80))
def test_any_bytes_are_a_log_file_or_damage(tmp_path, content):
    """Nothing but the package's own error comes out of a log file's bytes."""
    for header in (b"", log_of([])):
        assert recover(tmp_path, header + content) in (None, [])


@fuzz
@hypothesis.given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1) | st.integers(0, 5), st.integers(0, 4), rubbish), max_size=4)
)
def test_records_whose_checksums_are_right_all_the_same(tmp_path, entries):
    """Any op, seq and payload behind right checksums: replayed in order, or refused with the file's name."""
    seen = recover(tmp_path, log_of(entries)) or []
    assert [seq for seq, _ in seen] == list(range(1, len(seen) + 1))


@fuzz
@hypothesis.given(
    st.lists(every_record, min_size=1, max_size=4).flatmap(
        lambda written: st.tuples(st.just(written), changed(st.just(sound_log(written))))
    )
)
def test_a_changed_log_never_gives_other_records(tmp_path, case):
    """What is replayed is what was written, from its start on; less of it only where the end went missing."""
    written, content = case
    whole = [(seq, raw(record)) for seq, record in enumerate(written, 1)]
    seen = recover(tmp_path, content)
    if seen is None:
        return
    assert seen == whole[: len(seen)]
    last_mark = log_of([(records.Op.MARK, len(written), len(written).to_bytes(8, "little"))])[
        log_format.HEADER_BYTES :
    ]
    assert len(seen) == len(written) or not content.endswith(last_mark)


@pytest.mark.parametrize("piece", [b"VFR1", b"VFR1" + b"\xff" * 32, bytes(36)])
def test_a_long_tail_of_rubbish_is_looked_through_once(tmp_path, piece):
    """A megabyte that looks like records all over is a torn tail like another."""
    content = sound_log([records.Clear("a")]) + piece * ((1 << 20) // len(piece))
    assert [seq for seq, _ in recover(tmp_path, content)] == [1]


@fuzz
@hypothesis.given(
    st.sampled_from(records.Op), rubbish | changed(every_record.map(lambda record: raw(record)[1]))
)
def test_any_payload_is_a_record_or_damage(op, payload):
    """What is decoded says the same when it is encoded again."""
    record, _ = ask(errors.DataLossError, records.decode, op, memoryview(payload))
    assert record is None or raw(record) == (op, payload)


@fuzz
@hypothesis.given(every_record)
def test_every_record_survives_its_bytes(record):
    """Encoded, decoded and encoded again, it is the same."""
    op, payload = raw(record)
    assert raw(records.decode(op, memoryview(payload))) == (op, payload)


@hypothesis.settings(fuzz, max_examples=60)
@hypothesis.given(st.lists(every_record | st.binary(max_size=30), max_size=3))
def test_a_log_of_any_content_opens_or_is_damage(tmp_path_factory, written):
    """Records in good order whose rows are not of this index, or hold no JSON, are refused as damage."""
    folder = tmp_path_factory.mktemp("shard") / "data"
    index = config.IndexConfig(index="a", serving=config.Generation(dimensions=3))
    tuning = Tuning(reserved_bytes=0)
    storage.open_shard(index, 0, folder, tuning).close()
    [path] = log_files.paths(folder / "log")
    header = log_format.unpack_header(path.read_bytes())
    for seq, record in enumerate(written, 1):
        op, payload = (records.Op.PUT, record) if isinstance(record, bytes) else raw(record)
        added = log_format.pack_record(header.salt, seq, log_format.Head(1, op), [payload]) + payload
        path.write_bytes(path.read_bytes() + added)
    opened, refusal = ask(errors.DataLossError, storage.open_shard, index, 0, folder, tuning)
    assert opened or path.name in refusal
    if opened:
        assert opened.shard.snapshot.seq == len(written)
        opened.close()

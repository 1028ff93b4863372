"""Text search: terms, BM25 against a plain oracle, and scores that don't depend on how rows are laid out."""

import dataclasses

import msgspec
import numpy as np
import pytest
from fixtures import builders
from oracles import bm25

from vectorfleet_shardnode import errors, filters, operations, storage, text_search
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.records import Rows
from vectorfleet_shardnode.segments import part, text_file
from vectorfleet_shardnode.settings import Tuning
from vectorfleet_shardnode.text import analysis, postings

LANGUAGE = config.Language
TUNING = Tuning(growing_rows=7, index_min_rows=20, settle_seconds=0, build_threads=1, reserved_bytes=0)
WORDS = (
    "the",
    "cat",
    "cats",
    "sat",
    "a",
    "mat",
    "mats",
    "red",
    "blue",
    "running",
    "runner",
    "dog",
    "of",
    "tea",
)


@pytest.mark.parametrize(
    ("language", "text", "stems"),
    [
        (LANGUAGE.ENGLISH, "The Running-dogs' libraries, 2004!", ["run", "dog", "librari", "2004"]),
        (LANGUAGE.ENGLISH, "\ufb01shing \uff23\uff21\uff34\uff33", ["fish", "cat"]),
        (LANGUAGE.ENGLISH, "of the and", []),
        (LANGUAGE.ENGLISH, "x" * 64 + " " + "y" * 65, ["x" * 64]),
        (LANGUAGE.GERMAN, "Die Häuser der Straße", ["haus", "strass"]),
        (LANGUAGE.FRENCH, "Les chevaux étaient rapides", ["cheval", "rapid"]),
        (LANGUAGE.RUSSIAN, "Красивые дома", ["красив", "дом"]),
        (LANGUAGE.ENGLISH, "", []),
        (LANGUAGE.ENGLISH, "e-mail@example.org", ["e", "mail", "exampl", "org"]),
    ],
)
def test_text_becomes_stems(language, text, stems):
    """Words in one form, without stop words, cut to stems; what a stored index was made with stays so."""
    analyzer = analysis.analyzer(language)
    assert analyzer.stems(text) == stems
    assert analyzer.terms(text) == [analysis.hash_of(stem) for stem in stems]


def test_every_language_has_an_analysis():
    """None of those that a manifest may name fails."""
    assert all(analysis.analyzer(language).stems("abc 1") for language in LANGUAGE)


@pytest.mark.parametrize(
    ("metadata", "stems"),
    [
        ({"t": "red cats"}, ["red", "cat"]),
        ({"t": ["red", "cats"]}, ["red", "cat"]),
        ({"t": 3}, []),
        ({"u": "red"}, []),
        (None, []),
    ],
)
def test_texts_are_strings_and_lists_of_strings(metadata, stems):
    """Everything else is no text."""
    found = analysis.analyzer(LANGUAGE.ENGLISH).terms_of(metadata, "t")
    assert found == [analysis.hash_of(stem) for stem in stems]


def test_postings_are_written_and_read(tmp_path):
    """Every array comes back, and what is cut or foreign is refused."""
    made = postings.of_rows([[5, 3, 5], [], [2**64 - 1, 3]])
    text_file.write(tmp_path / "t", made)
    read = text_file.read(tmp_path / "t", 3)
    for field in dataclasses.fields(made):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(made, field.name))
    assert [found.tolist() for found in read.find(5)] == [[0], [2]]
    assert [found.tolist() for found in read.find(3)] == [[0, 2], [1, 1]]
    assert [found.tolist() for found in read.find(4)] == [[], []]
    content = (tmp_path / "t").read_bytes()
    for damaged in (content[:-1], content + b"\0", b"X" + content[1:], content[:40]):
        (tmp_path / "t").write_bytes(damaged)
        with pytest.raises(errors.DataLossError):
            text_file.read(tmp_path / "t", 3)
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(errors.DataLossError, match="4 rows"):
        text_file.read(tmp_path / "t", 4)


def test_merged_postings_are_those_of_the_merged_rows():
    """Dead rows are left out, and the order of rows is the new one."""
    random = np.random.default_rng(3)
    texts = [random.integers(1, 20, random.integers(0, 6)).tolist() for _ in range(40)]
    parts = [texts[:15], texts[15:]]
    kept = [np.array([0, 3, 14]), np.arange(2, 25)]
    order = random.permutation(3 + 23)
    sources = [postings.Source(postings.of_rows(part), rows) for part, rows in zip(parts, kept, strict=True)]
    flat = [part[row] for part, rows in zip(parts, kept, strict=True) for row in rows]
    merged = postings.merged(sources, order)
    expected = postings.of_rows([flat[at] for at in order])
    for field in dataclasses.fields(expected):
        np.testing.assert_array_equal(getattr(merged, field.name), getattr(expected, field.name))


class Room:
    """A shard of two dimensions with text fields."""

    def __init__(self, folder, tuning=TUNING, **schema):
        self.schema = config.Schema(**({"text": ("title", "body")} | schema))
        self.folder, self.tuning = folder, tuning
        self.open()

    def open(self):
        """Open the shard."""
        serving = config.Generation(dimensions=2, metric="dotproduct")
        index = config.IndexConfig(index="texts", serving=serving, schema=self.schema)
        self.opened = storage.open_shard(index, 0, self.folder, self.tuning, builders.Built)

    def upsert(self, rows, namespace=""):
        """Write rows, given as id → metadata."""
        content = [msgspec.json.encode(metadata) for metadata in rows.values()]
        vectors = np.ones((len(rows), 2), np.float32)
        done = self.opened.shard.write(operations.Upsert(namespace, Rows(list(rows), vectors, content)))
        done.result(10)
        for _ in range(3):
            self.opened.maintenance.step()

    def delete(self, ids, namespace=""):
        """Delete rows."""
        self.opened.shard.write(operations.DeleteIds(namespace, ids)).result(10)

    def settle(self):
        """Do all the maintenance that there is, builds included."""
        for _ in range(200):
            self.opened.maintenance.step()

    def ask(self, text, k=10, wanted=b"", namespace=""):
        """Return ids and scores."""
        question = text_search.Question(namespace, text, k, filters.parse(wanted))
        state = self.opened.shard.snapshot
        scores, place = text_search.search(state, question)
        fields = part.Fields(values=False, metadata=False)
        return list(zip(state.take(place, fields).ids, scores.tolist(), strict=True))


@pytest.fixture
def make_room(tmp_path):
    """Make rooms; all are closed in the end."""
    rooms = []

    def make(name="a", **given):
        rooms.append(Room(tmp_path / name, **given))
        return rooms[-1]

    yield make
    for room in rooms:
        room.opened.close()


def oracle(rows, text, **changes):
    """Return what text search must find in the two fields."""
    return bm25.ranked(rows, text, ("title", "body"), **changes)


def write_at_random(room, random, turns=60):
    """Upsert and delete; return the rows that live."""
    rows = {}
    for _ in range(turns):
        batch = {}
        for number in random.integers(0, 40, random.integers(1, 5)):
            title = " ".join(random.choice(WORDS, random.integers(0, 4)))
            body = random.choice(WORDS, random.integers(0, 9)).tolist()
            batch[f"n{number}"] = {"title": title, "body": body, "even": bool(number % 2 == 0)}
        room.upsert(batch)
        rows |= batch
        if random.random() < 0.3:
            gone = [f"n{number}" for number in random.integers(0, 40, 3)]
            room.delete(gone)
            rows = {row_id: row for row_id, row in rows.items() if row_id not in gone}
    return rows


QUERIES = ("cat", "red dogs running", "cats cats mat", "tea house of the rising sun", "nothing known", "")


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_bm25s_over_the_live_rows(make_room, seed):
    """After updates, deletes, merges and a restart: what the formula says of the rows that live."""
    room, random = make_room(), np.random.default_rng(seed)
    rows = write_at_random(room, random)

    def check():
        for text in QUERIES:
            expected = oracle(rows, text)
            found = room.ask(text, k=100)
            assert [row_id for row_id, _ in found] == [row_id for row_id, _ in expected]
            np.testing.assert_allclose([s for _, s in found], [s for _, s in expected], rtol=1e-6)

    check()
    room.settle()
    check()
    room.opened.close()
    room.open()
    check()


@pytest.mark.parametrize("seed", range(3))
def test_scores_do_not_depend_on_the_layout(make_room, seed):
    """Replicas that flushed and merged at other moments return the same rows with the same bits of score."""
    layouts = [
        TUNING,
        TUNING.model_copy(update={"growing_rows": 3}),
        TUNING.model_copy(update={"growing_rows": 10_000}),
    ]
    rooms = [make_room(str(number), tuning=tuning) for number, tuning in enumerate(layouts)]
    for room in rooms:
        write_at_random(room, np.random.default_rng(seed))
    rooms[1].settle()
    for text in QUERIES:
        for k in (1, 3, 100):
            first, *others = [room.ask(text, k) for room in rooms]
            assert others == [first] * len(others)


@pytest.mark.parametrize("growing_rows", [50, 10_000])
def test_equals_are_ordered_by_id(make_room, growing_rows):
    """Of rows that answer equally well those with the smallest ids are returned, wherever they lie."""
    room = make_room(tuning=TUNING.model_copy(update={"growing_rows": growing_rows}))
    ids = np.random.default_rng(2).permutation([f"n{number:03}" for number in range(300)]).tolist()
    for start in range(0, 300, 20):
        room.upsert({row_id: {"title": "red"} for row_id in ids[start : start + 20]})
    room.upsert({"zzz": {"title": "red red red"}})
    for k in (1, 5, 120):
        assert [row_id for row_id, _ in room.ask("red", k)] == ["zzz", *sorted(ids)][:k]


def test_filters_and_namespaces_come_first(make_room):
    """Rows that don't pass are no matches; other namespaces change no score."""
    room = make_room()
    rows = write_at_random(room, np.random.default_rng(9))
    before = room.ask("red cats", k=100)
    passing = room.ask("red cats", 100, b'{"even": true}')
    assert passing == [(row_id, score) for row_id, score in before if rows[row_id]["even"]]
    room.upsert({f"m{number}": {"title": "red red cats"} for number in range(30)}, "other")
    assert room.ask("red cats", k=100) == before
    assert len(room.ask("red cats", 100, namespace="other")) == 30
    assert room.ask("red cats", namespace="nobody") == []


def test_a_field_that_is_declared_later_is_found(make_room):
    """Segments of another schema or language are read anew; a merge then writes their files."""
    room = make_room(text=("title",))
    rows = write_at_random(room, np.random.default_rng(5))
    room.settle()
    room.opened.close()
    room.schema = config.Schema(text=("body", "title"), bm25=config.Bm25Parameters(k1=2, b=0.3))
    room.open()
    found = [(row_id, score) for row_id, score in room.ask("dogs running", k=100)]
    expected = oracle(rows, "dogs running", k1=2, b=0.3)
    assert [row_id for row_id, _ in found] == [row_id for row_id, _ in expected]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in expected], rtol=1e-6)


def test_what_is_wrong_is_refused(make_room):
    """No text fields, a text without end, too many words."""
    with pytest.raises(errors.BadRequestError, match=r"schema\.text"):
        make_room("none", text=()).ask("cat")
    room = make_room()
    with pytest.raises(errors.BadRequestError, match="characters"):
        room.ask("a" * 8_193)
    with pytest.raises(errors.BadRequestError, match="different words"):
        room.ask(" ".join(f"w{number}" for number in range(1_025)))

"""A sealed segment: immutable files, memory-mapped, and a view that says which of its rows still live."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .. import bits, errors, filters, keys, ragged, records, sparse
from ..api import config
from ..arrays import Bits, Hashes, Mask, RowNumbers, Vectors
from ..engines import base, clusters, registry, signs
from ..text import postings
from . import (
    columns,
    descriptor,
    extension,
    field_files,
    filter_fields,
    filter_file,
    living,
    part,
    sealed_search,
    sealed_texts,
    selection,
    sparse_files,
    vectors_file,
    writer,
)

_REMEMBERED_SELECTIONS = 16


class SealedSegment:
    """The open files of one segment. Without `graphs` no engine is opened, and every row is compared.

    Raises:
        DataLossError: a file is missing or not as it was written; found before FAISS reads any of them.
    """

    def __init__(self, folder: Path, described: descriptor.Descriptor, *, graphs: bool = True) -> None:
        self.folder = folder
        self.name = folder.name
        self.descriptor = described
        self.searched = graphs
        if described.version != descriptor.VERSION:
            raise errors.UnknownFormatError(
                f"segment {self.name} has format {described.version}; "
                f"this program reads format {descriptor.VERSION}"
            )
        check_files(folder, described.files)
        metric = described.recipe.metric
        self.metric = metric
        self.columns = columns.Columns(folder / writer.COLUMNS)
        self.vectors = vectors_file.VectorsFile(folder / writer.VECTORS)
        self.compared = self.vectors
        if writer.COMPARABLE in described.files:
            self.compared = vectors_file.VectorsFile(folder / writer.COMPARABLE)
        spec = described.recipe.spec
        if spec.coded:
            self.compared.expect_few()
        self.engine = None
        if graphs:
            self.engine = registry.open_engine(spec, self.compared, described.rows, base.Home(folder))
        values = ragged.Ragged(np.arange(self.rows + 1), self.compared.vectors[: self.rows])
        self.fields = {
            field.name: field_files.open_field(folder, number, described, graphs=graphs)
            for number, field in enumerate(described.recipe.vectors)
        }
        self.sparse = sparse_files.open_files(folder, described)
        self._values = field_files.SealedField(values, values, self.engine, spec)
        nodes = described.rows + described.ghosts
        m, compared = described.recipe.hnsw.m, self.compared.vectors
        self.clusters: clusters.Clusters | None = None
        if graphs and writer.CLUSTERS in described.files:
            self.clusters = clusters.Clusters(folder / writer.CLUSTERS, metric)
        self.target = sealed_search.Target(metric, compared, self.engine, nodes, m, self._signs())
        self.texts = sealed_texts.SealedTexts(folder, described, self.columns.every_metadata)
        self.filters = filter_fields.FilterFields(self.rows, self.columns.every_metadata, self._filter_file())

    @property
    def rows(self) -> int:
        """How many rows are stored, live or not."""
        return self.descriptor.rows

    @functools.cached_property
    def indexed(self) -> bool:
        """Whether an engine was built over its rows or over a vector field, opened or not."""
        return self.descriptor.recipe.indexes

    @property
    def bytes_per_row(self) -> int:
        """Bytes of vectors that a row has on average, vector fields and sparse values included."""
        items = sum(field.stored.items.nbytes for field in self.fields.values())
        items += self.sparse.stored.items.nbytes if self.sparse else 0
        return self.vectors.dimensions * 4 + items // self.rows

    def field(self, name: str) -> field_files.SealedField:
        """Return a vector field, or with an empty name the rows' values."""
        return self.fields[name] if name else self._values

    def _signs(self) -> signs.Signs | None:
        if self.clusters is None or writer.SIGNS not in self.descriptor.files:
            return None
        return signs.Signs(self.folder / writer.SIGNS, self.metric, self.clusters)

    def _filter_file(self) -> filter_file.FilterFile | None:
        if writer.FILTERS not in self.descriptor.files:
            return None
        return filter_file.FilterFile(self.folder / writer.FILTERS, self.rows)


def check_files(folder: Path, expected: dict[str, descriptor.FileSum]) -> None:
    """Compare files with their checksums.

    Raises:
        DataLossError: a file is missing or not as it was written.
    """
    for name, wanted in expected.items():
        descriptor.check(folder / name, wanted, f"segment {folder.name}: {name}")


@dataclasses.dataclass(frozen=True)
class SealedView(living.Living[SealedSegment]):
    """A sealed segment and which of its rows live, see `part.Part`."""

    @property
    def metric(self) -> config.Metric:
        """How vectors are compared."""
        return self.segment.metric

    @property
    def waits(self) -> bool:
        """Whether it is compared row by row: nothing is built over its rows' values, or not yet."""
        return not self.segment.indexed

    @property
    def comparable(self) -> Vectors:
        """The rows' values as they are compared, (rows, dimensions)."""
        return self.segment.compared.vectors

    def find(self, sought: keys.Keys) -> RowNumbers:
        """Return the live row of each key, -1 where this part has none."""
        found = self.segment.columns.find(sought)
        return part.only_live(found, self.live)

    def matching(self, namespace: str, wanted: filters.Filter | None) -> RowNumbers:
        """Return the live rows of a namespace that pass."""
        return self._select(namespace, wanted).rows

    def chosen(self, question: part.Question) -> Mask | None:
        """Return which rows may match, None for all."""
        selected = self._select(question.namespace, question.wanted)
        return None if selected.whole else selected.mask

    @functools.cached_property
    def _live_bits(self) -> Bits:
        return bits.of_mask(self.live)

    @functools.cached_property
    def _select(self) -> Callable[[str, filters.Filter | None], selection.Selection]:
        segment, live = self.segment, self._live_bits

        @functools.lru_cache(_REMEMBERED_SELECTIONS)
        def select(namespace: str, wanted: filters.Filter | None) -> selection.Selection:
            within = bits.within(live, segment.columns.range_of(namespace))
            chosen = within if wanted is None else within & segment.filters.passing(wanted)
            return selection.Selection(chosen, segment.rows, segment.clusters)

        return select

    def search(self, question: part.Question) -> base.Neighbours:
        """Return the best live rows for each query: by the engine, or exactly where that costs less."""
        selected = self._select(question.namespace, question.wanted)
        return sealed_search.search(self.segment.target, question, selected)

    def take(self, rows: RowNumbers, fields: part.Fields) -> records.Rows:
        """Return rows by number."""
        stored = self.segment.columns
        return records.Rows(
            stored.ids(rows),
            self.segment.vectors.vectors[rows] if fields.values else self.segment.vectors.vectors[:0],
            stored.metadata(rows) if fields.metadata else [],
            self._fields(rows) if fields.values else {},
            self._sparse(rows) if fields.values else None,
        )

    def _fields(self, rows: RowNumbers) -> dict[str, ragged.Ragged]:
        return {name: field.stored.take(rows) for name, field in self.segment.fields.items()}

    def _sparse(self, rows: RowNumbers) -> ragged.Ragged | None:
        return self.segment.sparse.stored.take(rows) if self.segment.sparse else None

    def products(self, asked: sparse.Vector) -> sparse.Products:
        """Return the dot products of a sparse vector with all rows, live or not."""
        if self.segment.sparse is None:
            return sparse.added(np.zeros(0, np.int64), np.zeros(0), self.segment.rows)
        return self.segment.sparse.postings.products(asked)

    def compared(self, name: str) -> ragged.Ragged:
        """Return a vector field, or with an empty name the rows' values, as it is compared."""
        return self.segment.field(name).compared

    @functools.cached_property
    def mask_of(self) -> Callable[[str], Mask]:
        """Return which rows are live and of a namespace."""
        segment, live = self.segment, self.live

        @functools.lru_cache(_REMEMBERED_SELECTIONS)
        def mask_of(namespace: str) -> Mask:
            within = segment.columns.range_of(namespace)
            mask = np.zeros(segment.rows, np.bool_)
            mask[within.start : within.stop] = live[within.start : within.stop]
            return mask

        return mask_of

    def first_by_id(self, rows: RowNumbers, count: int) -> RowNumbers:
        """Return those of some rows of one namespace, ascending, that have the smallest ids."""
        return rows[:count]  # rows of a namespace stand in the order of their ids

    @functools.cached_property
    def text_sums(self) -> Callable[[str, str, config.Language], tuple[int, int]]:
        """Return how many live rows of a namespace have text in a field, and the terms of all of them."""
        segment, mask_of = self.segment, self.mask_of

        @functools.lru_cache(_REMEMBERED_SELECTIONS)
        def text_sums(namespace: str, field: str, language: config.Language) -> tuple[int, int]:
            lengths = segment.texts.of(field, language).lengths[mask_of(namespace)]
            return int(np.count_nonzero(lengths)), int(lengths.sum(dtype=np.int64))

        return text_sums

    def texts(self, field: str, language: config.Language) -> postings.Postings:
        """Return the texts of a declared text field, analysed by its language."""
        return self.segment.texts.of(field, language)

    def nearest(self, sought: part.Sought) -> part.Nearest | None:
        """Return rows with vectors near the queries, None where comparing all costs less."""
        return self.segment.field(sought.field).nearest(sought)

    def list_ids(self, page: part.Page) -> list[str]:
        """Return ids of live rows in ascending order."""
        stored = self.segment.columns
        start = stored.after(page.namespace, page.after) if page.after else 0
        start = max(start, stored.at_least(page.namespace, page.prefix))
        stop = stored.range_of(page.namespace).stop
        found: list[str] = []
        while start < stop and len(found) < page.limit:
            piece = np.flatnonzero(self.live[start : min(stop, start + 2 * page.limit)]) + start
            ids = stored.ids(piece)
            found += [row_id for row_id in ids if row_id.startswith(page.prefix)]
            if ids and not ids[-1].startswith(page.prefix):
                break
            start += 2 * page.limit
        return found[: page.limit]

    def count(self, wanted: filters.Filter | None) -> dict[str, int]:
        """Return how many live rows pass, by namespace."""
        stored = self.segment.columns
        if wanted is None:
            return self._live_by_namespace
        every = self._live_bits & self.segment.filters.passing(wanted)
        counts = np.add.reduceat(bits.to_mask(every, self.segment.rows), stored.starts, dtype=np.int64)
        return dict(zip(stored.namespaces, counts.tolist(), strict=True))

    @functools.cached_property
    def _live_by_namespace(self) -> dict[str, int]:
        stored = self.segment.columns
        counts = np.add.reduceat(self.live, stored.starts, dtype=np.int64)
        return dict(zip(stored.namespaces, counts.tolist(), strict=True))

    def versions(self) -> tuple[RowNumbers, Hashes, Hashes]:
        """Return number, key hash and seq of each live row, in order of the hashes."""
        return self.segment.columns.versions(self.live)

    def keys_of(self, rows: RowNumbers) -> list[keys.Keys]:
        """Return the keys of rows, by namespace."""
        if not len(rows):
            return []
        stored = self.segment.columns
        owners = np.searchsorted(stored.starts, rows, side="right") - 1
        hashes = stored.hashes()
        found = []
        for owner in np.unique(owners):
            chosen = rows[owners == owner]
            found.append(keys.Keys(stored.namespaces[owner], stored.ids(chosen), hashes[chosen]))
        return found


def source_of(view: SealedView, language: config.Language) -> writer.Source:
    """Return the live rows of a view for the writer; texts are analysed by the language."""
    rows = np.flatnonzero(view.live)
    stored = view.segment.columns
    fields = {name: field.stored for name, field in view.segment.fields.items()}
    return writer.Source(
        stored.table(rows),
        stored.hashes()[rows],
        view.segment.vectors.vectors,
        rows,
        fields,
        lambda field: view.texts(field, language),
        view.segment.sparse.stored if view.segment.sparse else None,
    )


def graphs_of(view: SealedView, source: int) -> writer.Extended:
    """Return the view's graphs for the writer, whose source it is the `source`th."""
    segment = view.segment
    values = extension.Graph(segment.folder / registry.GRAPH, segment.compared.vectors)
    fields = {name: field.graph for name, field in segment.fields.items() if field.graph}
    return writer.Extended(source, values, fields)

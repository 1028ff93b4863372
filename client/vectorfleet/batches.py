"""The bookkeeping of `upsert_batch`: rows into batches, which of them may fly, and the tally. Pure.

Two batches that share an id never fly at the same time, so that the later one wins as in the input.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

from . import calls, errors, results, rows

MAX_ROWS = 1000
MAX_BYTES = 16 * 1024 * 1024
"""Half of a gateway's usual body limit; a bigger row travels alone."""

Progress = Callable[[results.BatchResult], None]
"""Called after each batch with what was done so far."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows that are sent in one request."""

    ids: tuple[str, ...]
    call: calls.Call[results.UpsertResult] = dataclasses.field(repr=False)


class Packer:
    """Gathers rows until a request is full, by rows or by bytes.

    Raises:
        InvalidInputError: `max_rows` is not 1 to 1,000.
    """

    def __init__(self, namespace: str, max_rows: int, max_bytes: int = MAX_BYTES) -> None:
        if not 1 <= max_rows <= MAX_ROWS:
            raise errors.InvalidInputError(f"batch_size is 1 to {MAX_ROWS}, not {max_rows}")
        self._namespace = namespace
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._ids: list[str] = []
        self._encoded: list[bytes] = []
        self._size = 0

    def pack(self, items: Iterable[rows.RowLike]) -> Iterator[Batch | results.BatchFailure]:
        """Yield the batches, and failed rows, of everything in `items`, reading it as it goes."""
        for row in items:
            yield from self.add(row)
        yield from self.finish()

    def add(self, row: rows.RowLike) -> Iterator[Batch | results.BatchFailure]:
        """Take a row; yield the batch that is full, or the row's failure where it is none."""
        try:
            encoded = rows.encode(row)
        except errors.InvalidInputError as error:
            yield results.BatchFailure((rows.id_of(row),), error)
            return
        if self._size + len(encoded) > self._max_bytes:
            yield from self.finish()
        self._ids.append(rows.id_of(row))
        self._encoded.append(encoded)
        self._size += len(encoded) + 1
        if len(self._ids) == self._max_rows:
            yield from self.finish()

    def finish(self) -> Iterator[Batch]:
        """Yield what is left."""
        if self._ids:
            ids, encoded = tuple(self._ids), self._encoded
            self._ids, self._encoded, self._size = [], [], 0
            yield Batch(ids, calls.upsert_encoded(encoded, self._namespace))


class Load:
    """Batches in flight, and the tally of those that landed.

    Raises:
        InvalidInputError: `concurrency` is not positive.
    """

    def __init__(self, concurrency: int, progress: Progress | None) -> None:
        if concurrency < 1:
            raise errors.InvalidInputError(f"concurrency is at least 1, not {concurrency}")
        self._concurrency = concurrency
        self._progress = progress
        self._flying: list[frozenset[str]] = []
        self._successful = 0
        self._failed = 0
        self._errors: list[results.BatchFailure] = []

    def admits(self, batch: Batch) -> bool:
        """Tell whether a batch may fly now."""
        if len(self._flying) >= self._concurrency:
            return False
        return all(ids.isdisjoint(batch.ids) for ids in self._flying)

    def start(self, batch: Batch) -> None:
        """Note that a batch flies."""
        self._flying.append(frozenset(batch.ids))

    def land(self, batch: Batch, error: BaseException | None) -> None:
        """Note how a batch ended.

        Raises:
            AuthenticationError, PermissionDeniedError: no later batch could fare better.
            BaseException: an error that is not the SDK's own.
        """
        self._flying.remove(frozenset(batch.ids))
        if error is None:
            self._successful += len(batch.ids)
        elif isinstance(error, errors.VectorfleetError) and not isinstance(
            error, errors.AuthenticationError | errors.PermissionDeniedError
        ):
            self._fail(results.BatchFailure(batch.ids, error))
        else:
            raise error
        self._report()

    def refuse(self, failure: results.BatchFailure) -> None:
        """Note a row that was never sent."""
        self._fail(failure)
        self._report()

    @property
    def result(self) -> results.BatchResult:
        """What was done so far."""
        return results.BatchResult(
            total=self._successful + self._failed,
            successful=self._successful,
            failed=self._failed,
            errors=tuple(self._errors),
        )

    def _fail(self, failure: results.BatchFailure) -> None:
        self._failed += len(failure.ids)
        self._errors.append(failure)

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(self.result)

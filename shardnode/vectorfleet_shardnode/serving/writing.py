"""A shard's writes: through one thread, in the order they came, so that their fsyncs are shared.

A write that waits for room in memory holds up those behind it that need room too; removals pass it.
"""

import collections
import concurrent.futures
import dataclasses

from .. import operations, shard, states
from ..api import shard_pb2


@dataclasses.dataclass
class _Job:
    """A request, what it is answered with, and whether its turn has come."""

    request: shard_pb2.WriteRequest
    begun: concurrent.futures.Future[states.Done] = dataclasses.field(
        default_factory=concurrent.futures.Future
    )
    taken: bool = False


class Writer:
    """The one thread.

    Args:
        served: the shard.
    """

    def __init__(self, served: shard.Shard) -> None:
        self._shard = served
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "write")
        self._removals: collections.deque[_Job] = collections.deque()  # that wait for their turn

    def submit(self, request: shard_pb2.WriteRequest) -> "concurrent.futures.Future[states.Done]":
        """Check and write one request; done when its record is in the log, with what tells when it counts.

        The future has the `ShardError` where it is refused, see `operations.parse` and `shard.Shard.write`.
        """
        job = _Job(request)
        if request.WhichOneof("operation") == "delete":
            self._removals.append(job)
        self._thread.submit(self._run, job)
        return job.begun

    def close(self) -> None:
        """Finish what was submitted, and take nothing more."""
        self._thread.shutdown()

    def _run(self, job: _Job) -> None:
        if job.taken:
            return
        if self._removals and self._removals[0] is job:
            self._removals.popleft()
        job.taken = True
        if not job.begun.set_running_or_notify_cancel():
            return
        try:
            operation = operations.parse(job.request, self._shard.shape)
            done = self._shard.write(operation, job.request.write_id, self._remove)
        except BaseException as failure:  # noqa: BLE001 (whoever waits is told)
            job.begun.set_exception(failure)
        else:
            job.begun.set_result(done)

    def _remove(self) -> None:
        """Do the removals that have come so far."""
        while self._removals:
            self._run(self._removals[0])

"""What a replica of a shard may do now: it leads an epoch and takes writes, or it follows and takes records.

Neither once its log has failed. Pure: what is asked for is allowed or refused, and nothing is done.
"""

import contextlib
from collections.abc import Iterator, Sequence

from . import errors
from .log import log_format, log_index


class Role:
    """The role of one shard.

    Attributes:
        epoch: of the writes that are taken; 0 where it follows and takes none.
        failure: of the log; nothing can change from then on until a restart.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.failure: errors.LogFailedError | None = None

    def check_leading(self) -> None:
        """Allow a write.

        Raises:
            LogFailedError: the log has failed.
            NotPrimaryError: it follows.
        """
        self._check_log()
        if not self.epoch:
            raise errors.NotPrimaryError("this replica takes no writes: it is not the primary")

    def check_may_lead(self, epoch: int, last: log_index.Position, promised: int, *, resumes: bool) -> None:
        """Allow it to lead an epoch.

        Args:
            epoch: to lead.
            last: the log's last position.
            promised: the epoch that this replica has promised to take part in.
            resumes: whether the log ends in that epoch already.

        Raises:
            LogFailedError: the log has failed.
            ShardError: it leads already, or the epoch is not the one that was promised: a mistake.
        """
        self._check_log()
        fits = last.epoch == epoch if resumes else last.epoch < epoch
        if self.epoch or not fits or epoch != promised:
            raise errors.ShardError(
                f"can't lead epoch {epoch}: the log ends in epoch {last.epoch}, {promised} is promised, and "
                f"{self.epoch or 'none'} is led"
            )

    def check_following(self, promised: int, entries: Sequence[log_format.Entry] = ()) -> None:
        """Allow a primary's records to be taken, or cut.

        Raises:
            LogFailedError: the log has failed.
            ShardError: it leads, or the records are of an epoch that was not promised: a mistake.
        """
        self._check_log()
        if self.epoch:
            raise errors.ShardError(f"this shard leads epoch {self.epoch}, so its log is its own")
        if entries and entries[-1].epoch > promised:
            raise errors.ShardError(f"records of epoch {entries[-1].epoch} came, but {promised} is promised")

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Let nothing more be done where a record could not be applied."""
        try:
            yield
        except errors.LogFailedError as failure:
            self.failure = failure
            raise

    def _check_log(self) -> None:
        if self.failure:
            raise self.failure

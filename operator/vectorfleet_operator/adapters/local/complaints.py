"""What goes wrong with one pod stays with it, and is told once: the others need their next step."""

import contextlib
import logging
from collections.abc import Iterator

from ... import errors

_LOG = logging.getLogger(__name__)


class Complaints:
    """What has been complained of and is not settled yet."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], str] = {}

    @contextlib.contextmanager
    def apart(self, message: str, about: str) -> Iterator[None]:
        """Swallow an error of the block and log it, unless the block failed in just this way the last time.

        Args:
            message: what to log, constant.
            about: names the pod or the workload.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001  whatever it is, the others need their step
            if self._open.get((message, about)) != repr(error):
                self._open[message, about] = repr(error)
                known = isinstance(error, errors.OperatorError)
                extra = {"about": about, "reason": str(error)}
                _LOG.error(message, extra=extra, exc_info=None if known else error)
        else:
            self._open.pop((message, about), None)

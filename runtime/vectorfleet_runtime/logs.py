"""Logs: one JSON object a line on standard error, or plain lines for a person at a terminal.

Messages are constants; what varies goes into `extra`, and comes out as fields of its own.
"""

import datetime
import json
import logging
import sys
import traceback
from typing import TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time (UTC), level, logger, message, and the extras."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its newline."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, default=str, ensure_ascii=False)


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what is standard error at the time."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        pass


def apart(name: str) -> logging.Logger:
    """Return a logger that `configure` does not reach: whatever the log's level and format, it has JSON.

    Of a level from info on; for lines that must not be lost because the log is wanted short.
    """
    logger = logging.getLogger(name)
    handler = _StandardError()
    handler.setFormatter(JsonFormatter())
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return logger


def configure(level: str = "INFO", *, as_json: bool = True) -> None:
    """Send the log of the whole process to standard error, replacing what was configured before."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if as_json else plain)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)

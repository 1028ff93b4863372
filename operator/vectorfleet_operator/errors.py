"""The operator's errors, one tree.

OperatorError
├── InvalidSpec      the manifest can't be read; the user has to change it
├── Transient        a call failed in a way that a later try may mend; its outcome is unknown
│   ├── Changed      the object is another one than was read; nothing was written
│   └── Forbidden    the cluster does not allow it: a right is missing, or a rule of the cluster is against it
├── Taken            there is an object of that name; nothing was written
└── Rejected         the cluster will never accept this object as it is

Each message says what was wrong and what would be right; it ends up in the index's conditions. `step` says
in which part of a pass it happened, for the metrics.
"""

import contextlib
from collections.abc import Iterator


class OperatorError(Exception):
    """Base of all errors that the operator raises itself."""

    step: str = ""


class InvalidSpec(OperatorError):  # noqa: N818  a word of the conditions
    """The manifest can't be read: each problem names its field."""


class Transient(OperatorError):  # noqa: N818  it tells of the cause, not of a fault
    """Try again later; nothing is known of the outcome."""


class Changed(Transient):
    """The object has changed since it was read, or is gone: read it again."""


class Taken(OperatorError):  # noqa: N818  said of a name
    """There is an object of that name already."""


class Forbidden(Transient):
    """The cluster does not allow it now; the message is the cluster's."""


class Rejected(OperatorError):  # noqa: N818  it tells of the cause, not of a fault
    """The cluster refuses the object for what it says, so that trying again changes nothing."""


@contextlib.contextmanager
def during(step: str) -> Iterator[None]:
    """Note `step` on every error of ours that passes through."""
    try:
        yield
    except OperatorError as error:
        error.step = step
        raise

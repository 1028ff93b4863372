"""The namespace in which an index keeps what it must remember about itself, beside its users' rows.

It travels with the rows through logs, segments, backups and moves. No request can name it, and it is left out
of every count. It holds the probes by which the embedder's model is known again.
"""

PREFIX = "__vectorfleet"
NAMESPACE = "__vectorfleet__"
PROBES = ("probe-0", "probe-1", "probe-2")
"""The ids of the rows that may be there: vectors of texts that never change."""


def is_reserved(namespace: str) -> bool:
    """Return whether a namespace is not for users."""
    return namespace.startswith(PREFIX)

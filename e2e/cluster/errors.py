"""The errors of the test cluster: one tree, each message names what was wrong and what would be right.

ClusterError
├── RightMissingError    the machine refuses something that a node needs
├── ToolMissingError     a program is not there, or too old
├── CommandFailedError   a program that was run ended badly
├── ProcessDiedError     a program of the cluster ended while it was waited for
├── TimedOutError        something did not become true in its time
└── NoSuchNodeError      a node number outside the cluster
"""

from __future__ import annotations


class ClusterError(Exception):
    """Whatever keeps the test cluster from doing what was asked."""


class RightMissingError(ClusterError):
    """The machine refuses something that a node needs."""


class ToolMissingError(ClusterError):
    """A program is not there, or too old."""


class CommandFailedError(ClusterError):
    """A program that was run ended badly."""


class ProcessDiedError(ClusterError):
    """A program of the cluster ended while it was waited for."""


class TimedOutError(ClusterError):
    """Something did not become true in its time."""


class NoSuchNodeError(ClusterError):
    """A node number outside the cluster."""

"""Everything that the gateway refuses or fails with.

GatewayError
├── SettingsError                 the process can't start
└── ApiError                      answered to the caller: an HTTP status, and gRPC's number for it
    ├── InvalidArgumentError      400   3
    ├── UnauthenticatedError      401  16
    ├── PermissionDeniedError     403   7
    ├── NotFoundError             404   5
    ├── MethodNotAllowedError     405  12
    ├── BodyTimeoutError          408   4
    ├── LostWriteError            410  15
    ├── BodyTooLargeError         413  11
    ├── EncodingNotSupportedError 415  12
    ├── ExhaustedError            429   8
    ├── ThrottledError            429   8
    ├── CallerLeftError           499   1
    ├── InternalError             500  13
    ├── DataLossError             500  15
    ├── BadGatewayError           502  14
    ├── UnavailableError          503  14
    ├── NotReadyError             503   9
    │   ├── NotPrimaryError
    │   └── QuorumLostError
    ├── DeadlineExceededError     504   4
    └── UnknownOutcomeError       504  10
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

LEFT = "the caller closed the connection, or its half of it, before the answer was there"
"""Why a read is cancelled whose caller has gone."""
_NONE: Mapping[str, str] = MappingProxyType({})


class GatewayError(Exception):
    """Base of the tree."""


class SettingsError(GatewayError):
    """The process lacks what it needs to start; the message is one line for the person who starts it."""


class ApiError(GatewayError):
    """An answer that is not a success.

    Attributes:
        status: HTTP status.
        code: the number that gRPC gives such errors, as Pinecone's API does.
        headers: header fields that go with the answer.
    """

    status: ClassVar[int] = 500
    code: ClassVar[int] = 13
    headers: Mapping[str, str] = _NONE

    @property
    def is_the_servers(self) -> bool:
        """Whether the want is on this side: the same request may succeed elsewhere, or later."""
        return self.status >= 500 or self.status == 429


class InvalidArgumentError(ApiError):
    """The request can never succeed."""

    status, code = 400, 3


class UnauthenticatedError(ApiError):
    """No key, or none that is valid."""

    status, code = 401, 16
    headers = MappingProxyType({"www-authenticate": "Api-Key"})


class PermissionDeniedError(ApiError):
    """The key is valid and does not allow this."""

    status, code = 403, 7


class NotFoundError(ApiError):
    """There is no such route or namespace."""

    status, code = 404, 5


class MethodNotAllowedError(ApiError):
    """The path exists, for other methods."""

    status, code = 405, 12

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.headers = {"allow": allow}


class BodyTimeoutError(ApiError):
    """The body did not arrive in time."""

    status, code = 408, 4
    headers = MappingProxyType({"connection": "close"})


class LostWriteError(ApiError):
    """A read demands a write that was acknowledged, and lost since: a person accepted that."""

    status, code = 410, 15


class BodyTooLargeError(ApiError):
    """The body, or what its header announces, is longer than the limit; the rest was not read."""

    status, code = 413, 11
    headers = MappingProxyType({"connection": "close"})


class EncodingNotSupportedError(ApiError):
    """The body is compressed; it could grow without bound."""

    status, code = 415, 12
    headers = MappingProxyType({"accept-encoding": "identity", "connection": "close"})


class ExhaustedError(ApiError):
    """A shard is out of memory or disk, or a service that the index names is asked too much.

    A second later another replica may lead, one that has room.
    """

    status, code = 429, 8
    headers = MappingProxyType({"retry-after": "1"})


class ThrottledError(ApiError):
    """The gateway has as much to do as it takes, or the key has had what it may.

    Args:
        message: which of both.
        seconds: after which to come again.
        reason: in metrics.
    """

    status, code = 429, 8

    def __init__(self, message: str, seconds: float, reason: str = "quota") -> None:
        again = max(1, math.ceil(seconds))
        self.reason = reason
        super().__init__(f"{message}; try again in {again} s")
        self.headers = {"retry-after": str(again)}


class CallerLeftError(ApiError):
    """Who asked has closed the connection meanwhile; few read it, but metrics and logs have it."""

    status, code = 499, 1


class InternalError(ApiError):
    """A fault of ours."""

    status, code = 500, 13


class DataLossError(ApiError):
    """A shard's files are damaged."""

    status, code = 500, 15


class BadGatewayError(ApiError):
    """A service that the index names answered what is of no use, or refused the gateway."""

    status, code = 502, 14


class UnavailableError(ApiError):
    """A shard, or a service that the index names, can't be reached."""

    status, code = 503, 14


class NotReadyError(ApiError):
    """A shard can't do this now."""

    status, code = 503, 9


class NotPrimaryError(NotReadyError):
    """A replica was asked for what only the primary may do.

    Args:
        message: for people.
        epoch: of the newest configuration that the replica knows.
        address: of the primary in it, empty where the replica does not know.
    """

    def __init__(self, message: str, epoch: int, address: str) -> None:
        super().__init__(message)
        self.epoch, self.address = epoch, address


class QuorumLostError(NotReadyError):
    """Too few replicas of a shard answer to write; nothing was written, and reads go on."""

    headers = MappingProxyType({"retry-after": "2"})


class DeadlineExceededError(ApiError):
    """The answer took longer than the request may take."""

    status, code = 504, 4


class UnknownOutcomeError(ApiError):
    """A write may or may not have happened; sending it again is safe."""

    status, code = 504, 10

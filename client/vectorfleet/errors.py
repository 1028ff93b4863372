"""The errors of the SDK.

```
VectorfleetError
├── InvalidInputError            refused here, before anything was sent (a ValueError, too)
├── ConnectionFailedError        no connection, or it broke before the answer was whole: .sent
│   └── RequestTimeoutError      no answer in time
├── ReplyError                   an answer that is not the API's: is the host a Vectorfleet gateway?
└── StatusError                  the server refused: .status, .code, .message, .retry_after
    ├── BadRequestError          400, 422: the request can never succeed as it is
    ├── AuthenticationError      401: the API key is missing or not valid
    ├── PermissionDeniedError    403: the API key may not do this
    ├── NotFoundError            404
    ├── TooLargeError            413: the body is above the server's limit
    ├── RateLimitError           429: too much at once; nothing of the request was done
    └── ServerError              5xx
        └── UnavailableError     502, 503, 504: starting, stopping, overloaded, or a shard is away
```

After a ConnectionFailedError or a ServerError of a write it is not known whether the write happened; the
write may be sent again: in one call's retries it goes with an id by which the shards do it once.
"""


class VectorfleetError(Exception):
    """Base of every error that the SDK raises."""


class InvalidInputError(VectorfleetError, ValueError):
    """An argument that no index could take; nothing was sent."""


class ConnectionFailedError(VectorfleetError):
    """The server could not be reached, or the connection broke before the answer was whole.

    Attributes:
        sent: whether the request, or a part of it, may have reached the server.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class RequestTimeoutError(ConnectionFailedError):
    """The server did not answer in time."""


class ReplyError(VectorfleetError):
    """The server answered something that is not Vectorfleet's API."""


class StatusError(VectorfleetError):
    """The server refused the request.

    Attributes:
        status: HTTP status.
        code: the error's code in the body (Pinecone's: a gRPC code), or None where the body has none.
        message: what the server says was wrong.
        retry_after: seconds after which the server asks to try again, or None.
    """

    def __init__(
        self, status: int, message: str, *, code: int | str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{message} (HTTP {status})")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class BadRequestError(StatusError):
    """The request can never succeed as it is; nothing of it was done."""


class AuthenticationError(StatusError):
    """The API key is missing or not valid."""


class PermissionDeniedError(StatusError):
    """The API key may not do this."""


class NotFoundError(StatusError):
    """What was asked for does not exist."""


class TooLargeError(StatusError):
    """The body is above the server's limit: send fewer rows at once."""


class RateLimitError(StatusError):
    """Too much at once; nothing of the request was done."""


class ServerError(StatusError):
    """The server failed."""


class UnavailableError(ServerError):
    """The server, or a shard behind it, is away for now."""


_BY_STATUS: dict[int, type[StatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    413: TooLargeError,
    422: BadRequestError,
    429: RateLimitError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def class_of(status: int) -> type[StatusError]:
    """Return the class of error that an HTTP status stands for."""
    return _BY_STATUS.get(status, ServerError if status >= 500 else StatusError)

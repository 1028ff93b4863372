"""What a shard's gRPC status means to the API's caller, and which requests may be sent again. Pure."""

from collections.abc import Mapping
from typing import Any

import grpc

from vectorfleet_shardnode.api import shard_pb2

from .. import errors

_TOO_LARGE = "larger than max"
# What gRPC says at this end of a call that broke with the process at the other. A shard that fails by itself
# says INTERNAL too, in other words.
_BROKEN = ("Internal error from Core", "Received RST_STREAM")

_THE_CALLERS = "{message}"
_THE_SHARDS = "shard {shard}: {message}"
_LATE = "shard {shard} did not answer in time"

_ERRORS: dict[grpc.StatusCode, tuple[type[errors.ApiError], str]] = {
    grpc.StatusCode.INVALID_ARGUMENT: (errors.InvalidArgumentError, _THE_CALLERS),
    grpc.StatusCode.OUT_OF_RANGE: (errors.InvalidArgumentError, _THE_CALLERS),
    grpc.StatusCode.NOT_FOUND: (errors.NotFoundError, _THE_CALLERS),
    grpc.StatusCode.FAILED_PRECONDITION: (errors.NotReadyError, _THE_SHARDS),
    grpc.StatusCode.ABORTED: (errors.UnknownOutcomeError, _THE_SHARDS),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (errors.ExhaustedError, _THE_SHARDS),
    grpc.StatusCode.UNAVAILABLE: (errors.UnavailableError, "shard {shard} can't be reached"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (errors.DeadlineExceededError, _LATE),
    grpc.StatusCode.CANCELLED: (errors.DeadlineExceededError, _LATE),
    grpc.StatusCode.DATA_LOSS: (errors.DataLossError, _THE_SHARDS),
    grpc.StatusCode.UNAUTHENTICATED: (
        errors.InternalError,
        "shard {shard} does not take the gateway's credentials",
    ),
}


_NONE: Mapping[str, Any] = {}


def error_of(
    code: grpc.StatusCode, message: str, shard: int, more: Mapping[str, Any] = _NONE
) -> errors.ApiError:
    """Return the error that the caller is told.

    Args:
        code: of the shard's answer, or of the way to it.
        message: the shard's own words.
        shard: its number, named where the fault is the shard's and not the request's.
        more: what came beside the message, for programs: who the primary is, or that a quorum or a write is
            lost.
    """
    if code is grpc.StatusCode.UNAVAILABLE and more.get("vectorfleet-refused") == "quorum":
        return errors.QuorumLostError(_THE_SHARDS.format(shard=shard, message=message))
    if code is grpc.StatusCode.FAILED_PRECONDITION and more.get("vectorfleet-refused") == "lost":
        return errors.LostWriteError(_THE_SHARDS.format(shard=shard, message=message))
    if code is grpc.StatusCode.FAILED_PRECONDITION and "vectorfleet-epoch" in more:
        epoch, primary = str(more["vectorfleet-epoch"]), str(more.get("vectorfleet-primary", ""))
        said = _THE_SHARDS.format(shard=shard, message=message)
        return errors.NotPrimaryError(said, int(epoch) if epoch.isdecimal() else 0, primary)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in message:
        return errors.InvalidArgumentError(
            "what would go to a shard or come from it is longer than 64 MiB; send or ask for fewer rows at "
            "a time, or leave out values or metadata"
        )
    kind, said = _ERRORS.get(code, (errors.InternalError, _THE_SHARDS))
    return kind(said.format(shard=shard, message=message))


def code_of(code: grpc.StatusCode, message: str) -> grpc.StatusCode:
    """Return the status of a call that failed: UNAVAILABLE where the way to the shard broke.

    Args:
        code: as gRPC says it.
        message: its details.
    """
    if code is grpc.StatusCode.INTERNAL and message.startswith(_BROKEN):
        return grpc.StatusCode.UNAVAILABLE
    return code


def is_repeatable(request: object) -> bool:
    """Return whether a request may be sent again after it is unknown what became of it.

    Reads are, and writes with an id: the shard does those once. Without one, whole-row upserts, updates and
    deletes by id end in the same state; a delete by filter or of a namespace could take rows that somebody
    wrote in between.
    """
    if not isinstance(request, shard_pb2.WriteRequest):
        return True
    if request.write_id:
        return True
    if request.WhichOneof("operation") == "delete":
        return bool(request.delete.WhichOneof("what") == "ids")
    return True

"""Every error that the shard node raises on purpose; each carries the gRPC status that a caller sees.

```
ShardError
├── BadRequestError          INVALID_ARGUMENT     the request can never succeed
│   └── BadFilterError                            … because of its filter
├── NotHereError             FAILED_PRECONDITION  not here, not now
│   ├── NotPrimaryError                           another replica orders writes
│   ├── WrongIdentityError                        the folder is of another index, dimension or metric
│   ├── TooLargeError                             the memory limit is too small to serve anything
│   ├── CutAwayError                              the log does not hold these records any more
│   └── LostWriteError                            a write that a read demands was lost
├── UnknownOutcomeError      ABORTED              it may have been written or not; send it again with its id
├── StorageFullError         RESOURCE_EXHAUSTED   no room on the disk to write; reads go on
├── FlushBehindError         RESOURCE_EXHAUSTED   the disk is slower than writes come; reads and deletes go on
├── MemoryFullError          RESOURCE_EXHAUSTED   no memory to write; reads go on
├── UnavailableError         UNAVAILABLE          starting or stopping
│   └── QuorumLostError                           too few members answer to write; nothing was written
└── DataLossError            DATA_LOSS            files are damaged
    ├── UnknownFormatError                        files are whole, and of another version of the program
    ├── UnreadableError                           the disk does not give the files back, now
    └── LogFailedError                            the disk refused to store the log
```
"""

import grpc


class ShardError(Exception):
    """Base of the tree. `code` is the gRPC status of the answer, the message its details."""

    code: grpc.StatusCode = grpc.StatusCode.INTERNAL
    metadata: tuple[tuple[str, str], ...] = ()
    """What goes with the answer, for programs."""


class BadRequestError(ShardError):
    """The request can never succeed as it is."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class BadFilterError(BadRequestError):
    """A metadata filter is not of the filter language, or exceeds a limit."""


class NotHereError(ShardError):
    """This replica can't do it now."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class WrongIdentityError(NotHereError):
    """The data folder was made for another index, shard, dimension or metric."""


class TooLargeError(NotHereError):
    """The shard needs more memory than it may use, even without graphs."""


class CutAwayError(NotHereError):
    """The log does not hold these records any more; segments hold what they came to."""


class LostWriteError(NotHereError):
    """A read demands a write that the shard has no more: another record stands in its place.

    What was acknowledged is lost only where a person accepted a loss.
    """

    metadata = (("vectorfleet-refused", "lost"),)


class NotPrimaryError(NotHereError):
    """Writes and strong reads are the primary's; the answer says who that is, as far as this one knows.

    Args:
        message: for people.
        epoch: of the newest configuration that is known, 0 for none.
        address: of its primary as host:port, empty where it is not known.
    """

    def __init__(self, message: str, epoch: int = 0, address: str = "") -> None:
        super().__init__(message)
        self.metadata = (("vectorfleet-epoch", str(epoch)), ("vectorfleet-primary", address))


class UnknownOutcomeError(ShardError):
    """The write is in the log, and whether it stays there is not known; sent again with its id it is safe."""

    code = grpc.StatusCode.ABORTED


class StorageFullError(ShardError):
    """There is no room on the disk; reads go on, and writes resume once there is."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class FlushBehindError(ShardError):
    """Full segments wait in memory to be written to the disk, for long; reads and deletes go on."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class MemoryFullError(ShardError):
    """Use of memory is near its limit; reads and deletes go on, and writes resume once it is less."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(ShardError):
    """The shard is starting or stopping."""

    code = grpc.StatusCode.UNAVAILABLE


class QuorumLostError(UnavailableError):
    """Too few members answer to acknowledge anything, so nothing was written; reads go on."""

    metadata = (("vectorfleet-refused", "quorum"),)


class DataLossError(ShardError):
    """Files are damaged: serving from them could present lost data as if it had never been."""

    code = grpc.StatusCode.DATA_LOSS


class UnknownFormatError(DataLossError):
    """Files are whole, and this program can't read them: a newer one wrote them, and can."""


class UnreadableError(DataLossError):
    """The disk does not give the files back: it fails, or is not there now. What they hold is not known."""


class LogFailedError(DataLossError):
    """The disk refused to store the log, so nothing more can be promised until a restart."""

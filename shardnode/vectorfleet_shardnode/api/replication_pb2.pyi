from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NEW: _ClassVar[Role]
    PRIMARY: _ClassVar[Role]
    FOLLOWER: _ClassVar[Role]
    LEARNER: _ClassVar[Role]
    ELECT: _ClassVar[Role]
    ALONE: _ClassVar[Role]
NEW: Role
PRIMARY: Role
FOLLOWER: Role
LEARNER: Role
ELECT: Role
ALONE: Role

class Member(_message.Message):
    __slots__ = ("name", "disk", "address")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISK_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    name: str
    disk: str
    address: str
    def __init__(self, name: _Optional[str] = ..., disk: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class Configuration(_message.Message):
    __slots__ = ("epoch", "primary", "members", "write_quorum")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    WRITE_QUORUM_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    primary: str
    members: _containers.RepeatedCompositeFieldContainer[Member]
    write_quorum: int
    def __init__(self, epoch: _Optional[int] = ..., primary: _Optional[str] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., write_quorum: _Optional[int] = ...) -> None: ...

class LogPosition(_message.Message):
    __slots__ = ("epoch", "seq")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    seq: int
    def __init__(self, epoch: _Optional[int] = ..., seq: _Optional[int] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("epoch", "seq", "op", "payload", "write_id", "affected", "crc32c")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    OP_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    WRITE_ID_FIELD_NUMBER: _ClassVar[int]
    AFFECTED_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    seq: int
    op: int
    payload: bytes
    write_id: bytes
    affected: int
    crc32c: int
    def __init__(self, epoch: _Optional[int] = ..., seq: _Optional[int] = ..., op: _Optional[int] = ..., payload: _Optional[bytes] = ..., write_id: _Optional[bytes] = ..., affected: _Optional[int] = ..., crc32c: _Optional[int] = ...) -> None: ...

class AppendRequest(_message.Message):
    __slots__ = ("index", "generation", "shard", "epoch", "to_disk", "previous", "entries", "committed", "log_begin", "built", "building")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_DISK_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    LOG_BEGIN_FIELD_NUMBER: _ClassVar[int]
    BUILT_FIELD_NUMBER: _ClassVar[int]
    BUILDING_FIELD_NUMBER: _ClassVar[int]
    index: str
    generation: str
    shard: int
    epoch: int
    to_disk: str
    previous: LogPosition
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    committed: int
    log_begin: int
    built: int
    building: bool
    def __init__(self, index: _Optional[str] = ..., generation: _Optional[str] = ..., shard: _Optional[int] = ..., epoch: _Optional[int] = ..., to_disk: _Optional[str] = ..., previous: _Optional[_Union[LogPosition, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., committed: _Optional[int] = ..., log_begin: _Optional[int] = ..., built: _Optional[int] = ..., building: _Optional[bool] = ..., **kwargs) -> None: ...

class AppendReply(_message.Message):
    __slots__ = ("promised", "matched", "verified", "hint", "needs_checkpoint", "applied")
    PROMISED_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    NEEDS_CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    promised: int
    matched: bool
    verified: int
    hint: LogPosition
    needs_checkpoint: bool
    applied: int
    def __init__(self, promised: _Optional[int] = ..., matched: _Optional[bool] = ..., verified: _Optional[int] = ..., hint: _Optional[_Union[LogPosition, _Mapping]] = ..., needs_checkpoint: _Optional[bool] = ..., applied: _Optional[int] = ...) -> None: ...

class ConfirmRequest(_message.Message):
    __slots__ = ("epoch", "to_disk")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TO_DISK_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    to_disk: str
    def __init__(self, epoch: _Optional[int] = ..., to_disk: _Optional[str] = ...) -> None: ...

class ConfirmReply(_message.Message):
    __slots__ = ("promised",)
    PROMISED_FIELD_NUMBER: _ClassVar[int]
    promised: int
    def __init__(self, promised: _Optional[int] = ...) -> None: ...

class SealRequest(_message.Message):
    __slots__ = ("epoch", "disk", "begins")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    DISK_FIELD_NUMBER: _ClassVar[int]
    BEGINS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    disk: str
    begins: bool
    def __init__(self, epoch: _Optional[int] = ..., disk: _Optional[str] = ..., begins: _Optional[bool] = ...) -> None: ...

class SealReply(_message.Message):
    __slots__ = ("sealed", "promised", "last", "disk")
    SEALED_FIELD_NUMBER: _ClassVar[int]
    PROMISED_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    DISK_FIELD_NUMBER: _ClassVar[int]
    sealed: bool
    promised: int
    last: LogPosition
    disk: str
    def __init__(self, sealed: _Optional[bool] = ..., promised: _Optional[int] = ..., last: _Optional[_Union[LogPosition, _Mapping]] = ..., disk: _Optional[str] = ...) -> None: ...

class LeadRequest(_message.Message):
    __slots__ = ("configuration", "seconds")
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    configuration: Configuration
    seconds: float
    def __init__(self, configuration: _Optional[_Union[Configuration, _Mapping]] = ..., seconds: _Optional[float] = ...) -> None: ...

class LeadReply(_message.Message):
    __slots__ = ("leading", "held", "last")
    LEADING_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    leading: bool
    held: bool
    last: LogPosition
    def __init__(self, leading: _Optional[bool] = ..., held: _Optional[bool] = ..., last: _Optional[_Union[LogPosition, _Mapping]] = ...) -> None: ...

class ConfigureRequest(_message.Message):
    __slots__ = ("configuration", "learners")
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    LEARNERS_FIELD_NUMBER: _ClassVar[int]
    configuration: Configuration
    learners: _containers.RepeatedCompositeFieldContainer[Member]
    def __init__(self, configuration: _Optional[_Union[Configuration, _Mapping]] = ..., learners: _Optional[_Iterable[_Union[Member, _Mapping]]] = ...) -> None: ...

class ConfigureReply(_message.Message):
    __slots__ = ("epoch",)
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    def __init__(self, epoch: _Optional[int] = ...) -> None: ...

class CheckpointRequest(_message.Message):
    __slots__ = ("index", "generation", "shard", "epoch", "built")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    BUILT_FIELD_NUMBER: _ClassVar[int]
    index: str
    generation: str
    shard: int
    epoch: int
    built: bool
    def __init__(self, index: _Optional[str] = ..., generation: _Optional[str] = ..., shard: _Optional[int] = ..., epoch: _Optional[int] = ..., built: _Optional[bool] = ...) -> None: ...

class CheckpointReply(_message.Message):
    __slots__ = ("id", "manifest", "covered", "bytes", "seconds")
    ID_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    COVERED_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    id: str
    manifest: bytes
    covered: LogPosition
    bytes: int
    seconds: float
    def __init__(self, id: _Optional[str] = ..., manifest: _Optional[bytes] = ..., covered: _Optional[_Union[LogPosition, _Mapping]] = ..., bytes: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class ReadFileRequest(_message.Message):
    __slots__ = ("checkpoint", "segment", "file", "offset")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    segment: str
    file: str
    offset: int
    def __init__(self, checkpoint: _Optional[str] = ..., segment: _Optional[str] = ..., file: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class StateRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RebuildRequest(_message.Message):
    __slots__ = ("disk", "epoch")
    DISK_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    disk: str
    epoch: int
    def __init__(self, disk: _Optional[str] = ..., epoch: _Optional[int] = ...) -> None: ...

class RebuildReply(_message.Message):
    __slots__ = ("disk",)
    DISK_FIELD_NUMBER: _ClassVar[int]
    disk: str
    def __init__(self, disk: _Optional[str] = ...) -> None: ...

class ReplicaState(_message.Message):
    __slots__ = ("self", "role", "promised", "last", "committed", "configuration", "followers", "primary_silence_seconds", "leaving", "acknowledges", "quorum_silence_seconds", "digests", "caught_up", "problem", "log_begin", "no_room", "unreadable", "diverged", "needs_restart", "no_room_to_copy")
    SELF_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PROMISED_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    FOLLOWERS_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_SILENCE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LEAVING_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGES_FIELD_NUMBER: _ClassVar[int]
    QUORUM_SILENCE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    LOG_BEGIN_FIELD_NUMBER: _ClassVar[int]
    NO_ROOM_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    DIVERGED_FIELD_NUMBER: _ClassVar[int]
    NEEDS_RESTART_FIELD_NUMBER: _ClassVar[int]
    NO_ROOM_TO_COPY_FIELD_NUMBER: _ClassVar[int]
    self: Member
    role: Role
    promised: int
    last: LogPosition
    committed: int
    configuration: Configuration
    followers: _containers.RepeatedCompositeFieldContainer[Follower]
    primary_silence_seconds: float
    leaving: bool
    acknowledges: bool
    quorum_silence_seconds: float
    digests: _containers.RepeatedCompositeFieldContainer[Digest]
    caught_up: bool
    problem: str
    log_begin: int
    no_room: str
    unreadable: str
    diverged: bool
    needs_restart: bool
    no_room_to_copy: str
    def __init__(self_, self: _Optional[_Union[Member, _Mapping]] = ..., role: _Optional[_Union[Role, str]] = ..., promised: _Optional[int] = ..., last: _Optional[_Union[LogPosition, _Mapping]] = ..., committed: _Optional[int] = ..., configuration: _Optional[_Union[Configuration, _Mapping]] = ..., followers: _Optional[_Iterable[_Union[Follower, _Mapping]]] = ..., primary_silence_seconds: _Optional[float] = ..., leaving: _Optional[bool] = ..., acknowledges: _Optional[bool] = ..., quorum_silence_seconds: _Optional[float] = ..., digests: _Optional[_Iterable[_Union[Digest, _Mapping]]] = ..., caught_up: _Optional[bool] = ..., problem: _Optional[str] = ..., log_begin: _Optional[int] = ..., no_room: _Optional[str] = ..., unreadable: _Optional[str] = ..., diverged: _Optional[bool] = ..., needs_restart: _Optional[bool] = ..., no_room_to_copy: _Optional[str] = ...) -> None: ...

class Follower(_message.Message):
    __slots__ = ("name", "disk", "verified", "applied", "silence_seconds", "copying")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISK_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    SILENCE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    COPYING_FIELD_NUMBER: _ClassVar[int]
    name: str
    disk: str
    verified: int
    applied: int
    silence_seconds: float
    copying: bool
    def __init__(self, name: _Optional[str] = ..., disk: _Optional[str] = ..., verified: _Optional[int] = ..., applied: _Optional[int] = ..., silence_seconds: _Optional[float] = ..., copying: _Optional[bool] = ...) -> None: ...

class Digest(_message.Message):
    __slots__ = ("seq", "epoch", "rows", "count")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    seq: int
    epoch: int
    rows: int
    count: int
    def __init__(self, seq: _Optional[int] = ..., epoch: _Optional[int] = ..., rows: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

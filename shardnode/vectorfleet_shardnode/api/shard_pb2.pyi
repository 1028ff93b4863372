from vectorfleet_shardnode.api import replication_pb2 as _replication_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Position(_message.Message):
    __slots__ = ("shard", "epoch", "seq")
    SHARD_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    shard: int
    epoch: int
    seq: int
    def __init__(self, shard: _Optional[int] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ...) -> None: ...

class Rows(_message.Message):
    __slots__ = ("ids", "vectors", "metadata", "fields")
    IDS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    vectors: bytes
    metadata: _containers.RepeatedScalarFieldContainer[bytes]
    fields: _containers.RepeatedCompositeFieldContainer[VectorColumn]
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., vectors: _Optional[bytes] = ..., metadata: _Optional[_Iterable[bytes]] = ..., fields: _Optional[_Iterable[_Union[VectorColumn, _Mapping]]] = ...) -> None: ...

class VectorColumn(_message.Message):
    __slots__ = ("name", "counts", "vectors", "indices")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    name: str
    counts: _containers.RepeatedScalarFieldContainer[int]
    vectors: bytes
    indices: bytes
    def __init__(self, name: _Optional[str] = ..., counts: _Optional[_Iterable[int]] = ..., vectors: _Optional[bytes] = ..., indices: _Optional[bytes] = ...) -> None: ...

class WriteRequest(_message.Message):
    __slots__ = ("namespace", "upsert", "update", "delete", "epoch", "write_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    UPSERT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    WRITE_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    upsert: Upsert
    update: Update
    delete: Delete
    epoch: int
    write_id: bytes
    def __init__(self, namespace: _Optional[str] = ..., upsert: _Optional[_Union[Upsert, _Mapping]] = ..., update: _Optional[_Union[Update, _Mapping]] = ..., delete: _Optional[_Union[Delete, _Mapping]] = ..., epoch: _Optional[int] = ..., write_id: _Optional[bytes] = ...) -> None: ...

class Upsert(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: Rows
    def __init__(self, rows: _Optional[_Union[Rows, _Mapping]] = ...) -> None: ...

class Update(_message.Message):
    __slots__ = ("id", "vector", "merge_metadata", "fields")
    ID_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    MERGE_METADATA_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    id: str
    vector: bytes
    merge_metadata: bytes
    fields: _containers.RepeatedCompositeFieldContainer[VectorColumn]
    def __init__(self, id: _Optional[str] = ..., vector: _Optional[bytes] = ..., merge_metadata: _Optional[bytes] = ..., fields: _Optional[_Iterable[_Union[VectorColumn, _Mapping]]] = ...) -> None: ...

class Delete(_message.Message):
    __slots__ = ("ids", "filter", "all")
    IDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    ids: Ids
    filter: bytes
    all: bool
    def __init__(self, ids: _Optional[_Union[Ids, _Mapping]] = ..., filter: _Optional[bytes] = ..., all: _Optional[bool] = ...) -> None: ...

class Ids(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ids: _Optional[_Iterable[str]] = ...) -> None: ...

class WriteReply(_message.Message):
    __slots__ = ("position", "affected")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    AFFECTED_FIELD_NUMBER: _ClassVar[int]
    position: Position
    affected: int
    def __init__(self, position: _Optional[_Union[Position, _Mapping]] = ..., affected: _Optional[int] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("queries", "at_least", "strong")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    STRONG_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[Query]
    at_least: Position
    strong: bool
    def __init__(self, queries: _Optional[_Iterable[_Union[Query, _Mapping]]] = ..., at_least: _Optional[_Union[Position, _Mapping]] = ..., strong: _Optional[bool] = ...) -> None: ...

class Query(_message.Message):
    __slots__ = ("namespace", "vector", "top_k", "filter", "include_values", "include_metadata", "ef_search", "exact", "probes", "oversampling", "parts", "text", "explain")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_VALUES_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_METADATA_FIELD_NUMBER: _ClassVar[int]
    EF_SEARCH_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    PROBES_FIELD_NUMBER: _ClassVar[int]
    OVERSAMPLING_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    vector: bytes
    top_k: int
    filter: bytes
    include_values: bool
    include_metadata: bool
    ef_search: int
    exact: bool
    probes: int
    oversampling: int
    parts: _containers.RepeatedCompositeFieldContainer[QueryPart]
    text: str
    explain: bool
    def __init__(self, namespace: _Optional[str] = ..., vector: _Optional[bytes] = ..., top_k: _Optional[int] = ..., filter: _Optional[bytes] = ..., include_values: _Optional[bool] = ..., include_metadata: _Optional[bool] = ..., ef_search: _Optional[int] = ..., exact: _Optional[bool] = ..., probes: _Optional[int] = ..., oversampling: _Optional[int] = ..., parts: _Optional[_Iterable[_Union[QueryPart, _Mapping]]] = ..., text: _Optional[str] = ..., explain: _Optional[bool] = ...) -> None: ...

class QueryPart(_message.Message):
    __slots__ = ("field", "vectors", "weight", "indices")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    field: str
    vectors: bytes
    weight: float
    indices: bytes
    def __init__(self, field: _Optional[str] = ..., vectors: _Optional[bytes] = ..., weight: _Optional[float] = ..., indices: _Optional[bytes] = ...) -> None: ...

class SearchCall(_message.Message):
    __slots__ = ("number", "request", "milliseconds")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    number: int
    request: SearchRequest
    milliseconds: int
    def __init__(self, number: _Optional[int] = ..., request: _Optional[_Union[SearchRequest, _Mapping]] = ..., milliseconds: _Optional[int] = ...) -> None: ...

class SearchAnswer(_message.Message):
    __slots__ = ("number", "reply", "code", "message", "more")
    class MoreEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REPLY_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    number: int
    reply: SearchReply
    code: int
    message: str
    more: _containers.ScalarMap[str, str]
    def __init__(self, number: _Optional[int] = ..., reply: _Optional[_Union[SearchReply, _Mapping]] = ..., code: _Optional[int] = ..., message: _Optional[str] = ..., more: _Optional[_Mapping[str, str]] = ...) -> None: ...

class SearchReply(_message.Message):
    __slots__ = ("results", "position")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Matches]
    position: Position
    def __init__(self, results: _Optional[_Iterable[_Union[Matches, _Mapping]]] = ..., position: _Optional[_Union[Position, _Mapping]] = ...) -> None: ...

class Matches(_message.Message):
    __slots__ = ("rows", "scores", "explanation", "sparse_scores")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    SPARSE_SCORES_FIELD_NUMBER: _ClassVar[int]
    rows: Rows
    scores: bytes
    explanation: bytes
    sparse_scores: bytes
    def __init__(self, rows: _Optional[_Union[Rows, _Mapping]] = ..., scores: _Optional[bytes] = ..., explanation: _Optional[bytes] = ..., sparse_scores: _Optional[bytes] = ...) -> None: ...

class FetchRequest(_message.Message):
    __slots__ = ("namespace", "ids", "include_values", "include_metadata", "at_least", "strong")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_VALUES_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_METADATA_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    STRONG_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    include_values: bool
    include_metadata: bool
    at_least: Position
    strong: bool
    def __init__(self, namespace: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ..., include_values: _Optional[bool] = ..., include_metadata: _Optional[bool] = ..., at_least: _Optional[_Union[Position, _Mapping]] = ..., strong: _Optional[bool] = ...) -> None: ...

class FetchReply(_message.Message):
    __slots__ = ("rows", "position")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    rows: Rows
    position: Position
    def __init__(self, rows: _Optional[_Union[Rows, _Mapping]] = ..., position: _Optional[_Union[Position, _Mapping]] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("namespace", "prefix", "after", "limit", "at_least", "strong")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    STRONG_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    prefix: str
    after: str
    limit: int
    at_least: Position
    strong: bool
    def __init__(self, namespace: _Optional[str] = ..., prefix: _Optional[str] = ..., after: _Optional[str] = ..., limit: _Optional[int] = ..., at_least: _Optional[_Union[Position, _Mapping]] = ..., strong: _Optional[bool] = ...) -> None: ...

class ListReply(_message.Message):
    __slots__ = ("ids", "position")
    IDS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    position: Position
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., position: _Optional[_Union[Position, _Mapping]] = ...) -> None: ...

class StatsRequest(_message.Message):
    __slots__ = ("filter", "at_least", "strong")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    STRONG_FIELD_NUMBER: _ClassVar[int]
    filter: bytes
    at_least: Position
    strong: bool
    def __init__(self, filter: _Optional[bytes] = ..., at_least: _Optional[_Union[Position, _Mapping]] = ..., strong: _Optional[bool] = ...) -> None: ...

class StatsReply(_message.Message):
    __slots__ = ("namespaces", "position")
    class NamespacesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    namespaces: _containers.ScalarMap[str, int]
    position: Position
    def __init__(self, namespaces: _Optional[_Mapping[str, int]] = ..., position: _Optional[_Union[Position, _Mapping]] = ...) -> None: ...

class ReportRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReportReply(_message.Message):
    __slots__ = ("index", "generation", "shard", "position", "rows", "unindexed_rows", "dead_rows", "segments", "memory_bytes", "disk_bytes", "disk_free_bytes", "building", "version", "problem", "conditions", "memory_limit_bytes", "memory_used_bytes", "replica", "damaged_disk", "refusal")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    UNINDEXED_ROWS_FIELD_NUMBER: _ClassVar[int]
    DEAD_ROWS_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    BUILDING_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_DISK_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    index: str
    generation: str
    shard: int
    position: Position
    rows: int
    unindexed_rows: int
    dead_rows: int
    segments: int
    memory_bytes: int
    disk_bytes: int
    disk_free_bytes: int
    building: bool
    version: str
    problem: str
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    memory_limit_bytes: int
    memory_used_bytes: int
    replica: _replication_pb2.ReplicaState
    damaged_disk: str
    refusal: str
    def __init__(self, index: _Optional[str] = ..., generation: _Optional[str] = ..., shard: _Optional[int] = ..., position: _Optional[_Union[Position, _Mapping]] = ..., rows: _Optional[int] = ..., unindexed_rows: _Optional[int] = ..., dead_rows: _Optional[int] = ..., segments: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., disk_bytes: _Optional[int] = ..., disk_free_bytes: _Optional[int] = ..., building: _Optional[bool] = ..., version: _Optional[str] = ..., problem: _Optional[str] = ..., conditions: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., memory_limit_bytes: _Optional[int] = ..., memory_used_bytes: _Optional[int] = ..., replica: _Optional[_Union[_replication_pb2.ReplicaState, _Mapping]] = ..., damaged_disk: _Optional[str] = ..., refusal: _Optional[str] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("type", "reason", "message")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    type: str
    reason: str
    message: str
    def __init__(self, type: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

"""How long a message between gateway and shard, or between replicas, may be: both ends have to agree."""

MAX_MESSAGE_BYTES = 64 * 1024 * 1024

OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)
"""Of a gRPC channel or server."""

"""What a caller may cost before anybody has looked at its key."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of connections.

    Attributes:
        connections: at a time; beyond that the idlest is closed, or who comes waits in the socket's queue.
        head_bytes: of a request's head, its target included; also of what ends a body in pieces.
        target_bytes: of its target.
        fields: of its head.
        head_seconds: from a head's first byte to its last.
        idle_seconds: without a request; longer than the 60 s for which proxies commonly keep connections, so
            that they do not send into one that is being closed.
        handshake_seconds: of TLS.
        linger_seconds: for which a connection that ends takes what is still on its way, so that its caller
            gets to read the answer.
        answer_grace_seconds: for which an answer may be taken more slowly than at its least pace.
        answer_pace: bytes a second that an answer has to be taken at, once the kernel takes no more of it.
        body_bytes_ahead: of a body that nobody has asked for yet.
        waiting: requests that were sent before the one in front was answered.
    """

    connections: int = 4096
    head_bytes: int = 128 * 1024
    target_bytes: int = 64 * 1024
    fields: int = 100
    head_seconds: float = 15.0
    idle_seconds: float = 65.0
    handshake_seconds: float = 10.0
    linger_seconds: float = 2.0
    answer_grace_seconds: float = 30.0
    answer_pace: int = 8 * 1024
    body_bytes_ahead: int = 64 * 1024
    waiting: int = 32

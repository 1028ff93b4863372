"""What a worker is told before anything else: over its socket, since arguments and variables can be seen."""

import os
import pathlib
import socket

import pydantic

from vectorfleet_shardnode.api import config

from .. import doors


class Orders(pydantic.BaseModel, frozen=True):
    """All that a worker needs.

    Attributes:
        index: what is served.
        folder: of the shard.
        shown: where the primary says up to which write readers see.
        door: where requests come in, and who is let in.
        logs: what is logged.
        primary: where the primary's shard is asked over gRPC, host:port.
        token: what it has to be shown.
    """

    index: config.IndexConfig
    folder: pathlib.Path
    shown: pathlib.Path
    door: doors.Door
    logs: doors.Logs
    primary: str
    token: str = pydantic.Field(repr=False)


def send(orders: Orders, control: socket.socket) -> None:
    """Send them; in a file in memory, since a message of a socket is bounded."""
    file = os.memfd_create("orders", os.MFD_CLOEXEC)
    with os.fdopen(file, "wb") as content:
        content.write(orders.model_dump_json(by_alias=True).encode())
        content.flush()
        socket.send_fds(control, [b"o"], [file])


def receive(control: socket.socket) -> Orders | None:
    """Wait for them, and return them; None where the primary is gone."""
    try:
        _, given, _, _ = socket.recv_fds(control, 1, 1)
    except ConnectionError:
        return None
    if not given:
        return None
    with os.fdopen(given[0], "rb") as content:
        content.seek(0)
        return Orders.model_validate_json(content.read())

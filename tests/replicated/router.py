"""What a gateway does, for one thread: it finds the primary, and sends a write until it is answered."""

import random
import secrets
import time

import grpc

PASSES = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""Answers after which another try, here or elsewhere, may do."""


class GaveUpError(grpc.RpcError):
    """Nobody answered before the end; it is unknown what became of it."""

    def code(self):
        return grpc.StatusCode.UNAVAILABLE

    def details(self):
        return "nobody answered"


class Router:
    """The writes of one client, in the form of a stub.

    Args:
        stubs: of the replicas.
        stopping: set when the client is to end.
        seconds: that one try may take.
    """

    def __init__(self, stubs, stopping, seconds=2):
        self._stubs, self._stopping, self._seconds = stubs, stopping, seconds
        self._believed = 0
        self.tries = self.writes = 0
        self.gaps = []

    def Write(self, request):  # noqa: N802 (a stub's name)
        """Write once, however often it has to be sent."""
        request.write_id = secrets.token_bytes(16)
        self.writes += 1
        began, pause = time.monotonic(), 0.005
        while True:
            self.tries += 1
            try:
                reply = self._stubs[self._believed].Write(request, timeout=self._seconds)
            except grpc.RpcError as failure:
                if failure.code() not in PASSES:
                    raise
                self._look_elsewhere(failure)
            else:
                self.gaps.append(time.monotonic() - began)
                return reply
            if self._stopping.wait(pause):
                raise GaveUpError
            pause = min(0.1, pause * 2)

    def _look_elsewhere(self, failure):
        told = dict(failure.trailing_metadata() or ())
        named = told.get("vectorfleet-primary", "").partition(".")[0]
        self._believed = int(named[1:]) if named else random.randrange(len(self._stubs))

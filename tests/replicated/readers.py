"""Reads of any replica while clients write and something happens: each may be refused, and is never wrong.

A client has rows of its own and one write under way at a time, so its rows were, one after the other, what
its writes left: its states. A read that began when the state A was acknowledged, and ended when the write of
the state B had been sent, saw one of the states from A to B, if it demanded the position of A's write, or
all that was acknowledged. One that demanded nothing saw one of those up to B. All rows of a read are of one
state.
"""

import collections
import random
import threading

import grpc
from crashing import history
from replicated import router

from vectorfleet_shardnode.api import shard_pb2 as pb

_SECONDS = 2.0  # for one read
_PAUSE = 0.005
OWN, STRONG, ANY = "own", "strong", "any"
"""At least what the client has written, all that was acknowledged, or whatever there is."""


class Writer(history.Client):
    """A client that keeps its states for those who read them."""

    def __init__(self, number, stub, rows, seed):
        super().__init__(number, stub, rows, seed)
        self.states = [rows]
        self.acknowledged = (0, pb.Position())  # the newest state that was, and its write's position

    def step(self):
        """Write once."""
        change = self._draw()
        self.doubt = change.rows
        self.states.append(change.rows)  # it may be seen from now on
        reply = self.stub.Write(change.request)
        self.rows, self.seq = change.rows, reply.position.seq
        self.acknowledged = (len(self.states) - 1, reply.position)
        self.note(change)


class Reader(threading.Thread):
    """Reads rows of writers until `stopping` is set, or a read was wrong.

    Args:
        stubs: of the replicas.
        writers: whose rows.
        seed: of every draw.

    Attributes:
        told: how many reads of each kind were answered, and how many refused, as (kind, what).
        failure: what was wrong.
    """

    def __init__(self, stubs, writers, seed):
        super().__init__(daemon=True)
        self._stubs, self._writers, self._numbers = stubs, writers, random.Random(seed)
        self.stopping = threading.Event()
        self.told, self.failure = collections.Counter(), None

    def run(self):
        while not self.stopping.wait(_PAUSE):
            try:
                self.step()
            except Exception as wrong:  # noqa: BLE001 (whatever it is, the round fails by it)
                self.failure = wrong
                return

    def step(self):
        """Read once.

        Raises:
            AssertionError: what was read can't be.
        """
        kind = self._numbers.choice((OWN, OWN, STRONG, ANY))
        replica, writer = self._numbers.randrange(len(self._stubs)), self._numbers.choice(self._writers)
        namespace = self._numbers.choice(writer.namespaces)
        ids = [f"w{writer.number}-{n}" for n in self._numbers.sample(range(history.IDS), 20)]
        acknowledged, position = writer.acknowledged
        request = pb.FetchRequest(
            namespace=namespace, ids=ids, include_values=True, include_metadata=True, strong=kind == STRONG
        )
        if kind == OWN:
            request.at_least.CopyFrom(position)
        try:
            reply = self._stubs[replica].Fetch(request, timeout=_SECONDS)
        except grpc.RpcError as refused:
            if refused.code() not in router.PASSES:
                raise
            self.told[kind, "refused"] += 1
            return
        until = len(writer.states)
        found = history.rows_of(namespace, reply.rows)
        first = 0 if kind == ANY else acknowledged
        if not any(_same(state, found, namespace, ids) for state in writer.states[first:until]):
            raise AssertionError(
                f"r{replica}, at seq {reply.position.seq}, answers a read ({kind}) of client {writer.number} "
                f"with rows of no state from {first} to {until - 1}; they are of "
                f"{[n for n in range(until) if _same(writer.states[n], found, namespace, ids)] or 'none'}; "
                f"{position.seq} was acknowledged"
            )
        self.told[kind, "answered"] += 1


def _same(state, found, namespace, ids):
    return all(found.get((namespace, one)) == state.get((namespace, one)) for one in ids)

"""Groups of replicas for fixtures: each is started, begun by its operator, and ended with what made it."""

import contextlib

from crashing import node
from replicated import changes, group


@contextlib.contextmanager
def groups(server, folder):
    """Yield `make`: `make(3)` has three replicas and, unless told otherwise, a primary.

    What still runs at the end is killed.

    Args:
        server: starts the processes, a `warm.Server`.
        folder: theirs.
    """
    with contextlib.ExitStack() as ends:

        def make(count=3, *, begin=True, dimensions=node.DIMENSIONS, **tuning):
            one = group.Group(server, folder, count, dimensions, **node.BUSY | tuning)
            ends.callback(one.close)
            one.start()
            one.operator = changes.Operator(one)
            if begin:
                one.operator.begin()
                one.wait_for(lambda: one.primary() is not None)
            return one

        yield make

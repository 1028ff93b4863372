"""A replica with one promise about reads patched out: `python broken_replica.py WAY`. Readers notice each."""

import sys

from vectorfleet_shardnode import __main__ as node
from vectorfleet_shardnode.serving import reads


def at_least_ignored():
    """Answer from what there is, whatever position is demanded."""
    real = reads.Reads._state_for

    async def state_for(its, request):
        request.ClearField("at_least")
        return await real(its, request)

    reads.Reads._state_for = state_for


def strong_ignored():
    """Answer a strong read from what there is, on any replica."""
    real = reads.Reads._state_for

    async def state_for(its, request):
        request.strong = False
        return await real(its, request)

    reads.Reads._state_for = state_for


WAYS = {"at_least is ignored": at_least_ignored, "strong is ignored": strong_ignored}


if __name__ == "__main__":
    WAYS[sys.argv[1]]()
    node.main()

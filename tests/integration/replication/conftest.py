"""Groups of replicas as real processes; what still runs at the end is killed."""

import pytest
from crashing import node, warm
from replicated import changes, group


@pytest.fixture(scope="module")
def server():
    """The process that starts replicas in milliseconds."""
    made = warm.Server()
    yield made
    made.close()


@pytest.fixture
def make_group(server, tmp_path):
    """Make groups; `make_group(3)` has three replicas and, unless told otherwise, a primary."""
    made = []

    def make(count=3, *, begin=True, **tuning):
        one = group.Group(server, tmp_path, count, **node.BUSY | tuning)
        made.append(one)
        one.start()
        one.operator = changes.Operator(one)
        if begin:
            one.operator.begin()
            one.wait_for(lambda: one.primary() is not None)
        return one

    yield make
    for one in made:
        one.close()

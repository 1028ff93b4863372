"""Groups of replicas as real processes; what still runs at the end is killed."""

import pytest
from crashing import warm
from replicated import making


@pytest.fixture(scope="module")
def server():
    """The process that starts replicas in milliseconds."""
    made = warm.Server()
    yield made
    made.close()


@pytest.fixture
def make_group(server, tmp_path):
    """Make groups, see `making.groups`."""
    with making.groups(server, tmp_path) as make:
        yield make

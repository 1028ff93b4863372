"""The embedded default with real processes: a state directory that is always taken down."""

import pytest
from services import embedded


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory):
    """An empty state directory; whatever was started in it is gone afterwards."""
    made = embedded.Local(tmp_path_factory.mktemp("local"))
    yield made
    made.end()

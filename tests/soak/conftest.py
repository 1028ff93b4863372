"""Long tests: `make soak` runs them, anything else skips them."""

import pytest


def pytest_collection_modifyitems(config, items):
    """Skip what is marked as long, unless it was asked for by its mark."""
    if "soak" in config.option.markexpr:
        return
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="long; run by make soak"))

"""Parsing alone: no fsyncs."""

import pytest

from vectorfleet_shardnode import (
    files,
)


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    """Fsyncs are no part of parsing."""
    monkeypatch.setattr(files, "fsync", lambda _: None)

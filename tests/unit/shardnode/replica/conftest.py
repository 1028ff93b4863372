"""Replicas of a shard, opened by name."""

import contextlib
import os

import pytest
from fixtures.replicas import close, opened


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    """Power is never cut here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def replica(tmp_path):
    """Open replicas by name; they are closed at the end."""
    with contextlib.ExitStack() as stack:

        def open_it(name="a", **changed):
            served = opened(tmp_path / name, **changed)
            stack.callback(close, served)
            return served

        yield open_it

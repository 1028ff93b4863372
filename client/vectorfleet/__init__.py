"""Vectorfleet for Python: a client for an index, and the `vectorfleet` command."""

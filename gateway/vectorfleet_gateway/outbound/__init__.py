"""Calls to the services that an index names: JSON over HTTP, bounded, retried, never redirected."""

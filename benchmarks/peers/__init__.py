"""Vectorfleet beside its peers: the same rows, queries, recall and load on the same machine, in one run."""

"""Copies of a shard's data: the files that one replica gives, and another puts in the place of its own."""

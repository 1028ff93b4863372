"""The pieces of a shard: rows that still grow, in memory, and rows that are sealed, in immutable files."""

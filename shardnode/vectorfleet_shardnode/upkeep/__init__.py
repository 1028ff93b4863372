"""A shard's upkeep: what grows is sealed, small segments are merged, and one takes the place of others."""

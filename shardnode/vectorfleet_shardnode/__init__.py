"""The shard node: one replica of one shard. Log, segments, search."""

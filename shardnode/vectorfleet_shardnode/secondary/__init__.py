"""A shard read by another process than the one that serves it: the primary's log and segments, followed."""

"""How the replicas of a shard hold one log: a pure core, and what drives it. See docs/replication.md."""

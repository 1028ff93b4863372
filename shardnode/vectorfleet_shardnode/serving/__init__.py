"""What others are told of a shard, and ask of it: its API over gRPC, searches, reports, refusals."""

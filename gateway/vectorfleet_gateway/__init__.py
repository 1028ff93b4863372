"""The gateway: the stateless front door of an index. REST in front, batches over gRPC to the shards."""

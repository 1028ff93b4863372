"""What the other planes may know of a shard: its gRPC API, an index's configuration, placement of ids.

The gateway and the operator import this package and nothing else of the shard node.
"""

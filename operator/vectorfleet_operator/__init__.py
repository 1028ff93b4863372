"""The operator: reconciles VectorIndex objects into running, sharded vector indexes."""

"""Queries by several vectors: weighted sums over vector fields, and late interaction over token vectors."""

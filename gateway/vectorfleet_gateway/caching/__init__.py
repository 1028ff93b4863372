"""Answers of queries, kept for as long as the shards stand where they stood when they gave them."""

"""Texts become vectors, by the service that the index names: gathered, cached, checked to be of one model."""

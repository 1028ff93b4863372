"""The first matches of a query are ordered anew, by the service that the index names for it."""

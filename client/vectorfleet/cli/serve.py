"""`vectorfleet serve`."""


def serve() -> None:
    """Serve."""

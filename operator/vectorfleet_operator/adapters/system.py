"""Time and chance as the operating system has them."""

import datetime
import secrets
import time

_SECRET_BYTES = 32


class SystemClock:
    """Implements `ports.Clock`."""

    def now(self) -> datetime.datetime:
        """Return the present moment, in UTC."""
        return datetime.datetime.now(datetime.UTC)

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()


class SystemEntropy:
    """Implements `ports.Entropy`."""

    def secret(self) -> str:
        """Return a new secret of 256 bits, safe in headers and URLs."""
        return secrets.token_urlsafe(_SECRET_BYTES)

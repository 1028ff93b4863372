"""What others still copy: segments that stay though no manifest names them, and the log behind them."""

import threading

ALL = (1 << 64) - 1
"""Stands for the log behind which nothing is: none of it is held."""


class Pins:
    """What is held, by whom. Whoever looks and then deletes, or holds, does both under `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._held: dict[str, tuple[frozenset[str], int]] = {}

    def hold(self, owner: str, names: frozenset[str], seq: int) -> None:
        """Keep segments by name, and the log behind a seq."""
        with self.lock:
            self._held[owner] = (names, seq)

    def release(self, owner: str) -> None:
        """Hold nothing for this owner any more."""
        with self.lock:
            self._held.pop(owner, None)

    @property
    def names(self) -> frozenset[str]:
        """The segments that are held."""
        with self.lock:
            return frozenset().union(*(names for names, _ in self._held.values()))

    def covered(self, seq: int) -> int:
        """Return up to where the log may go, if segments cover it up to `seq`."""
        with self.lock:
            return min((seq, *(held for _, held in self._held.values())))

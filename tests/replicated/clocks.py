"""Wall clocks of processes that are wrong, and jump: a small library is preloaded into them."""

import pathlib
import struct

from crashing import preloaded

_SECOND = 1_000_000_000


def compile_skew(folder):
    """Compile what is preloaded; see `preloaded.compiled`."""
    return preloaded.compiled(pathlib.Path(__file__).with_name("skew.c"), folder)


class Wrong:
    """The clock of one process: `environment` is what it starts with."""

    def __init__(self, path, seconds):
        self._path, self._seconds = path, seconds
        path.write_bytes(struct.pack("<q", seconds * _SECOND))
        self.environment = {"SKEW_FILE": str(path)}

    def jump(self, seconds):
        """Move it, back where `seconds` is negative."""
        self._seconds += seconds
        with self._path.open("r+b") as there:
            there.write(struct.pack("<q", self._seconds * _SECOND))

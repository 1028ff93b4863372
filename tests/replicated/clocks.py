"""Wall clocks of processes that are wrong, and jump: a small library is preloaded into them."""

import pathlib
import shutil
import struct
import subprocess

_SECOND = 1_000_000_000


def compile_skew(folder):
    """Compile what is preloaded; None where this machine has no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library, source = folder / "skew.so", pathlib.Path(__file__).with_name("skew.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


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

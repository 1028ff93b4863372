"""Small libraries in C that are preloaded into processes, to stand between them and the machine."""

import shutil
import subprocess

import pytest


def compiled(source, folder):
    """Compile a library into a folder; returns it. Whoever asks is skipped where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler here (cc)")
    library = folder / f"{source.stem}.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library

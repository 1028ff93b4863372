"""A disk that does not give some files back: what is preloaded into a process for it, and its control."""

import shutil
import subprocess
from pathlib import Path


def compile_library(folder):
    """Compile what is preloaded; None where this machine has no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library, source = folder / "unreadable.so", Path(__file__).with_suffix(".c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def environment(library, control):
    """Return the variables: while `control` exists, files whose path contains its content can't be read."""
    return {"LD_PRELOAD": str(library), "UNREADABLE": str(control)}

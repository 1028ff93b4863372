"""A disk that does not give some files back: what is preloaded into a process for it, and its control."""

from pathlib import Path

from crashing import preloaded


def compile_library(folder):
    """Compile what is preloaded; see `preloaded.compiled`."""
    return preloaded.compiled(Path(__file__).with_suffix(".c"), folder)


def environment(library, control):
    """Return the variables: while `control` exists, files whose path contains its content can't be read."""
    return {"LD_PRELOAD": str(library), "UNREADABLE": str(control)}

"""Keeps the collector of cyclic garbage from holding up requests while a process serves.

A process has some hundred thousand objects once it has begun: modules, functions, settings. CPython looks
through all of them about once a second under load, for 60 ms, in which every request waits.
"""

import contextlib
import gc
from collections.abc import Iterator

_THRESHOLDS = (10_000, 10, 10)
"""New containers, less those that ended, before a look at the young; looks before one at older ones.

CPython's 700 are fewer than the requests of 32 callers keep at a time, so that these grew old.
"""


@contextlib.contextmanager
def set_apart() -> Iterator[None]:
    """Leave what there is now out of all looks for cyclic garbage, and look at what is new less often.

    At the end all of it is looked through again, so what served can be let go.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
        gc.collect()

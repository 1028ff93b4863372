"""Gives memory that was freed back to the kernel: allocators keep it, and a limit counts it as used."""

import ctypes
import gc

import pyarrow as pa

_LIBC = ctypes.CDLL(None)


def give_back() -> None:
    """Give back what this process holds and does not use."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    if hasattr(_LIBC, "malloc_trim"):  # glibc has it, musl has not
        _LIBC.malloc_trim(0)

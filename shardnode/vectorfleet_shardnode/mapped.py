"""Binary files of segments, memory-mapped: what their headers say, once they are known to be of the kind."""

import dataclasses
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import errors


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        what: it is a file of, for people.
        header: its layout; first comes `magic`, then the version.
        magic: its first bytes.
        version: the one that is read.
    """

    what: str
    header: struct.Struct
    magic: bytes
    version: int

    def open(self, path: Path) -> tuple[npt.NDArray[np.uint8], tuple[Any, ...]]:
        """Return a file's bytes, the header's with them, and what stands in the header behind the version.

        Raises:
            DataLossError: it is not of this kind.
            UnknownFormatError: it is of another version.
        """
        content = np.memmap(path, np.uint8, "r").view(np.ndarray)
        head = content[: self.header.size].tobytes()
        if len(head) < self.header.size or not head.startswith(self.magic):
            raise errors.DataLossError(f"{path} is no file of {self.what}")
        _, version, *fields = self.header.unpack(head)
        if version != self.version:
            raise errors.UnknownFormatError(
                f"{path} has format {version}; this program reads format {self.version}"
            )
        return content, tuple(fields)

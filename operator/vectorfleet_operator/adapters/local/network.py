"""Addresses: each pod has a loopback address of its own, so that no port has to be another one's.

Linux answers on all of 127.0.0.0/8. A state directory takes one block of 254, by its path, and keeps which
pod has which, so that a pod comes back where it was.
"""

import hashlib
import pathlib
import socket
from collections.abc import Mapping

from ... import errors
from . import folder

_SUPERVISOR, _FIRST, _LAST = 1, 2, 254
_PROBED_PORTS = (7400, 8080, 9090)
_TRIES = 64


class Network:
    """The addresses of one state directory.

    Args:
        path: the file that keeps them.

    Raises:
        errors.Rejected: every block that was tried is taken.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        saved = folder.read_json(path) or {}
        self._block: str = saved.get("block") or _free_block(str(path))
        self._given: dict[str, int] = saved.get("given", {})
        self._save()

    @property
    def supervisor(self) -> str:
        """The supervisor's own address."""
        return supervisor_address(self._block)

    def address(self, namespace: str, pod: str) -> str:
        """Return the pod's address, giving it one where it has none.

        Raises:
            errors.Rejected: all are given.
        """
        name = f"{namespace}/{pod}"
        if name not in self._given:
            taken = set(self._given.values())
            free = next((n for n in range(_FIRST, _LAST + 1) if n not in taken), None)
            if free is None:
                raise errors.Rejected(
                    f"all {_LAST - _FIRST + 1} pod addresses of this machine's cluster are taken"
                )
            self._given[name] = free
            self._save()
        return f"{self._block}.{self._given[name]}"

    def release(self, namespace: str, pod: str) -> None:
        """Let others have the address of a pod that is gone for good."""
        if self._given.pop(f"{namespace}/{pod}", None) is not None:
            self._save()

    def _save(self) -> None:
        folder.write_json(self._path, {"block": self._block, "given": self._given})


def supervisor_address(block: str) -> str:
    """Return the supervisor's own address in a block. PURE."""
    return f"{block}.{_SUPERVISOR}"


def write_hosts(path: pathlib.Path, names: Mapping[str, str]) -> None:
    """Write addresses by name in the form of /etc/hosts, whole or not at all."""
    text = "".join(f"{address} {name}\n" for name, address in sorted(names.items()))
    if path.exists() and path.read_text() == text:
        return
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


def _free_block(seed: str) -> str:
    for block in blocks(seed):
        if all(_is_free(f"{block}.{_FIRST}", port) for port in _PROBED_PORTS):
            return block
    raise errors.Rejected("no free block of loopback addresses was found in 127.0.0.0/8")


def blocks(seed: str) -> list[str]:
    """Return the blocks to try, each as three numbers; 127.0 is left to others. PURE."""
    digests = (hashlib.sha256(f"{seed}#{n}".encode()).digest() for n in range(_TRIES))
    return [f"127.{1 + digest[0] % 254}.{digest[1]}" for digest in digests]


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True

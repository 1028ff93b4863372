"""API keys: several are valid at once, kept as SHA-256 digests, compared in constant time.

Each file of a folder holds one key or the digest of one, see `grants`, as a mounted Secret does. The folder
is read again when it changed, so that keys rotate: add the new one, move the callers, remove the old one.
"""

import hashlib
import hmac
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from . import grants

_log = logging.getLogger(__name__)


class UnusableError(Exception):
    """A folder of keys can't be read, or holds no valid key; the message says which and why."""


class Ring:
    """The keys that are valid now.

    Args:
        granted: what each grants.
    """

    def __init__(self, granted: Iterable[grants.Grant] = ()) -> None:
        self._grants = tuple(granted)

    def replace(self, granted: Iterable[grants.Grant]) -> None:
        """Make these keys the only valid ones."""
        self._grants = tuple(granted)

    def find(self, key: str, now: float) -> grants.Principal | None:
        """Return who holds a key, None where it is not valid, or not any more.

        Args:
            key: as it was sent.
            now: seconds since 1970.
        """
        digest = grants.digest_of(key)
        found: grants.Principal | None = None
        for granted in self._grants:  # all of them, so that time tells nothing
            if hmac.compare_digest(digest, granted.digest):
                found = granted.principal
        if found is None or (found.expires is not None and now >= found.expires):
            return None
        return found


class Folder:
    """A folder of keys, which a ring follows.

    Args:
        path: the folder; files whose name starts with a dot are none of ours.
        ring: that is to have these keys.
        always: keys that are valid besides.

    Raises:
        UnusableError: the folder can't be read, or holds no valid key.
    """

    def __init__(self, path: Path, ring: Ring, always: Iterable[grants.Grant] = ()) -> None:
        self._path = path
        self._ring = ring
        self._always = tuple(always)
        try:
            self._seen, keys = self._read()
        except OSError as error:
            raise UnusableError(f"can't read {path}: {error}") from error
        if not keys:
            raise UnusableError(
                f"{path} holds no key; put one in a file, as one line of printable ASCII characters, or what "
                "`vectorfleet key` prints"
            )
        ring.replace(keys)

    def refresh(self) -> None:
        """Read the folder again. Where it can't be read, the keys stay as they are."""
        try:
            seen, keys = self._read()
        except OSError as error:
            _log.warning("can't read the API keys; keeping the last ones", extra={"error": str(error)})
            return
        if seen == self._seen:
            return
        self._seen = seen
        self._ring.replace(keys)
        _log.info("API keys changed", extra={"keys": sorted(one.principal.name for one in keys)})
        if not keys:
            _log.error("no valid API key is left; every request is refused")

    def _read(self) -> tuple[frozenset[tuple[str, bytes]], list[grants.Grant]]:
        files = [file for file in self._path.iterdir() if not file.name.startswith(".") and file.is_file()]
        contents = {file.name: file.read_bytes() for file in files}
        seen = frozenset((name, hashlib.sha256(content).digest()) for name, content in contents.items())
        return seen, [*self._always, *_valid(contents)]


def _valid(contents: Mapping[str, bytes]) -> Iterator[grants.Grant]:
    for name, content in contents.items():
        try:
            yield grants.parse(name, content)
        except ValueError as unfit:
            _log.warning("a file of the API keys grants nothing", extra={"file": name, "why": str(unfit)})

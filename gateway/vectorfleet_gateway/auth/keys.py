"""The API keys: several are valid at once, kept as SHA-256 digests, compared in constant time.

Each file of a folder holds one key, as a mounted Secret does. The folder is read again when it changed, so
that keys rotate: add the new one, move the callers, remove the old one.
"""

import hashlib
import hmac
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from .. import errors
from . import policy

_log = logging.getLogger(__name__)

_MISSING = "the Api-Key header is missing; every request needs a valid key"
_WRONG = "the API key is not valid"


class KeyRing:
    """The keys that are valid now, by name.

    Args:
        keys: key by name.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._digests = _digests(keys)

    def replace(self, keys: Mapping[str, str]) -> None:
        """Make these keys the only valid ones."""
        self._digests = _digests(keys)

    def authenticate(self, key: str | None) -> policy.Principal:
        """Return who holds a key.

        Raises:
            UnauthenticatedError: no key, or none that is valid.
        """
        if not key:
            raise errors.UnauthenticatedError(_MISSING)
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found: policy.Principal | None = None
        for principal, valid in self._digests:  # all of them, so that time tells nothing
            if hmac.compare_digest(digest, valid):
                found = principal
        if found is None:
            raise errors.UnauthenticatedError(_WRONG)
        return found


class KeyFolder:
    """A folder of keys, and the ring that follows it.

    Args:
        path: the folder; files whose name starts with a dot are none of ours.

    Raises:
        SettingsError: the folder can't be read, or holds no valid key.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._seen, keys = self._read()
        except OSError as error:
            raise errors.SettingsError(f"VECTORFLEET_API_KEYS_DIR: can't read {path}: {error}") from error
        if not keys:
            raise errors.SettingsError(
                f"VECTORFLEET_API_KEYS_DIR: {path} holds no key; put one in a file, as one line of printable "
                "ASCII characters"
            )
        self.ring = KeyRing(keys)

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
        self.ring.replace(keys)
        _log.info("API keys changed", extra={"keys": sorted(keys)})
        if not keys:
            _log.error("no valid API key is left; every request is refused")

    def _read(self) -> tuple[frozenset[tuple[str, bytes]], dict[str, str]]:
        files = [file for file in self._path.iterdir() if not file.name.startswith(".") and file.is_file()]
        contents = {file.name: file.read_bytes() for file in files}
        seen = frozenset((name, hashlib.sha256(content).digest()) for name, content in contents.items())
        return seen, dict(_valid(contents.items()))


def _valid(contents: Iterable[tuple[str, bytes]]) -> Iterable[tuple[str, str]]:
    for name, content in contents:
        key = content.decode("ascii", "replace").strip()
        if key and key.isascii() and key.isprintable() and " " not in key:
            yield name, key
        else:
            _log.warning("file holds no key: one line of printable ASCII characters", extra={"file": name})


def _digests(keys: Mapping[str, str]) -> tuple[tuple[policy.Principal, bytes], ...]:
    return tuple(
        (policy.Principal(name), hashlib.sha256(key.encode()).digest()) for name, key in keys.items()
    )

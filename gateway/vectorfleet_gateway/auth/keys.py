"""The API keys: several are valid at once, kept as SHA-256 digests, compared in constant time.

Each file of a folder holds one key or the digest of one, see `grants`, as a mounted Secret does. The folder
is read again when it changed, so that keys rotate: add the new one, move the callers, remove the old one.
"""

import hashlib
import hmac
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .. import body, errors, policy
from . import grants

_log = logging.getLogger(__name__)

_MISSING = "the Api-Key header is missing; every request needs a valid key"
_WRONG = "the API key is not valid"


class KeyRing:
    """The keys that are valid now.

    Args:
        granted: what each grants.
    """

    def __init__(self, granted: Iterable[grants.Grant]) -> None:
        self._grants = tuple(granted)

    def replace(self, granted: Iterable[grants.Grant]) -> None:
        """Make these keys the only valid ones."""
        self._grants = tuple(granted)

    def enter(self, headers: body.Headers, now: float) -> policy.Principal:
        """Return who holds the key of a request; see `authenticate`."""
        return self.authenticate(headers.get("api-key"), now)

    def authenticate(self, key: str | None, now: float) -> policy.Principal:
        """Return who holds a key.

        Args:
            key: as it was sent.
            now: seconds since 1970.

        Raises:
            UnauthenticatedError: no key, or none that is valid; one that has expired is not told from one
                that never was.
        """
        if not key:
            raise errors.UnauthenticatedError(_MISSING)
        digest = grants.digest_of(key)
        found: policy.Principal | None = None
        for granted in self._grants:  # all of them, so that time tells nothing
            if hmac.compare_digest(digest, granted.digest):
                found = granted.principal
        if found is None or (found.expires is not None and now >= found.expires):
            raise errors.UnauthenticatedError(_WRONG)
        return found


class KeyFolder:
    """A folder of keys, and the ring that follows it.

    Args:
        path: the folder; files whose name starts with a dot are none of ours.
        always: keys that are valid besides.

    Raises:
        SettingsError: the folder can't be read, or holds no valid key.
    """

    def __init__(self, path: Path, always: Iterable[grants.Grant] = ()) -> None:
        self._path = path
        self._always = tuple(always)
        try:
            self._seen, keys = self._read()
        except OSError as error:
            raise errors.SettingsError(f"VECTORFLEET_API_KEYS_DIR: can't read {path}: {error}") from error
        if not keys:
            raise errors.SettingsError(
                f"VECTORFLEET_API_KEYS_DIR: {path} holds no key; put one in a file, as one line of printable "
                "ASCII characters, or what `vectorfleet key` prints"
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

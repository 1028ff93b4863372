"""The gateway's way in by API key; see `vectorfleet_runtime.keys`."""

from collections.abc import Iterable
from pathlib import Path

from vectorfleet_runtime import grants, keys

from .. import body, errors, policy

_MISSING = "the Api-Key header is missing; every request needs a valid key"
_WRONG = "the API key is not valid"


class KeyRing(keys.Ring):
    """The keys that are valid now."""

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
        found = self.find(key, now)
        if found is None:
            raise errors.UnauthenticatedError(_WRONG)
        return found


class KeyFolder(keys.Folder):
    """A folder of keys, and the ring that follows it.

    Args:
        path: the folder.
        always: keys that are valid besides.

    Raises:
        SettingsError: the folder can't be read, or holds no valid key.
    """

    def __init__(self, path: Path, always: Iterable[grants.Grant] = ()) -> None:
        self.ring = KeyRing()
        try:
            super().__init__(path, self.ring, always)
        except keys.UnusableError as unusable:
            raise errors.SettingsError(f"VECTORFLEET_API_KEYS_DIR: {unusable}") from unusable

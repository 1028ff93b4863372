"""A certificate, its key and the authorities to trust, as files that may be replaced at any time.

A folder holds `tls.crt`, `tls.key` and `ca.crt`, as Kubernetes mounts a Secret. It is looked at when it is
asked for; files that do not fit each other, as in the midst of a change, leave in force what was read last.
"""

import logging
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger(__name__)

CERTIFICATE, KEY, AUTHORITIES = "tls.crt", "tls.key", "ca.crt"
LOOK_SECONDS = 1.0


class UnusableError(Exception):
    """The files are missing, or are no certificate with its key; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files held, PEM.

    Attributes:
        certificate: with those between it and the authority.
        key: its private key.
        authorities: whom to trust; empty where nobody is asked for a certificate.
        number: of the reading; it grows when the files change.
    """

    certificate: bytes
    key: bytes
    authorities: bytes
    number: int


class Certificates:
    """The files of one folder. May be used from several threads.

    Args:
        folder: where they are.
        authorities: whether `ca.crt` is one of them.

    Raises:
        UnusableError: they can't be used.
    """

    def __init__(self, folder: Path, *, authorities: bool = True) -> None:
        self.folder = folder
        self._names = (CERTIFICATE, KEY, AUTHORITIES) if authorities else (CERTIFICATE, KEY)
        self._lock = threading.Lock()
        self._complaint = ""
        self._looked = time.monotonic()
        self._stamp, self._loaded = self._read(1)

    def current(self) -> Loaded:
        """Return what is in force now, or was within the last second."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            return self.latest()
        return self._loaded

    def latest(self) -> Loaded:
        """Look at the files and return what is in force now."""
        with self._lock:
            self._looked = time.monotonic()
            self._refresh()
            return self._loaded

    def _refresh(self) -> None:
        try:
            if self._stamp_now() == self._stamp:
                return
            self._stamp, self._loaded = self._read(self._loaded.number + 1)
        except UnusableError as unusable:
            if str(unusable) != self._complaint:
                self._complaint = str(unusable)
                why = {"why": self._complaint}
                _log.warning("can't read the certificates anew; keeping the last", extra=why)
            return
        self._complaint = ""
        _log.info("certificates changed", extra={"folder": str(self.folder)})

    def _read(self, number: int) -> tuple[tuple[object, ...], Loaded]:
        stamp = self._stamp_now()
        try:
            parts = {name: (self.folder / name).read_bytes() for name in self._names}
        except OSError as error:
            raise UnusableError(f"can't read {error.filename}: {error.strerror}") from None
        self._check()
        if self._stamp_now() != stamp:
            raise UnusableError(f"{self.folder} is being changed")
        return stamp, Loaded(parts[CERTIFICATE], parts[KEY], parts.get(AUTHORITIES, b""), number)

    def _check(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # A key that wants a password would ask a terminal for it.
            context.load_cert_chain(self.folder / CERTIFICATE, self.folder / KEY, password="")
            if AUTHORITIES in self._names:
                context.load_verify_locations(self.folder / AUTHORITIES)
        except (OSError, ValueError) as error:
            said = getattr(error, "reason", None) or error
            raise UnusableError(
                f"{self.folder} holds no certificate with its key and authorities: {said}"
            ) from None

    def _stamp_now(self) -> tuple[object, ...]:
        try:
            found = [(self.folder / name).stat() for name in self._names]
        except OSError as error:
            raise UnusableError(f"can't read {error.filename}: {error.strerror}") from None
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)

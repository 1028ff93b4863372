"""The control plane's socket, and HTTPS whose certificate may be replaced at any time."""

import logging
import pathlib
import ssl

from aiohttp import web

from vectorfleet_runtime import certificates

from .. import errors
from . import app

_LOG = logging.getLogger(__name__)
_STOP_SECONDS = 10.0


class Listener:
    """Serves a control plane until it is closed."""

    def __init__(self, runner: web.AppRunner, scheme: str) -> None:
        self._runner, self._scheme = runner, scheme

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._runner.addresses[0][:2]
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    async def close(self) -> None:
        """Take no more, answer what is under way, and stop."""
        await self._runner.cleanup()


async def listen(served: app.App, host: str, port: int, tls_dir: pathlib.Path | None = None) -> Listener:
    """Listen for requests.

    Args:
        served: what answers them.
        host: address.
        port: TCP port; 0 picks a free one.
        tls_dir: of `tls.crt` and `tls.key`; HTTP is spoken where None.

    Raises:
        errors.Rejected: the address can't be listened on, or there is no certificate in the folder.
    """
    shown = _Shown(tls_dir).context if tls_dir is not None else None
    # What is compressed is refused, so nothing is unpacked beforehand either.
    runner = web.AppRunner(
        served.build(), access_log=None, auto_decompress=False, shutdown_timeout=_STOP_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=shown).start()
    except OSError as error:
        await runner.cleanup()
        raise errors.Rejected(f"can't listen on {host}:{port}: {error.strerror or error}") from error
    return Listener(runner, "https" if shown else "http")


class _Shown:
    """The certificate that each new connection is shown: what the files held within the last second."""

    def __init__(self, folder: pathlib.Path) -> None:
        try:
            self._files = certificates.Certificates(folder, authorities=False)
            self._number = self._files.current().number
            self._newest = self._load()
        except (certificates.UnusableError, OSError) as unusable:
            raise errors.Rejected(f"the certificate can't be used: {unusable}") from unusable
        self.context = self._load()
        self.context.sni_callback = self._show

    def _show(self, connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        now = self._files.current().number
        if now != self._number:
            try:
                self._newest, self._number = self._load(), now
            except OSError as unfit:  # it is being replaced; the next connection looks again
                _LOG.warning("can't show the new certificate; keeping the last", extra={"why": str(unfit)})
        connection.context = self._newest

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(
            self._files.folder / certificates.CERTIFICATE, self._files.folder / certificates.KEY, password=""
        )
        return context

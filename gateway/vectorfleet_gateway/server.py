"""Serves the application over HTTP or HTTPS, inside of the running event loop, until told to stop.

Nobody is cut off who could be answered. Whoever stops says so first: for a moment each answer tells its
caller to come by another connection, then no new one is taken, what is in flight is answered, and after ten
seconds what is left is cut off. A new certificate is shown to whoever comes after it.
"""

import asyncio
import logging
from collections.abc import Callable

from vectorfleet_runtime import certificates

from . import app, errors
from .serving import arrivals, bounds, listening

_log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
FAREWELL_SECONDS = 1.0
"""How long answers tell callers to come by another connection before no new one is taken."""
_RECENTLY_SECONDS = 10.0
_LOOK_SECONDS = 1.0


async def serve(
    application: app.App,
    source: arrivals.Source,
    stop: asyncio.Event,
    started: Callable[[], None] = lambda: None,
    shown: certificates.Certificates | None = None,
) -> None:
    """Serve an application until `stop` is set, then drain.

    Args:
        application: what answers.
        source: where connections come from; closed at the end.
        stop: ends the serving.
        started: called once, when connections are taken.
        shown: the certificate of HTTPS; HTTP where None.

    Raises:
        SettingsError: the certificate can't be shown.
    """
    try:
        first = shown.current() if shown else None
        door = listening.Listening(application.handle, source, bounds.Bounds(), first)
    except certificates.UnusableError as unusable:
        source.close()
        raise errors.SettingsError(f"can't serve HTTPS: {unusable}") from unusable
    watching = asyncio.create_task(door.watch())
    try:
        door.begin()
        started()
        await _until(stop, door, shown)
        if door.quiet_seconds < _RECENTLY_SECONDS:
            door.say_farewell()
            await asyncio.sleep(FAREWELL_SECONDS)
        if not await door.leave(DRAIN_SECONDS):
            _log.warning("cutting off what is in flight", extra={"after_seconds": DRAIN_SECONDS})
            application.cut_off()
    finally:
        await door.cut_off()
        watching.cancel()


async def _until(
    stop: asyncio.Event, door: listening.Listening, shown: certificates.Certificates | None
) -> None:
    """Wait until told to stop; show new certificates meanwhile."""
    last = shown.current() if shown else None
    while not stop.is_set():
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await stop.wait()
        except TimeoutError:
            pass
        if shown is not None and (now := shown.current()) is not last:
            last = now  # whatever comes of it, it was tried
            try:
                door.show(now)
            except certificates.UnusableError as unusable:
                _log.warning("can't show the new certificate; keeping the last", extra={"why": str(unusable)})
            else:
                _log.info("showing a new certificate")

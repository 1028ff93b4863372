"""The control plane inside of a supervisor: on while a Secret of its name is there, off without.

The Secret is kept by `vectorfleet up --control-plane`. Its entries are the keys of this API and of the
indexes that it makes, so that one key of a Pinecone client does for both.
"""

import logging
import shutil
import time

from vectorfleet_runtime import keys

from .. import errors, ports
from ..adapters.local import cluster, folder, store, view, volumes
from ..desired import names
from . import app, audit, indexes, listening, settings

_LOG = logging.getLogger(__name__)
_FOLLOW_SECONDS = 1.0
MOST = 100


class Embedded:
    """The control plane of a state directory.

    Args:
        place: the state directory.
        objects: its objects.
        host: the supervisor's own address.
    """

    def __init__(self, place: folder.Folder, objects: store.Store, host: str) -> None:
        self._place, self._objects, self._host = place, objects, host
        self._listener: listening.Listener | None = None
        self._keys: keys.Folder | None = None
        self._looked = 0.0
        self._complaint = ""

    async def settle(self) -> None:
        """Start, stop, or take the keys over that there are now; called again and again."""
        secret = self._objects.find((ports.SECRET.kind, view.CONTROL_NAMESPACE, view.CONTROL_SECRET))
        try:
            await (self._shut() if secret is None else self._keep(secret))
        except (errors.OperatorError, keys.UnusableError, OSError) as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                _LOG.error("the control plane can't be served", extra={"reason": str(error)})
        else:
            self._complaint = ""

    async def close(self) -> None:
        """Stop serving."""
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()

    async def _shut(self) -> None:
        await self.close()
        shutil.rmtree(self._place.control_keys, ignore_errors=True)

    async def _keep(self, secret: ports.Manifest) -> None:
        if time.monotonic() - self._looked < _FOLLOW_SECONDS:
            return
        self._looked = time.monotonic()
        volumes.write_entries(self._place.control_keys, volumes.secret_entries(secret))
        if self._listener is None:
            await self._start()
        elif self._keys is not None:
            self._keys.refresh()

    async def _start(self) -> None:
        ring = keys.Ring()
        self._keys = keys.Folder(self._place.control_keys, ring)
        template = settings.keyed(view.CONTROL_SECRET)
        terms = indexes.Terms(view.CONTROL_NAMESPACE, template, MOST)
        served = indexes.Indexes(cluster.LocalCluster(self._objects), terms, self._endpoint)
        application = app.App(served, ring, audit.Level.CHANGES)
        self._listener = await listening.listen(application, self._host, names.HTTP_PORT)
        _LOG.info("the control plane starts", extra={"url": self._listener.url})

    def _endpoint(self, manifest: ports.Manifest) -> str:
        return view.endpoint(manifest, self._objects.of_kind(ports.POD))

"""The calls of the control plane, on VectorIndexes of one namespace."""

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from .. import errors, ports
from . import answers, mapping, refusals, wire

_ATTEMPTS = 5

Host = Callable[[ports.Manifest], str]
"""Returns the URL of an index for those who use this API; empty where it has none yet."""


@dataclasses.dataclass(frozen=True)
class Terms:
    """What holds for every index that is made.

    Attributes:
        namespace: that indexes are in.
        template: a spec that each starts from.
        most: how many there may be in the namespace, however they were made.
    """

    namespace: str
    template: Mapping[str, Any]
    most: int


class Indexes:
    """The indexes of a namespace, in Pinecone's words; every call may raise `refusals.Refused`.

    Args:
        catalog: where VectorIndexes are.
        terms: what holds for them.
        host: tells where each is.
    """

    def __init__(self, catalog: ports.Catalog, terms: Terms, host: Host) -> None:
        self._catalog, self._terms, self._host = catalog, terms, host
        self._making = asyncio.Lock()

    async def list(self) -> answers.Indexes:
        """Return every index, by name."""
        return answers.Indexes(indexes=tuple(self._described(one) for one in await self._all()))

    async def describe(self, name: str) -> answers.Index:
        """Return one index."""
        return self._described(await self._find(name))

    async def create(self, asked: wire.Create) -> answers.Index:
        """Make an index, and return it as it stands: it is not ready yet."""
        manifest = mapping.build_index(asked, self._terms.namespace, self._terms.template)
        async with self._making:
            there = len(await self._all())
            if there >= self._terms.most:
                raise refusals.forbidden(
                    f"there are {there} indexes, and there may be {self._terms.most}: delete one, or have "
                    "the limit of this API raised"
                )
            try:
                return self._described(await self._catalog.create(manifest))
            except errors.Taken:
                raise refusals.taken(asked.name) from None

    async def configure(self, name: str, asked: wire.Configure) -> answers.Index:
        """Change an index, and return it."""
        for _ in range(_ATTEMPTS):
            changed = mapping.change_index(await self._find(name), asked)
            try:
                return self._described(await self._catalog.replace(changed))
            except errors.Changed:
                continue
        raise refusals.unavailable(f"the index {name!r} is being changed by others: try again")

    async def delete(self, name: str) -> None:
        """Delete an index; it is gone a little later."""
        found = await self._find(name)
        mapping.check_deletable(found)
        await self._catalog.delete(found)

    async def _all(self) -> tuple[ports.Manifest, ...]:
        return await self._catalog.list(ports.VECTOR_INDEX, self._terms.namespace, {})

    async def _find(self, name: str) -> ports.Manifest:
        """Return a VectorIndex; what is no name at all reaches no URL."""
        if not mapping.NAME.fullmatch(name):
            raise refusals.not_found(name)
        found = await self._catalog.get(ports.VECTOR_INDEX, self._terms.namespace, name)
        if found is None:
            raise refusals.not_found(name)
        return found

    def _described(self, manifest: ports.Manifest) -> answers.Index:
        return mapping.describe(manifest, self._host(manifest))

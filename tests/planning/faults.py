"""A cluster that notes what is asked of it, and one that refuses."""

import dataclasses


@dataclasses.dataclass
class Recording:
    """A cluster that notes which of its methods are called."""

    inner: object
    calls: list = dataclasses.field(default_factory=list)

    def __getattr__(self, name):
        self.calls.append(name)
        return getattr(self.inner, name)


@dataclasses.dataclass
class Failing:
    """A cluster that fails to apply objects of one kind."""

    inner: object
    error: Exception
    kind: str

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def apply(self, manifest):
        if manifest["kind"] == self.kind:
            raise self.error
        return await self.inner.apply(manifest)

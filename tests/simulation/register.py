"""The configuration service: one object that changes by compare-and-swap, answers late, and may be away."""

import dataclasses

from vectorfleet_shardnode.replication import messages


@dataclasses.dataclass(frozen=True)
class Status:
    """A VectorShard's status; `version` changes with every write, of others too."""

    version: int = 0
    reserved: int = 0
    configuration: messages.Configuration | None = None


class Register:
    """Keeps the status; called by operators over the network as "api"."""

    def __init__(self, rng):
        self._rng = rng
        self.conflicts = 0.0  # how often somebody else wrote meanwhile
        self.status = Status()
        self.changes = 0  # of the configuration

    def read(self, answer):
        """Answer the status."""
        answer(self.status)

    def swap(self, seen, wanted, answer):
        """Replace the status that was `seen`; answers whether it was still there."""
        if self._rng.random() < self.conflicts:
            self.status = dataclasses.replace(self.status, version=self.status.version + 1)
        done = seen.version == self.status.version
        if done:
            self.changes += wanted.configuration is not self.status.configuration
            self.status = dataclasses.replace(wanted, version=self.status.version + 1)
        answer(self.status if done else False)

"""Who may write here now, and what became of a write: the shard's service asks before and after each one."""

import asyncio

from .. import errors, states
from . import driver

MOST_WAITING_BYTES = 64 << 20
"""Of writes that wait for a quorum; more are refused, so that memory is bounded while one is missing."""
QUORUM_SECONDS = 3.0
"""For how long nothing of a write quorum may be heard before writes are refused at once."""
OUTCOME_SECONDS = 10.0
"""How long a write waits for its quorum before its sender is told that the outcome is unknown."""


class PrimaryGate:
    """The gate of one of several replicas, see `gate.Gate`."""

    def __init__(self, driven: driver.Driver) -> None:
        self._driver = driven
        self._waiting = 0

    def admit(self, epoch: int, size: int) -> None:
        """Let a write through; `epoch` is what its sender believes in, 0 where it does not know.

        Raises:
            NotPrimaryError: another replica orders writes, or none does now.
            QuorumLostError: a quorum is missing, or too much waits for it; nothing was written.
        """
        core = self._driver.core
        if not self._driver.open:
            raise self.not_primary()
        if epoch not in (0, core.promised):
            raise errors.NotHereError(f"this shard is in epoch {core.promised}, not {epoch}")
        if self._driver.sending.quorum_silence() > QUORUM_SECONDS:
            raise errors.QuorumLostError(self.missing())
        if self._waiting + size > MOST_WAITING_BYTES:
            raise errors.QuorumLostError(
                f"{self._waiting} bytes of writes wait for a quorum already; try again later"
            )

    def missing(self) -> str:
        """Return why nothing can be acknowledged."""
        known = self._driver.core.configuration
        wanted, members = (known.write_quorum, len(known.members)) if known else (0, 0)
        return (
            f"quorum lost: writes need {wanted} of {members} replicas and too few take them; reads go on and "
            "may be stale"
        )

    def not_primary(self) -> errors.NotPrimaryError:
        """Return the refusal, with where to go instead."""
        core = self._driver.core
        known = core.configuration
        if known is None:
            return errors.NotPrimaryError("this replica belongs to no configuration yet")
        address = next((one.address for one in known.members if one.name == known.primary), "")
        if known.leads(core.me):
            return errors.NotPrimaryError("this replica was primary and is being relieved", known.epoch)
        return errors.NotPrimaryError(
            f"{known.primary} is the primary in epoch {known.epoch}, not this replica", known.epoch, address
        )

    async def outcome(self, done: states.Done, size: int) -> states.Written:
        """Wait until a write is acknowledged.

        Raises:
            UnknownOutcomeError: it may or may not happen yet.
        """
        self._waiting += size
        try:
            async with asyncio.timeout(OUTCOME_SECONDS):
                return await asyncio.shield(asyncio.wrap_future(done))
        except TimeoutError:
            raise errors.UnknownOutcomeError(
                "no quorum holds the write yet, and it may still come to be: send it again with its write id"
            ) from None
        finally:
            self._waiting -= size

    async def barrier(self) -> int:
        """Return a seq such that a state that holds it holds all that was acknowledged before now.

        Raises:
            NotPrimaryError: only the primary can know.
            QuorumLostError: none confirms it in time.
        """
        if not self._driver.open:
            raise self.not_primary()
        try:
            async with asyncio.timeout(QUORUM_SECONDS):
                reply = await self._driver.ask(self._driver.core.strong_read)
        except TimeoutError:
            raise errors.QuorumLostError(self.missing()) from None
        if reply.seq is None:
            raise self.not_primary()
        return int(reply.seq)

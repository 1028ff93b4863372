"""What a pass may do, as values, and what it may not."""

import dataclasses

from .. import ports


@dataclasses.dataclass(frozen=True)
class Apply:
    """Make an object be as `manifest` says."""

    manifest: ports.Manifest
    why: str


@dataclasses.dataclass(frozen=True)
class Delete:
    """Delete an object of ours that is not wanted any more, or not as it is."""

    manifest: ports.Manifest
    why: str
    orphan: bool = False
    """Whether what belongs to it stays."""


@dataclasses.dataclass(frozen=True)
class Grow:
    """Make a volume claim ask for more; the cluster may refuse it, which holds up nothing else."""

    manifest: ports.Manifest
    why: str


Action = Apply | Delete | Grow


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why something is not done. It ends up in the index's conditions."""

    reason: str
    """One word, for programs."""
    message: str
    """A sentence, for people."""
    stalls: bool = False
    """Whether only a person can mend it; else it mends itself as other things proceed."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The actions of one pass, in order, and what was refused."""

    actions: tuple[Action, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def stall(self) -> Refusal | None:
        """The first refusal that only a person can mend."""
        return next((refusal for refusal in self.refusals if refusal.stalls), None)

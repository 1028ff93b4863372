"""Named places at which a test ends this process with SIGKILL: around each fsync, rename, swap and cut.

Armed by VECTORFLEET_FAILPOINT=<name>:<pass>, which tests alone set: the process kills itself when it comes
by that name for the n-th time. Rule: without the variable, which is always so elsewhere, nothing happens.
"""

import dataclasses
import itertools
import os
import signal

VARIABLE = "VECTORFLEET_FAILPOINT"

_OF_A_FILE = ("written", "synced", "renamed", "durable")
REGISTERED = (
    *(
        f"{what}.{moment}"
        for what in (
            *("identity", "log-file", "manifest", "tombstones", "write-ids", "descriptor", "replica"),
            *("install", "rebuild"),
        )
        for moment in _OF_A_FILE
    ),
    "setup.synced",
    "recovery.before-cut",
    "recovery.cut",
    "recovery.synced",
    "start.before-clean",
    "start.cleaned",
    "log.appended",
    "commit.before-fsync",
    "commit.synced",
    "commit.noted",
    "commit.marked",
    "rotate.before-fsync",
    "rotate.synced",
    "rotate.noted",
    "rotate.note-synced",
    "cut.begun",
    "cut.high-water-lowered",
    "cut.deleted",
    "cut.deletions-synced",
    "cut.truncated",
    "cut.truncation-synced",
    "cut.marked",
    "cut.done",
    "install.moved",
    "install.ids-moved",
    "install.log-deleted",
    "install.log-made",
    "install.done",
    "rebuild.kept",
    "rebuild.folder-deleted",
    "rebuild.file-deleted",
    "rebuild.log-made",
    "rebuild.done",
    "segment-file.written",
    "segment-file.synced",
    "adopt.before-fsync",
    "adopt.synced",
    "adopt.renamed",
    "adopt.durable",
    "swap.installed",
    "trim.before-delete",
    "trim.deleted",
    "swap.trimmed",
    "clean.before-segment",
    "clean.before-tombstones",
    "write-ids.before-clean",
    "swap.cleaned",
)
"""Every name there is, roughly in the order in which a shard's life comes by."""


@dataclasses.dataclass
class _Armed:
    name: str
    passes: "itertools.count[int]"

    def pass_by(self, name: str) -> None:
        if name not in REGISTERED:
            raise ValueError(f'failpoint "{name}" is not registered')
        if name == self.name and next(self.passes) == 0:
            os.kill(os.getpid(), signal.SIGKILL)


_armed: _Armed | None = None


def arm(chosen: str) -> None:
    """Choose where to end, as the variable says it; empty for nowhere.

    Raises:
        ValueError: it is not the name of a failpoint and a pass, which count from 1.
    """
    global _armed  # noqa: PLW0603 (there is one process to end)
    name, _, number = chosen.partition(":")
    if chosen and (name not in REGISTERED or not number.isdecimal() or number == "0"):
        raise ValueError(f'{VARIABLE} is "{chosen}"; it must be <name>:<pass>, see failpoints.REGISTERED')
    _armed = _Armed(name, itertools.count(1 - int(number))) if chosen else None


def reached(name: str) -> None:
    """Come by a failpoint; where it is the armed one, for the chosen time, this does not return."""
    if _armed is not None:
        _armed.pass_by(name)


arm(os.environ.get(VARIABLE, ""))

"""Gives up a replica's data: its folder becomes that of another disk, which holds nothing yet.

```
rebuild.json   from here on the data is given up, and a start goes on with it
```
What was promised stays promised, though nobody counts the new disk before it was filled and elected: the old
one, which the configuration names, answers never again. Its segments are set aside, so that those which the
primary has too need not be sent again; see `copies.reusing`. Rule: rebuild.json is durable before anything
goes, and itself the last that goes; every step between can be done again.
"""

import os
import secrets
import shutil
from pathlib import Path

import pydantic

from . import checked_json, errors, failpoints, files, identity, replica_state, shard
from .copies import checkpoints, incoming, reusing
from .limits import attempts
from .log import log_files
from .segments import manifest
from .upkeep import merging

FILE_NAME = "rebuild.json"
VERSION = 1
_FOLDERS = (
    *(shard.LOG, manifest.SEGMENTS, merging.BUILD, checkpoints.FOLDER),
    *(incoming.FOLDER, incoming.ADOPTING),
)
_FILES = (manifest.FILE_NAME, incoming.INSTALL, attempts.FILE_NAME, f"{manifest.WRITE_IDS}*")


class _Decision(pydantic.BaseModel):
    """The file's content: the disk that is given up, and what the new one begins with."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    version: int = VERSION
    uid: str
    replica: replica_state.ReplicaState


def decide(folder: Path, state: replica_state.ReplicaState) -> str:
    """Decide that a folder's data is given up; returns the identity of the disk that it becomes.

    Whoever serves it must answer nothing any more; `storage.open_shard` does the rest.

    Raises:
        OSError: the disk is full or failing; it is decided or not, as the next start finds.
    """
    begun = replica_state.ReplicaState(
        uid=secrets.token_hex(16), promised=state.promised, configuration=state.configuration
    )
    decision = _Decision(uid=state.uid, replica=begun)
    checked_json.write(folder / FILE_NAME, "rebuild", decision.model_dump(mode="json"))
    return begun.uid


def disk_of(folder: Path) -> str:
    """Return the identity of a folder whose data is damaged, empty where not even that can be read."""
    try:
        return identity.read(folder).uid
    except (errors.DataLossError, OSError):
        return ""


def give_up(folder: Path, disk: str, epoch: int) -> str:
    """Decide that the data of a folder that nobody can serve is given up; returns the disk that it becomes.

    Whoever says so knows that nothing is lost by it: what is left here is no copy any more. Where
    replica.json is damaged too, the new disk has promised nothing, as one on an empty volume.

    Args:
        folder: the shard's.
        disk: the identity that is meant.
        epoch: of the configuration that the caller knows.

    Raises:
        NotHereError: another disk is meant, a newer configuration is known here, the disk leads in that of
            the caller or is all that it needs, or another process has the folder.
        DataLossError: the folder does not tell whose it is.
        OSError: as `decide`.
    """
    held = identity.lock(folder)
    try:
        if identity.read(folder).uid != disk:
            raise errors.NotHereError("the call is for another disk than this replica has now")
        state = _state_of(folder, disk)
        if refusal := keeps_damaged(state, epoch):
            raise errors.NotHereError(f"nothing is given up: {refusal}")
        return decide(folder, state)
    finally:
        os.close(held)


def _state_of(folder: Path, disk: str) -> replica_state.ReplicaState:
    try:
        return replica_state.read(folder, disk)
    except errors.DataLossError:
        return replica_state.ReplicaState(uid=disk)


def keeps_damaged(state: replica_state.ReplicaState, epoch: int) -> str:
    """Return why damaged data must stay, empty where it may go.

    It may have promised a later epoch: whoever asked for that counts on it no more, since it answers nobody.
    """
    known = state.configuration
    if known is None or known.epoch < epoch:
        return ""
    if known.epoch > epoch:
        return f"a configuration of epoch {known.epoch} is known here, newer than {epoch}"
    mine = next((one for one in known.members if one.disk == state.uid), None)
    if mine is not None and known.primary == mine.name:
        return "it is the primary's; let another one lead first"
    if mine is not None and known.write_quorum == 1:
        return "no other member need hold what this one held"
    return ""


def is_decided(folder: Path) -> bool:
    """Tell whether the folder's data is given up."""
    return (folder / FILE_NAME).exists()


def finish(folder: Path, found: identity.Stored) -> identity.Stored:
    """Make the folder that of the new disk, from wherever this was cut short; returns its identity.

    Args:
        folder: the shard's.
        found: the identity that it has now: the old one, or the new one already.

    Raises:
        DataLossError: rebuild.json is damaged, or another folder's.
        OSError: the disk is full or failing; a later call goes on.
    """
    decision = _read(folder / FILE_NAME)
    if found.uid not in (decision.uid, decision.replica.uid):
        raise errors.DataLossError(
            f"{folder / FILE_NAME} is of another folder: it names uid {decision.uid}, "
            f"{identity.FILE_NAME} names {found.uid}"
        )
    reusing.keep(folder, decision.uid)
    failpoints.reached("rebuild.kept")
    for name in _FOLDERS:
        if (folder / name).exists():
            shutil.rmtree(folder / name)
        failpoints.reached("rebuild.folder-deleted")
    for pattern in _FILES:
        for path in folder.glob(pattern):
            path.unlink()
            failpoints.reached("rebuild.file-deleted")
    files.fsync_path(folder)
    replica_state.write(folder, decision.replica)
    renewed = found.model_copy(update={"uid": decision.replica.uid})
    identity.write(folder, renewed)
    for name in (shard.LOG, manifest.SEGMENTS, merging.BUILD):
        (folder / name).mkdir(exist_ok=True)
    log_files.create(folder / shard.LOG, 1, renewed.owner)
    files.fsync_path(folder)
    failpoints.reached("rebuild.log-made")
    (folder / FILE_NAME).unlink()
    files.fsync_path(folder)
    failpoints.reached("rebuild.done")
    return renewed


def _read(path: Path) -> _Decision:
    body = checked_json.read(path, "rebuild", VERSION)
    try:
        return _Decision.model_validate(body)
    except pydantic.ValidationError as broken:
        raise errors.UnknownFormatError(f"{path} can't be understood: {broken}") from broken

"""What a replica has promised, and the configuration it knows: `replica.json`, durable before any answer.

```
promised        no record of an epoch below is taken, and none of its primaries is acknowledged
configuration   the newest that is known to be committed; null where none is
cut_after       the log is being cut behind this seq, and a start goes on with it; null where it isn't
```
A folder that was set up and has no such file belongs to a new replica: it has promised nothing.
"""

import threading
from pathlib import Path

import pydantic

from . import checked_json, errors, files

VERSION = 1
FILE_NAME = "replica.json"


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Member(_Model):
    """A disk that holds the shard: the replica's name, the uid in its folder's identity.json, host:port."""

    name: str
    disk: str
    address: str


class Configuration(_Model):
    """Who holds the shard, who orders its writes, and how many hold a record before it is acknowledged."""

    epoch: int
    primary: str
    members: tuple[Member, ...]
    write_quorum: int


class ReplicaState(_Model):
    """The file's content; `uid` is the folder's."""

    version: int = VERSION
    uid: str = ""
    promised: int = 0
    configuration: Configuration | None = None
    cut_after: int | None = None


class Replica:
    """The state of one folder, kept in step with its file. For any thread.

    Args:
        folder: the shard's.
        uid: of the folder.

    Raises:
        DataLossError: the file is damaged, of a newer version, or another folder's.
    """

    def __init__(self, folder: Path, uid: str) -> None:
        self._folder = folder
        self._changing = threading.Lock()
        self._state = read(folder, uid)
        self._unsure = False  # whether a power cut may bring back what the file held before

    @property
    def state(self) -> ReplicaState:
        """What the file says."""
        return self._state

    @property
    def disk(self) -> str:
        """The identity of this disk: as a member of a configuration it is named so."""
        return self._state.uid

    @property
    def promised(self) -> int:
        """The epoch below which nothing is taken."""
        return self._state.promised

    @property
    def configuration(self) -> Configuration | None:
        """The newest configuration that is known to be committed."""
        return self._state.configuration

    def promise(self, epoch: int) -> int:
        """Take nothing of an epoch below this one any more; durable when it returns what is promised now.

        An epoch that is not greater than what was promised changes nothing: compare the answer.

        Raises:
            OSError: the disk is full or failing. It may be promised or not, so nothing may be answered; a
                later call makes sure.
        """
        with self._changing:
            if epoch > self._state.promised or self._unsure:
                self._change(promised=max(epoch, self._state.promised))
            return self._state.promised

    def learn(self, configuration: Configuration) -> bool:
        """Remember a configuration that was committed; False where a newer one, or this, is known already.

        Who knows a configuration has promised its epoch by that.

        Raises:
            OSError: as `promise`.
        """
        with self._changing:
            known = self._state.configuration
            if known is not None and known.epoch >= configuration.epoch:
                return False
            promised = max(self._state.promised, configuration.epoch)
            self._change(configuration=configuration, promised=promised)
            return True

    def store(self, promised: int, configuration: Configuration | None) -> None:
        """Make both durable, as they were decided.

        Raises:
            ShardError: something that was promised would be taken back: a mistake.
            OSError: as `promise`.
        """
        with self._changing:
            known = self._state.configuration
            if promised < self._state.promised or (known and not configuration):
                raise errors.ShardError(f"{self._state.promised} is promised; {promised} would take it back")
            self._change(promised=promised, configuration=configuration)

    def begin_cut(self, seq: int) -> None:
        """Note that the log is being cut behind a seq, before anything of it goes."""
        with self._changing:
            self._change(cut_after=seq)

    def end_cut(self) -> None:
        """Note that the cut is done."""
        with self._changing:
            if self._state.cut_after is not None:
                self._change(cut_after=None)

    def _change(self, **fields: object) -> None:
        changed = self._state.model_copy(update=fields)
        try:
            write(self._folder, changed)
        except files.UnsureError:
            self._state, self._unsure = changed, True
            raise
        self._state, self._unsure = changed, False


def write(folder: Path, state: ReplicaState) -> None:
    """Replace the file, durable when this returns.

    Raises:
        UnsureError: it has the new content, but a power cut may bring the old one back.
        OSError: the disk is full or failing; the file is what it was before.
    """
    checked_json.write(folder / FILE_NAME, "replica", state.model_dump(mode="json"))


def read(folder: Path, uid: str) -> ReplicaState:
    """Read the file of the folder `uid`; what a new replica begins with where there is none.

    Raises:
        DataLossError: it is damaged, of a newer version, or another folder's.
    """
    path = folder / FILE_NAME
    body = checked_json.read(path, "replica", VERSION)
    if body is None:
        return ReplicaState(uid=uid)
    try:
        found = ReplicaState.model_validate(body)
    except pydantic.ValidationError as broken:
        raise errors.UnknownFormatError(f"{path} can't be understood: {broken}") from broken
    if found.uid != uid:
        raise errors.DataLossError(
            f"{path} is of another folder: it names uid {found.uid}, identity.json names {uid}"
        )
    return found

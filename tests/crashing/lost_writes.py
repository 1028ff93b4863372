"""Plays a power cut: from the journal of what a process did to a folder, the folder as a disk may hold it.

What an fsync covered is there. Of the rest, any part may be: nothing, all, the beginning, or whatever the
draw says; a write may be torn, a hole reads as zeros, a new name may be missing, a rename or a deletion
undone. A name is durable once its folder was fsynced; fsync of the file alone says nothing of its name. A
rename between two folders happens whole or not at all, as journaling file systems have it, and is durable
with either of them.
"""

import collections
import dataclasses
import itertools
import struct
from pathlib import Path

from crashing import preloaded

_ENTRY = struct.Struct("<IIQQII")
_SECTOR = 512
HOW_MUCH = ("nothing", "everything", "a beginning", "anything")


def compile_journal(folder):
    """Compile what is preloaded; see `preloaded.compiled`."""
    return preloaded.compiled(Path(__file__).with_name("journal.c"), folder)


def environment(library, root, journal, control):
    """Return the variables with which a process writes its journal."""
    return {
        "LD_PRELOAD": str(library),
        "JOURNAL_ROOT": str(root),
        "JOURNAL_FILE": str(journal),
        "JOURNAL_EIO": str(control),
    }


@dataclasses.dataclass(frozen=True)
class Entry:
    """One thing that was done; `end` is the journal's size behind it."""

    kind: str
    thread: int
    inode: int
    offset: int
    name: str
    data: bytes
    end: int


def read(journal):
    """Return a journal's entries; one that was cut off at the end did not happen."""
    content, at, found = journal.read_bytes(), 0, []
    while at + _ENTRY.size <= len(content):
        length, thread, inode, offset, kind, named = _ENTRY.unpack_from(content, at)
        if at + length > len(content):
            break
        start = at + _ENTRY.size
        name = content[start : start + named].decode()
        at += length
        found.append(Entry(chr(kind), thread, inode, offset, name, content[start + named : at], at))
    return found


@dataclasses.dataclass
class _Step:
    """A change, of one thing or, in a rename, of two; `number` orders all of them.

    A folder's change maps names to things, or to None where the name goes; a file's is a `_Write`.
    """

    number: int
    changes: dict  # by the thing's id
    durable: bool = False


@dataclasses.dataclass(frozen=True)
class _Write:
    """Bytes at an offset; `cuts` where the file ends there."""

    offset: int
    data: bytes
    cuts: bool


class _Thing:
    """A file or a folder: what is durable, what the process sees, and the steps between, oldest first."""

    def __init__(self, content):
        self.base = content  # bytes of a file, {name: thing} of a folder
        self.now = content
        self.steps = []

    @property
    def is_folder(self):
        """Whether it has entries."""
        return isinstance(self.base, dict)

    def settle(self):
        """Move the durable beginning of the steps to the base."""
        while self.steps and self.steps[0].durable:
            self.base = _applied(self.base, self.steps.pop(0).changes[id(self)])


class Disk:
    """What is on the disk and what is on its way there, after some entries of a journal.

    Args:
        root: the folder as it is before the journal begins; all of it is durable.
    """

    def __init__(self, root):
        self._things = {}  # by inode
        self._numbers = itertools.count()
        self._under_way = {}  # (thread, inode) of an fsync: how many steps were there when it began
        self._root = self._take_in(root)

    def _take_in(self, path):
        if path.is_dir():
            thing = _Thing({child.name: self._take_in(child) for child in path.iterdir()})
        else:
            thing = _Thing(path.read_bytes())
        self._things[path.stat().st_ino] = thing
        return thing

    def play(self, entry):
        """Do what an entry tells of."""
        {
            "C": self._create,
            "D": self._create,
            "W": self._write,
            "T": self._write,
            "R": self._rename,
            "U": self._unlink,
            "f": self._begin_sync,
            "F": self._end_sync,
        }[entry.kind](entry)

    def _create(self, entry):
        thing = self._things[entry.inode] = _Thing({} if entry.kind == "D" else b"")
        self._name(entry.name, thing)

    def _write(self, entry):
        change = _Write(entry.offset, entry.data, cuts=entry.kind == "T")
        self._step([(self._things[entry.inode], change)])

    def _rename(self, entry):
        (source, old), (target, new) = self._place(entry.name), self._place(entry.data.decode())
        thing = source.now[old]
        if source is target:
            self._step([(source, {old: None, new: thing})])
        else:
            self._step([(source, {old: None}), (target, {new: thing})])

    def _unlink(self, entry):
        folder, name = self._place(entry.name)
        self._step([(folder, {name: None})])

    def _name(self, path, thing):
        folder, name = self._place(path)
        self._step([(folder, {name: thing})])

    def _place(self, path):
        *parents, name = path.split("/")
        folder = self._root
        for parent in parents:
            folder = folder.now[parent]
        return folder, name

    def _step(self, changes):
        step = _Step(next(self._numbers), {id(thing): change for thing, change in changes})
        for thing, change in changes:
            thing.steps.append(step)
            thing.now = _applied(thing.now, change)

    def _begin_sync(self, entry):
        thing = self._things[entry.inode]
        self._under_way[entry.thread, entry.inode] = list(thing.steps)

    def _end_sync(self, entry):
        for step in self._under_way.pop((entry.thread, entry.inode)):
            step.durable = True
        self._things[entry.inode].settle()

    def everything(self):
        """Return the files as the process sees them: name to content."""
        return dict(_files(self._root))

    def cut(self, target, how_much, numbers):
        """Write the folder as a power cut now may leave it.

        Args:
            target: a new folder.
            how_much: of what no fsync covered: one of HOW_MUCH.
            numbers: draws which part.
        """
        drawn = _Draw(how_much, numbers, next(self._numbers))
        _store(self._root, target, drawn)


class _Draw:
    """Says which steps that are not durable are there all the same."""

    def __init__(self, how_much, numbers, end):
        self._how_much, self._numbers = how_much, numbers
        self._until = numbers.randrange(end + 1)
        self._kept = collections.defaultdict(lambda: numbers.random() < 0.5)

    def content(self, thing):
        """Return a file's bytes or a folder's entries as they are after the cut."""
        content = thing.base
        kept = [step for step in thing.steps if step.durable or self._is_kept(step)]
        for step in kept:
            change, is_last = step.changes[id(thing)], step is kept[-1]
            if not step.durable and not thing.is_folder and (is_last or self._how_much == "anything"):
                change = self._torn(change)
            content = _applied(content, change)
        return content

    def _is_kept(self, step):
        return {
            "nothing": False,
            "everything": True,
            "a beginning": step.number < self._until,
            "anything": self._kept[step.number],
        }[self._how_much]

    def _torn(self, change):
        """Leave the end of a write away, or some of its sectors."""
        if self._how_much == "everything" or change.cuts or self._numbers.random() < 0.5:
            return change
        if self._how_much == "a beginning":
            return dataclasses.replace(change, data=change.data[: self._numbers.randrange(len(change.data))])
        torn = bytearray(change.data)
        for at in range(0, len(torn), _SECTOR):
            if self._numbers.random() < 0.5:
                torn[at : at + _SECTOR] = bytes(len(torn[at : at + _SECTOR]))
        return dataclasses.replace(change, data=bytes(torn))


def _applied(content, change):
    """Return a file's bytes or a folder's entries after a change."""
    if isinstance(content, dict):
        after = {name: thing for name, thing in content.items() if name not in change}
        return after | {name: thing for name, thing in change.items() if thing is not None}
    end = change.offset + len(change.data)
    behind = b"" if change.cuts else content[end:]
    return content[: change.offset].ljust(change.offset, b"\0") + change.data + behind


def _files(folder, prefix=""):
    for name, thing in folder.now.items():
        if thing.is_folder:
            yield from _files(thing, f"{prefix}{name}/")
        else:
            yield prefix + name, thing.now


def _store(folder, path, drawn):
    path.mkdir()
    for name, thing in drawn.content(folder).items():
        if thing.is_folder:
            _store(thing, path / name, drawn)
        else:
            (path / name).write_bytes(drawn.content(thing))


def moments(entries, count, numbers):
    """Draw numbers of entries behind which the power is cut; half of them right before or after a sync."""
    syncs = [at for at, entry in enumerate(entries) if entry.kind in "fFRU"]
    drawn = [numbers.choice(syncs) - numbers.randrange(2) for _ in range(count // 2)]
    return sorted({*drawn, *(numbers.randrange(len(entries)) for _ in range(count - len(drawn)))})

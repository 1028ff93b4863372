"""What is checked while a schedule runs: the promises of docs/replication.md."""

import bisect
import collections


class BrokenPromiseError(AssertionError):
    """A schedule in which something was promised and not kept."""


class Promises:
    """All that was ever committed or acknowledged anywhere, as an omniscient observer has it."""

    def __init__(self):
        self.log = []  # what was committed, from seq 1 on
        self._values = collections.defaultdict(lambda: ([0], [None]))  # key -> (seqs, values)
        self._done = {}  # write id -> seq
        self._acknowledging = {}  # epoch -> disk
        self.highest = collections.Counter()  # disk -> the seq up to which it knew records to be committed
        self.acknowledged = 0

    def commits(self, disk, first, last):
        """A replica shows the records `first` to `last`: the same as all others at these seqs."""
        for record in disk.between(first, last):
            if record.seq <= len(self.log):
                if self.log[record.seq - 1] != record:
                    known = self.log[record.seq - 1]
                    raise BrokenPromiseError(f"{disk.identity} commits {record}; {known} was committed there")
                continue
            if record.seq != len(self.log) + 1:
                raise BrokenPromiseError(f"{disk.identity} commits {record} before what lies before it")
            self.log.append(record)
            if record.write_id:
                if record.write_id in self._done:
                    raise BrokenPromiseError(f"{record} was done before, at {self._done[record.write_id]}")
                self._done[record.write_id] = record.seq
                seqs, values = self._values[record.key]
                seqs.append(record.seq)
                values.append(record.value)
        self.highest[disk.identity] = max(self.highest[disk.identity], last)

    def cuts(self, disk, after):
        """A replica cuts its log: nothing that it knew to be committed."""
        if after < self.highest[disk.identity]:
            known = self.highest[disk.identity]
            raise BrokenPromiseError(f"{disk.identity} cuts behind {after}, and knew {known} to be committed")

    def installs(self, disk):
        """A replica has a copied snapshot in the place of its log."""
        place = disk.snapshot.place
        if place.seq and (place.seq > len(self.log) or self.log[place.seq - 1].epoch != place.epoch):
            raise BrokenPromiseError(f"{disk.identity} installs {place}, which was never committed")
        if place.seq < self.highest[disk.identity]:
            raise BrokenPromiseError(f"{disk.identity} installs {place}, less than it knew to be committed")
        self.highest[disk.identity] = place.seq

    def opens(self, disk, epoch):
        """A replica begins to acknowledge: the only one of its epoch, with all that was committed before.

        One that resumes may have been succeeded already; it lacks what is of later epochs.
        """
        if self._acknowledging.setdefault(epoch, disk.identity) != disk.identity:
            raise BrokenPromiseError(
                f"{disk.identity} and {self._acknowledging[epoch]} acknowledge in {epoch}"
            )
        until = bisect.bisect_right(self.log, epoch, key=lambda record: record.epoch)
        if disk.between(disk.base.seq + 1, until) != self.log[disk.base.seq : until]:
            raise BrokenPromiseError(f"{disk.identity}, primary of {epoch}, lacks what was committed")

    def acknowledges(self, identity, epoch, seq, write_id):
        """A primary tells a client that its write is done."""
        if self._acknowledging.get(epoch) != identity:
            raise BrokenPromiseError(f"{identity} acknowledges in {epoch}, without being confirmed")
        if seq > len(self.log) or self.log[seq - 1].write_id != write_id:
            raise BrokenPromiseError(f"{identity} acknowledges {write_id} at {seq}, which is not committed")
        self.acknowledged += 1

    def accept(self, disk):
        """A person goes on with what a disk holds: what it does not hold was never committed any more.

        Returns the seq up to which it holds what was.
        """
        log = disk.history()
        known = (record.seq for record in reversed(self.log) if log.epoch_at(record.seq) == record.epoch)
        kept = max(next(known, 0), disk.base.seq)
        for record in self.log[kept:]:
            if record.write_id:
                del self._done[record.write_id]
                seqs, values = self._values[record.key]
                at = bisect.bisect_left(seqs, record.seq)
                del seqs[at], values[at]
        del self.log[kept:]
        return kept

    def value(self, key, seq):
        """Return a key's value after a record."""
        seqs, values = self._values[key]
        return values[bisect.bisect_right(seqs, seq) - 1]

    def shows(self, what, key, seq, value):
        """A reader sees a value in a state: only what is committed is ever shown."""
        if seq > len(self.log) or value != self.value(key, seq):
            raise BrokenPromiseError(
                f"{what} shows {key} = {value} at {seq}; {self.value(key, seq)} was committed"
            )

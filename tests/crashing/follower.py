"""The life of a replica that follows, leads and is cut, in a process: `python follower.py FOLDER SEED`.

Each round appends records of a newer epoch behind what is committed, commits some of them, and cuts the rest;
sometimes it leads for a while. What a primary may count on is said on standard output before the next step:
`promised E`, `held SEQ` of records on the disk, `committed SEQ`. The rows tell which record made them.
"""

import random
import sys
import time
from pathlib import Path

import numpy as np

from vectorfleet_shardnode import operations, rebuilding, records, storage
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.copies import checkpoints, incoming
from vectorfleet_shardnode.log import log_format
from vectorfleet_shardnode.settings import Tuning

INDEX = config.IndexConfig(index="follower", serving=config.Generation(dimensions=2))
TUNING = Tuning(
    growing_rows=12,
    log_file_bytes=300,
    log_retained_bytes=0,
    index_min_rows=1_000,
    settle_seconds=0,
    reserved_bytes=0,
)


def open_folder(folder):
    """Open the shard as one of several replicas."""
    return storage.open_shard(INDEX, 0, folder, TUNING, place=storage.Place(alone=False))


def put(seq, epoch):
    """Return the record of a seq: one row, under one of few ids, that tells epoch and seq."""
    rows = records.Rows([f"r{seq % 9}"], np.array([[epoch, seq]], np.float32), [b""])
    return operations.Upsert("", rows), records.Put("", rows)


def write_id(seq):
    """Return the id of the write whose record has a seq."""
    return seq.to_bytes(16, "little")


def say(what, number):
    """Tell what may be counted on."""
    print(what, number, flush=True)  # noqa: T201 (the test reads it)


class Life:
    """The rounds."""

    def __init__(self, folder, seed):
        self.served = open_folder(folder)
        self.shard, self.numbers = self.served.shard, random.Random(seed)

    def go(self):
        """One round."""
        epoch = max(self.served.replica.promised, self.shard.log.last.epoch) + 1
        self.served.replica.promise(epoch)
        say("promised", epoch)
        if self.numbers.random() < 0.3:
            self.lead(epoch)
        else:
            self.follow(epoch)
        self.served.maintenance.step()

    def follow(self, epoch):
        """Take some records, commit some, and cut the others."""
        first = self.shard.log.last_seq + 1
        for seq in range(first, first + self.numbers.randint(3, 12)):
            op, payload = records.encode(put(seq, epoch)[1])
            entry = log_format.Entry(epoch, seq, op, b"".join(payload), write_id(seq), affected=1)
            self.shard.append_entries([entry])
        self.commit(self.numbers.randint(first - 1, self.shard.log.last_seq))
        self.shard.cut_after(self.shard.committed)

    def lead(self, epoch):
        """Write under an epoch of its own, and leave office with some of it in doubt."""
        self.shard.lead(epoch)
        for _ in range(self.numbers.randint(1, 5)):
            seq = self.shard.log.last_seq + 1
            self.shard.write(put(seq, epoch)[0], write_id(seq))
        self.commit(self.numbers.randint(self.shard.committed, self.shard.log.last_seq))
        self.shard.follow()
        self.shard.cut_after(self.shard.committed)

    def copy_itself(self):
        """Take a checkpoint, receive it, and go on from it, as if it were another replica's."""
        held = checkpoints.Checkpoints(self.shard, self.served.maintenance)
        taken = held.take()
        arriving = incoming.Incoming(self.shard.folder, taken.manifest)
        for wanted in arriving.wanted():
            place, offset = (wanted.segment, wanted.file), wanted.offset
            while offset < wanted.bytes:
                data = held.read(taken.id, place, offset)
                arriving.write(place, offset, data)
                offset += len(data)
        self.served.close()
        arriving.begin_install(self.served.replica.disk)
        self.served = open_folder(self.shard.folder)
        self.shard = self.served.shard

    def begin_anew(self):
        """Give up everything but the promise; what was held before counts no more."""
        say("held", 0)
        say("committed", 0)
        rebuilding.decide(self.shard.folder, self.served.replica.state)
        self.served.close()
        self.served = open_folder(self.shard.folder)
        self.shard = self.served.shard

    def commit(self, seq):
        """Wait for the disk, say what is held, commit, and say so."""
        while self.shard.log.durable_seq < self.shard.log.last_seq:
            time.sleep(0.0005)
        say("held", seq)
        self.shard.commit(seq)
        say("committed", self.shard.snapshot.seq)


def main(folder, seed):
    """Live for some rounds."""
    life = Life(Path(folder), int(seed))
    for number in range(12):
        life.go()
        if number % 3 == 2:
            life.copy_itself()
        if number in (0, 6):
            life.begin_anew()
    life.served.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

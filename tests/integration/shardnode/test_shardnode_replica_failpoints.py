"""SIGKILL at each step of a replica's cut and of its promise: what it said before holds after the restart."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from crashing import follower

from vectorfleet_shardnode import failpoints
from vectorfleet_shardnode.segments import part

PROGRAM = Path(follower.__file__)
AT_REPLICAS = ("replica.", "cut.", "install.", "write-ids.", "rebuild.")
NAMES = [name for name in failpoints.REGISTERED if name.startswith(AT_REPLICAS)]
NAMES += ["log.appended", "commit.synced", "rotate.noted", "manifest.renamed", "trim.deleted"]
EVERY_ROW = part.Fields(values=True, metadata=False)


def live(folder, seed, failpoint=""):
    """Let a replica live; returns its status and the last number of each thing that it said."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), str(seed)],
        env=os.environ
        | {failpoints.VARIABLE: failpoint, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = [line.split() for line in done.stdout.splitlines()]
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, {what: int(number) for what, number in said}


def check(folder, said):
    """Open the folder; what was said holds, and every row is of the record that its seq names."""
    served = follower.open_folder(folder)
    try:
        assert served.replica.promised >= said.get("promised", 0)
        assert served.replica.state.cut_after is None
        assert served.shard.log.last_seq >= said.get("held", 0)
        assert served.shard.log.last.epoch <= served.replica.promised
        served.shard.commit(said.get("committed", 0))
        state = served.shard.snapshot
        assert state.seq >= said.get("committed", 0)
        for view in state.parts:
            rows = view.take(view.live.nonzero()[0], EVERY_ROW)
            for row_id, (epoch, seq) in zip(rows.ids, rows.vectors.tolist(), strict=True):
                assert row_id == f"r{int(seq) % 9}"
                assert seq <= state.seq
                assert served.shard.log.epoch_at(int(seq)) in (None, epoch)
                known = served.shard.log.find_write(follower.write_id(int(seq)))
                assert known in (None, (seq, 1, epoch))
        return served.shard.log.history()
    finally:
        served.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_replica_killed_at_a_failpoint(tmp_path, name):
    """Early and later in its life: promises stand, what was held is there, a second start finds the same."""
    killed = 0
    for seed, nth in enumerate((1, 4)):
        status, said = live(tmp_path, seed, f"{name}:{nth}")
        killed += status == -signal.SIGKILL
        assert check(tmp_path, said) == check(tmp_path, said)
    assert killed
    status, said = live(tmp_path, 9)
    assert status == 0
    check(tmp_path, said)

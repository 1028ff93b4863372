"""What hypothesis's machines over one shard have in common: a folder, maintenance, restarts, crashes."""

import shutil
import tempfile
from pathlib import Path
from unittest import mock

import hypothesis
from fixtures import builders
from hypothesis import stateful
from hypothesis import strategies as st

from vectorfleet_shardnode import files, shown, storage
from vectorfleet_shardnode.secondary import secondary


def settings(examples, steps=25):
    """Return the settings of a machine: the same examples each time, however slow the machine they run on."""
    return hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


class OneShard(stateful.RuleBasedStateMachine):
    """A shard that a machine writes to and asks; whoever begins calls `move_in`.

    Attributes:
        tuning: its bounds, small enough that a few steps flush and merge.
    """

    tuning = None

    def move_in(self, index):
        """Open the shard in a new folder."""
        self.syncing = mock.patch.object(files, "fsync")  # a process that is killed loses no written pages
        self.syncing.start()
        self.root = Path(tempfile.mkdtemp(prefix="shard-model-"))
        self.folder, self.crashes, self.index = self.root / "0", 0, index
        self.open()

    def open(self):
        self.opened = storage.open_shard(self.index, 0, self.folder, self.tuning, builders.Built)
        self.follow()

    @stateful.rule()
    def follow(self):
        """Begin to read the folder as another process would."""
        source = secondary.Source(self.index, 0, self.folder, self.tuning)
        self.secondary = secondary.Secondary(source, shown.Seen(self.opened.shard.share()))

    @stateful.rule()
    def look(self):
        """Let the secondary take over what the shard has sealed and merged."""
        self.secondary.look()

    @property
    def states(self):
        """What readers see: the shard's own, and its secondary's."""
        return self.opened.shard.snapshot, self.secondary.level() or self.secondary.catch_up()

    @property
    def state(self):
        """One of the two, which in turn."""
        self.turn = not getattr(self, "turn", False)
        return self.states[self.turn]

    def teardown(self):
        if hasattr(self, "opened"):
            self.opened.close()
            shutil.rmtree(self.root)
            self.syncing.stop()

    def write(self, operation):
        """Write, with room made first; returns how many rows it concerned."""
        while len(self.opened.shard.snapshot.growing) > 2:
            self.opened.maintenance.step()
        return self.opened.shard.write(operation).result(10).affected

    def maintain(self, steps):
        for _ in range(steps):
            self.opened.maintenance.step()
        if steps % 2:
            self.secondary.look()

    @stateful.rule(steps=st.integers(1, 6))
    def keep(self, steps):
        self.maintain(steps)

    @stateful.rule()
    def restart(self):
        self.opened.close()
        self.open()

    @stateful.rule()
    def crash(self):
        """Go on from a copy of the files as they are, as after a SIGKILL."""
        self.crashes += 1
        copy = self.root / str(self.crashes)
        shutil.copytree(self.folder, copy)
        self.opened.close()
        self.folder = copy
        self.open()

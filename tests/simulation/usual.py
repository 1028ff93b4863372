"""How many schedules it usually takes until a rule that is left out is noticed.

Measured from ten seeds on that lie far apart: `python -m simulation.usual` in the folder `tests` measures
again, and prints what belongs here and into docs/testing.md. The suite looks from the first of them on. A
rule that it does not notice within `most` has become hard to notice: either the product changed so that it
matters less, or the simulator lost what showed it.
"""

import statistics
import sys
from typing import NamedTuple

from simulation import finding, mutants

STARTS = range(0, 1_000_000, 100_000)
_LEAVE = 3
"""Times the worst that was measured. How long a rule takes is drawn anew by each change of the product, which
alters what a seed draws; of ten draws the worst is about three times the mean, and nine times the mean are
exceeded once in eight thousand."""
_LEAST, _UNSURE = 20, 500
"""No rule is held to fewer schedules, nor one to fewer that was measured from less than ten starts."""
_CAP = 5_000


class Usual(NamedTuple):
    """Schedules until it was noticed, from `starts` seeds on."""

    median: int
    worst: int
    starts: int = len(STARTS)

    @property
    def most(self):
        """Return within how many the suite has to notice it."""
        return max(_LEAVE * self.worst, _LEAST if self.starts == len(STARTS) else _UNSURE)


USUAL = {
    "ack_fsync": Usual(48, 153),
    "promise_durable": Usual(84, 481),
    "disk_identity": Usual(1, 1),
    "damage_refused": Usual(1, 4),
    "promise_check": Usual(10, 26),
    "ack_quorum": Usual(2, 10),
    "cut_tail": Usual(4, 5),
    "keep_matching": Usual(2, 8),
    "given_up": Usual(17, 56, 3),
    "prev_check": Usual(8, 21),
    "ack_verified": Usual(5, 8),
    "start_record": Usual(2, 8),
    "learn_commit": Usual(12, 32),
    "late_copy": Usual(15, 80),
    "read_confirm": Usual(51, 136, 6),
    "read_resumed": Usual(12, 61),
    "ship_fsynced": Usual(12, 59),
    "seal_quorum": Usual(24, 82),
    "seal_skipped": Usual(2, 15),
    "winner_by_epoch": Usual(99, 99, 1),
    "winner_least": Usual(12, 88),
    "epoch_reused": Usual(4, 10),
    "hold_first": Usual(18, 140),
    "told_early": Usual(127, 341, 3),
    "cas_reserved": Usual(424, 424, 1),
    "cas_left_out": Usual(62, 395),
    "attempt_left": Usual(1, 6),
}
"""By the rule that is left out."""


def measure(mutation):
    """Return what is usual for a mutation now.

    Raises:
        LookupError: it is not noticed at all from one of the starts on.
    """
    found = [finding.schedules_until_found(mutation, _CAP, first) for first in STARTS]
    if None in found:
        raise LookupError(f"{mutation} is not noticed in {_CAP} schedules")
    return Usual(round(statistics.median(found)), max(found))


if __name__ == "__main__":
    for name in sys.argv[1:] or mutants.DESCRIPTIONS:
        sys.stdout.write(f'    "{name}": Usual{tuple(measure(name))},\n')
        sys.stdout.flush()

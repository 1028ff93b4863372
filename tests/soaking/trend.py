"""Whether what a process holds stays level: the rule by which an hour of samples is judged. PURE.

The first quarter of the time is for warming up: pools fill, caches fill, the log comes to its bound. Then the
medians of the second quarter and of the last are compared. Medians, since merges and copies take memory for
a while and give it back; a quarter each, since a mean of peaks would move with the moment of the last one.
What adds up by more than a share and a slack within half of the time is a leak.
"""

import dataclasses
import statistics

QUARTERS = 4


@dataclasses.dataclass(frozen=True)
class Bound:
    """How much later samples may be above earlier ones."""

    share: float
    """Of the earlier median."""
    slack: float
    """In the unit of the samples, on top: what comes and goes, such as a segment more that is mapped."""

    def allows(self, early, late):
        """Tell whether a rise is within it."""
        return late <= early * (1 + self.share) + self.slack


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How one quantity of one process went."""

    process: str
    quantity: str
    early: float
    late: float
    level: bool

    def __str__(self):
        word = "level" if self.level else "LEAKS"
        return f"{self.process:<28} {self.quantity:<10} {self.early:>9.1f} → {self.late:>9.1f}  {word}"


def judge(process, quantity, samples, bound):
    """Judge samples that were taken at even distances, the first quarter of them while it warmed up.

    Raises:
        ValueError: there are too few to judge by.
    """
    each = len(samples) // QUARTERS
    if each < QUARTERS:
        raise ValueError(f"{len(samples)} samples of {process} are too few; {QUARTERS * QUARTERS} would do")
    early = statistics.median(samples[each : 2 * each])
    late = statistics.median(samples[-each:])
    return Verdict(process, quantity, early, late, bound.allows(early, late))

"""Which effort reaches a recall. Pure."""

import bisect
from collections.abc import Callable, Sequence


def least(efforts: Sequence[int], measure: Callable[[int], float], wanted: float) -> tuple[int, float]:
    """Return the least effort whose recall is at least what is wanted, and that recall.

    Args:
        efforts: ascending; recall is taken to grow with them.
        measure: returns the recall at an effort.
        wanted: the recall to reach; where none does, the greatest effort is returned with what it reached.
    """
    seen: dict[int, float] = {}

    def reached(effort: int) -> bool:
        if effort not in seen:
            seen[effort] = measure(effort)
        return seen[effort] >= wanted

    place = min(bisect.bisect_left(efforts, True, key=reached), len(efforts) - 1)
    chosen = efforts[place]
    reached(chosen)
    return chosen, seen[chosen]


def pause_for(share: float, saturated: float, connections: int, latency: float) -> float:
    """Return the mean pause in milliseconds at which so many callers send a share of the saturating rate.

    Args:
        share: of `saturated`, 0 to 1.
        saturated: answers a second without pauses.
        connections: callers, each with one request under way.
        latency: milliseconds of an answer at that lower rate.
    """
    return max(connections * 1000 / (share * saturated) - latency, 0.0)

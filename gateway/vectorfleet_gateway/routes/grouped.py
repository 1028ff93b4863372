"""A query whose matches are grouped: shards are asked until there are enough groups, and rows in each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vectorfleet_shardnode.api import config, shard_pb2

from .. import call, fusion, grouping, index, questions, routing

AT_ONCE = 20
"""Groups that are asked for alone at the same time: their rows have 80 MB at the very most."""


@dataclass(slots=True)
class Grouped:
    """What was found, and how.

    Attributes:
        groups: best first.
        complete: whether no group is missing that belongs among them, and no row of a group.
        missing: why a shard did not answer, by its number.
        rounds: lists that were asked for.
        candidates: rows in them.
        filled: groups that were asked for alone.
    """

    groups: list[grouping.Group] = field(default_factory=list)
    complete: bool = False
    missing: dict[int, str] = field(default_factory=dict)
    rounds: int = 0
    candidates: int = 0
    filled: int = 0

    @property
    def told(self) -> dict[str, Any]:
        """What a query's explanation has of it."""
        return {"rounds": self.rounds, "candidates": self.candidates, "askedAlone": self.filled}


async def search(
    asked: call.Call, served: index.Index, question: questions.Question, how: grouping.GroupBy
) -> Grouped:
    """Find groups by one list: exactly, as far as the rounds reach."""
    (query,) = question.queries.values()
    found, groups = Grouped(), grouping.Groups(how, question.includes_metadata)
    candidates, ended = grouping.first_candidates(how), False
    while not (ended or groups.enough) and found.rounds < grouping.MAX_ROUNDS:
        wanted = grouping.next_query(query, groups, candidates)
        (one,) = await _ask(asked, served, question, [wanted], found)
        ended = len(one.hits) < candidates
        if not groups.add(map(fusion.Fused, one.hits), last=ended):
            # Rows that are in no group stand in front: look further.
            candidates = min(candidates * 4, grouping.MOST_CANDIDATES)
        found.rounds += 1
        found.candidates += len(one.hits)
    await _fill(asked, served, question, groups, found)
    nearest = served.generation.metric is config.Metric.EUCLIDEAN and not query.text
    found.groups = grouping.order(groups.best, nearest=nearest)
    found.complete = ended or groups.enough
    return found


def of_fused(
    question: questions.Question, lists: Mapping[fusion.Source, routing.Found], how: grouping.GroupBy
) -> Grouped:
    """Group a fused list: of what its lists hold, for a row's fused score is not known without them. Pure."""
    if question.fusion is None:
        raise AssertionError("one list is searched in rounds")
    hits = {source: found.hits for source, found in lists.items()}
    everything = sum(len(one) for one in hits.values())
    whole = all(len(one) < question.fusion.candidates for one in hits.values())
    groups = grouping.Groups(how, question.includes_metadata)
    groups.add(fusion.fuse(hits, question.fusion, everything), last=whole)
    found = Grouped(groups.best, rounds=1, candidates=everything)
    found.missing = {number: why for one in lists.values() for number, why in one.missing.items()}
    found.complete = whole or (groups.enough and all(group.whole for group in found.groups))
    return found


async def _fill(
    asked: call.Call,
    served: index.Index,
    question: questions.Question,
    groups: grouping.Groups,
    found: Grouped,
) -> None:
    (query,) = question.queries.values()
    short = [group for group in groups.best if not group.whole]
    if not short:
        return
    # Some at a time: what they have together is looked at in between.
    for start in range(0, len(short), AT_ONCE):
        portion = short[start : start + AT_ONCE]
        wanted = [grouping.group_query(query, groups.how, group) for group in portion]
        for group, one in zip(portion, await _ask(asked, served, question, wanted, found), strict=True):
            if one.hits:  # its rows may have been deleted since
                groups.fill(group, [fusion.Fused(hit) for hit in one.hits])
    found.filled = len(short)


async def _ask(
    asked: call.Call,
    served: index.Index,
    question: questions.Question,
    queries: Sequence[shard_pb2.Query],
    found: Grouped,
) -> list[routing.Found]:
    answers = await served.search(queries, asked.remaining(), partial=question.partial)
    for answer in answers:
        found.missing |= answer.missing
    return answers

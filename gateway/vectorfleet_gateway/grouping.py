"""Matches in groups by a metadata field: the best groups, and the best rows of each. Pure.

A list of matches, best first, holds whatever is better than its last one. So the first values in it are the
best groups, in order, and a group's first rows in it are its best. Where it has too few values, the next one
leaves out those that are known; where a group has too few rows, it is asked for alone. What is found in this
way is what would be found if every row were ranked, as far as the search itself finds what is near.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from vectorfleet_shardnode.api import config, field_types, instants, shard_pb2

from . import errors, fusion, limits, routing

FIRST_CANDIDATES = 100
MOST_CANDIDATES = 10_000
MAX_ROUNDS = 20
"""Lists that one query may ask for; the answer says where they were not enough."""

Key = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class GroupBy:
    """How to group.

    Attributes:
        field: of the metadata.
        groups: at most.
        rows: at most, of each group.
        kind: the type that the field is declared with; dates are equal as points in time, and what is
            stored of another type is in no group, since no filter finds it.
    """

    field: str
    groups: int
    rows: int
    kind: config.FieldType | None = None


@dataclass(slots=True)
class Group:
    """The rows that have one value.

    Attributes:
        value: as its best row has it.
        matches: best first.
        whole: whether no row is missing that belongs among the first ones.
    """

    value: Any
    matches: list[fusion.Fused]
    whole: bool = False


@dataclass(slots=True)
class Groups:
    """What was found so far, best group first.

    Attributes:
        how: to group.
        keeps_metadata: whether rows are told with it; else it is let go once their groups are known.
        found: by what tells a group from others.
    """

    how: GroupBy
    keeps_metadata: bool = True
    found: dict[Key, Group] = field(default_factory=dict)
    _bytes: int = 0

    def add(self, matches: Iterable[fusion.Fused], *, last: bool) -> int:
        """Take a list, best first, of rows whose groups are not known yet; return how many groups are new.

        Args:
            matches: with their metadata.
            last: whether there are no more rows than these.

        Raises:
            InvalidArgumentError: what is kept of all groups is more than one answer may hold.
        """
        new: dict[Key, Group] = {}
        for match in matches:
            value = _value(match, self.how.field)
            key = _key(value, self.how.kind)
            if key is not None and key not in self.found:
                new.setdefault(key, Group(value, [])).matches.append(match)
        for group in new.values():
            group.whole = last or len(group.matches) >= self.how.rows
            self._keep(group, group.matches[: self.how.rows])
        self.found |= new
        return len(new)

    def fill(self, group: Group, matches: Sequence[fusion.Fused]) -> None:
        """Take the rows of a group that was asked for alone in place of those that it has."""
        self._bytes -= sum(map(_size_of, group.matches))
        self._keep(group, matches)

    def _keep(self, group: Group, matches: Sequence[fusion.Fused]) -> None:
        group.matches = list(matches) if self.keeps_metadata else list(map(_bare, matches))
        self._bytes += sum(map(_size_of, group.matches))
        if self._bytes > limits.MAX_GROUPS_BYTES:
            raise errors.InvalidArgumentError(
                f"the groups' rows have more than {limits.MAX_GROUPS_BYTES / 2**20:g} MiB together; ask for "
                "fewer groups, or fewer rows of each, or leave out values or metadata"
            )

    @property
    def enough(self) -> bool:
        """Whether there are as many groups as were asked for."""
        return len(self.found) >= self.how.groups

    @property
    def best(self) -> list[Group]:
        """The groups to return."""
        return list(self.found.values())[: self.how.groups]


def next_query(query: shard_pb2.Query, groups: Groups, candidates: int) -> shard_pb2.Query:
    """Return the query for rows of groups that are not known yet."""
    operators: dict[str, Any] = {"$exists": True}
    if known := [group.value for group in groups.found.values()]:
        operators["$nin"] = known
    return _narrowed(query, {groups.how.field: operators}, candidates)


def group_query(query: shard_pb2.Query, how: GroupBy, group: Group) -> shard_pb2.Query:
    """Return the query for the best rows of one group."""
    return _narrowed(query, {how.field: {"$eq": group.value}}, how.rows)


def order(groups: Sequence[Group], *, nearest: bool) -> list[Group]:
    """Return groups by their best row; under a distance the smaller one is better."""
    sign = 1 if nearest else -1
    return sorted(groups, key=lambda one: (sign * one.matches[0].hit.score, one.matches[0].hit.row.id))


def first_candidates(how: GroupBy) -> int:
    """Return how many rows are looked at first."""
    return min(max(FIRST_CANDIDATES, how.groups * how.rows), MOST_CANDIDATES)


def _narrowed(query: shard_pb2.Query, condition: dict[str, Any], top_k: int) -> shard_pb2.Query:
    narrowed = shard_pb2.Query()
    narrowed.CopyFrom(query)
    narrowed.top_k = top_k
    narrowed.include_metadata = True
    narrowed.filter = orjson.dumps(_both(orjson.loads(query.filter or b"{}"), condition))
    return narrowed


def _both(wanted: dict[str, Any], condition: dict[str, Any]) -> dict[str, Any]:
    """Join a caller's filter with a condition, side by side: it may be as deep as any is already."""
    if not wanted.keys() & condition.keys():
        return wanted | condition
    joined = wanted.get("$and", [])
    if "$and" in wanted and not (isinstance(joined, list) and joined):
        return wanted  # which is no filter, and is refused in words about it
    return wanted | {"$and": [*joined, condition]}


def _size_of(match: fusion.Fused) -> int:
    """Return the bytes that a row takes, about."""
    row = match.hit.row
    size = len(row.id) + len(row.metadata) + (0 if row.values is None else row.values.nbytes)
    if row.vectors:
        size += sum([one.nbytes for one in row.vectors.values()])
    return size + (0 if row.pairs is None else row.pairs.indices.nbytes + row.pairs.values.nbytes)


def _bare(match: fusion.Fused) -> fusion.Fused:
    """Leave out the metadata that was asked for the groups' sake alone."""
    row = msgspec.structs.replace(match.hit.row, metadata=b"")
    return msgspec.structs.replace(match, hit=routing.Hit(row, match.hit.score))


def _value(match: fusion.Fused, name: str) -> Any:
    metadata = match.hit.row.metadata
    return orjson.loads(metadata).get(name) if metadata else None


def _key(value: Any, kind: config.FieldType | None) -> Key | None:
    """Return what tells a group from others, as filters do: true is not 1, and 1 is 1.0; None is no group."""
    if kind is not None and field_types.miscompared(kind, value):
        return None
    match value:
        case bool():
            return ("boolean", value)
        case int() | float():
            return ("number", value)
        case str() if kind is config.FieldType.DATETIME:
            return ("date", instants.of(value))
        case str() if len(value) <= limits.MAX_GROUP_CHARACTERS:
            return ("string", value)
        case _:
            return None

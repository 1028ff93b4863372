"""The lookout: asks every replica once a second what it is, and remembers how often each was silent.

A look asks for the replica's part in its shard alone, which costs next to nothing. The full reports, for
people, are asked for once in each pass. What it remembers steers when things are tried, never whether they
are safe: it may be lost at any time.
"""

import asyncio
import dataclasses
from collections.abc import Iterable, Mapping

from . import ports, replication
from .plan.replicas import decide, steps, trials, turns
from .plan.replicas import view as view_

PERIOD_SECONDS = 1.0
_FRESH_SECONDS = 0.8
_SAME_SECONDS = 5.0  # what was found and not done meanwhile is not told again at once
_NOBODY: Mapping[str, view_.Heard] = {}


@dataclasses.dataclass(frozen=True)
class Look:
    """What one look saw."""

    views: tuple[view_.ShardView, ...] = ()

    def of_shard(self, number: int) -> view_.ShardView | None:
        """Return the view of one shard, None where it was not looked at."""
        return next((view for view in self.views if view.number == number), None)


@dataclasses.dataclass
class _Watched:
    """What is known of one index."""

    token: str = ""
    views: tuple[view_.ShardView, ...] = ()
    heard: dict[str, view_.Heard] = dataclasses.field(default_factory=dict)
    reports: dict[str, ports.ShardReport] = dataclasses.field(default_factory=dict)
    tried: dict[int, trials.Trials] = dataclasses.field(default_factory=dict)
    restarted: dict[str, trials.Restarts] = dataclasses.field(default_factory=dict)
    told: dict[str, float] = dataclasses.field(default_factory=dict)
    found: dict[int, tuple[steps.Decision | None, float]] = dataclasses.field(default_factory=dict)
    looked: float = float("-inf")
    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)

    def may_report(self, name: str) -> bool:
        """Return whether to ask a replica for more: one of an older version tells no state at all."""
        heard = self.heard.get(name, view_.NEVER)
        unable = heard.inability is not None
        return heard.damage is None and (heard.state is None or heard.present or unable)


class Lookout:
    """Looks after the replicas of all indexes of this operator.

    Args:
        shards: how replicas are asked.
        clock: measures how long ago things were.
    """

    def __init__(self, shards: ports.Shards, clock: ports.Clock) -> None:
        self._shards, self._clock = shards, clock
        self._watched: dict[ports.Key, _Watched] = {}

    def expect(self, key: ports.Key, token: str, views: tuple[view_.ShardView, ...]) -> None:
        """Say what is known of an index's shards, and whom to ask from now on."""
        watched = self._watched.setdefault(key, _Watched())
        watched.token, watched.views = token, views
        names = {name for view in views for name in _addresses(view)}
        for gone in watched.heard.keys() - names:
            del watched.heard[gone]
            watched.reports.pop(gone, None)
            watched.restarted.pop(gone, None)

    async def look(self, key: ports.Key, *, again: bool = False) -> Look:
        """Ask every replica, unless that was done a moment ago, and return what is known now.

        Args:
            key: the index.
            again: ask even so.
        """
        watched = self._watched.setdefault(key, _Watched())
        async with watched.lock:
            if again or self._clock.monotonic() - watched.looked >= _FRESH_SECONDS:
                watched.looked = self._clock.monotonic()
                await self._ask(watched)
        return self._seen(watched)

    async def survey(self, key: ports.Key) -> Mapping[str, ports.ShardReport]:
        """Return the full reports of the replicas that answered lately, by name; asked for now."""
        watched = self._watched.setdefault(key, _Watched())
        places = {name: place for name, place in _places(watched).items() if watched.may_report(name)}
        answers = await asyncio.gather(
            *(self._shards.report(place, watched.token) for place in places.values())
        )
        for name, report in zip(places, answers, strict=True):
            if report is not None:
                watched.reports[name] = report
        return dict(watched.reports)

    async def finds_work(self, key: ports.Key) -> bool:
        """Look, and return whether there is anything to do for a shard."""
        look = await self.look(key)
        admitted = turns.admit(look.views, {view.number: decide.decide(view) for view in look.views})
        watched, now = self._watched[key], self._clock.monotonic()
        found = False
        for number, decision in admitted.items():
            before, when = watched.found.get(number, (None, 0.0))
            pause = PERIOD_SECONDS if isinstance(decision.step, steps.Change) else _SAME_SECONDS
            if decision.acts and (decision != before or now - when >= pause):
                watched.found[number] = (decision, now)
                found = True
        return found

    def note(self, key: ports.Key, number: int, *, success: bool, planned: bool) -> None:
        """Remember that a change was tried."""
        watched = self._watched.setdefault(key, _Watched())
        before = watched.tried.get(number, trials.Trials())
        watched.tried[number] = before.after(self._clock.monotonic(), success=success, planned=planned)

    def note_restart(self, key: ports.Key, name: str) -> None:
        """Remember that a replica was restarted that could not go on."""
        watched = self._watched.setdefault(key, _Watched())
        before = watched.restarted.get(name, trials.Restarts())
        watched.restarted[name] = before.after(self._clock.monotonic())

    def may_tell(self, key: ports.Key, name: str, seconds: float) -> bool:
        """Return whether what only changes by itself may be published again, at most once in `seconds`."""
        watched, now = self._watched.setdefault(key, _Watched()), self._clock.monotonic()
        if now - watched.told.get(name, float("-inf")) < seconds:
            return False
        watched.told[name] = now
        return True

    def forget(self, key: ports.Key) -> None:
        """Drop what is known of an index that is gone."""
        self._watched.pop(key, None)

    async def _ask(self, watched: _Watched) -> None:
        places = _places(watched)
        answers = await asyncio.gather(
            *(self._shards.state(place, watched.token) for place in places.values())
        )
        for name, state in zip(places, answers, strict=True):
            heard = watched.heard.get(name, view_.NEVER).after(state)
            watched.heard[name] = heard
            silent = heard.missed >= view_.PATIENCE and heard.inability is None
            if heard.damage is not None or silent:
                watched.reports.pop(name, None)

    def _seen(self, watched: _Watched) -> Look:
        now = self._clock.monotonic()
        views = tuple(
            dataclasses.replace(
                view,
                heard={name: watched.heard[name] for name in _addresses(view) if name in watched.heard},
                rest_seconds=watched.tried.get(view.number, trials.Trials()).rest(now),
                restart_rests={
                    name: one.rest(now) for name, one in watched.restarted.items() if name in _addresses(view)
                },
            )
            for view in watched.views
        )
        return Look(views)


def _places(watched: _Watched) -> dict[str, str]:
    return {name: address for view in watched.views for name, address in _addresses(view).items()}


def _addresses(view: view_.ShardView) -> dict[str, str]:
    members: Iterable[replication.Member] = view.committed.members if view.committed else ()
    return {one.name: one.address for one in (*members, *view.wanted.replicas) if one.address}

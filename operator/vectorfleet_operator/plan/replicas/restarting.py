"""Pods of an older template: each is restarted while all the others are well, the primary's last.

A pod that does not serve anyway is restarted at once; were it held up too, a broken image could not be cured.
"""

import dataclasses

from ..actions import Refusal
from . import guards, repair, steps
from . import view as view_

Verdict = steps.Step | Refusal | None
_WHY = "its template has changed"


def hand_over(view: view_.ShardView) -> Verdict:
    """Hand over from a primary whose pod is to be restarted, or to the replica that a person names."""
    assert view.committed is not None
    name, chosen = view.committed.primary, view.wanted.primary
    if len(view.committed.members) == 1:
        return None
    stale = [one for one in view.wanted.names if _is_stale(view, one)]
    if stale == [name]:
        verdict = _planned(view, name, f"{name} is to be restarted: {_WHY}")
        if isinstance(verdict, steps.Change):
            return dataclasses.replace(verdict, for_restart=True)
        return verdict
    # Were the post given back before the restart, it would have to be taken away again, for ever.
    if chosen and chosen != name and not stale and view.committed.member(chosen):
        verdict = _planned(view, name, f"the VectorShard names {chosen} as its primary")
        to_chosen = isinstance(verdict, steps.Change) and verdict.prefer[0] == chosen
        return verdict if to_chosen else Refusal("NoSuccessor", f"{chosen} can't lead now")
    return None


def restart(view: view_.ShardView) -> Verdict:
    """Restart the next pod of an older template."""
    stale = [name for name in view.wanted.names if _is_stale(view, name)]
    if (silent := restart_silent(view)) is not None or not stale:
        return silent
    if view.committed is None:
        return None if view.speaks else _restart(view, stale[0])
    primary = view.committed.primary
    # One that is behind first: it may be so because it is old, and the others wait for it.
    name = min(stale, key=lambda one: (one == primary, guards.is_level(view, one)))
    return _turn(view, name) if view.committed.member(name) else _restart(view, name)


def restart_silent(view: view_.ShardView) -> steps.Restart | None:
    """Restart a pod of an older template that neither answers nor is ready."""
    for name in view.wanted.names:
        pod = view.pods.get(name)
        if pod is not None and _is_stale(view, name) and not pod.ready and view.state(name) is None:
            return _restart(view, name, free=True)
    return None


def _turn(view: view_.ShardView, name: str) -> Verdict:
    """Restart a member; a primary only where there is nobody to hand over to."""
    assert view.committed is not None
    behind = [one for one in view.wanted.names if _is_stale(view, one) and _is_behind(view, one)]
    # Of several that can't read what is copied to them, none would ever have all the others well.
    refusal = guards.one_member_at_a_time(view, name, behind if name in behind else ())
    refusal = refusal or guards.quorum_survives(view, name)
    if refusal is None and name == view.committed.primary and len(view.committed.members) > 1:
        return None
    return refusal or _restart(view, name)


def _planned(view: view_.ShardView, name: str, why: str) -> Verdict:
    refusal = guards.primary_serves(view) or guards.one_member_at_a_time(view, name)
    return refusal or repair.hand_over(view, why)


def _is_stale(view: view_.ShardView, name: str) -> bool:
    pod = view.pods.get(name)
    return pod is not None and pod.stale and not pod.terminating


def _is_behind(view: view_.ShardView, name: str) -> bool:
    return view.state(name) is not None and not guards.is_level(view, name)


def _restart(view: view_.ShardView, name: str, *, free: bool = False) -> steps.Restart:
    return steps.Restart(name, view.pods[name].uid, _WHY, free)

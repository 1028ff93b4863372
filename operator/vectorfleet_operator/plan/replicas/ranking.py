"""Who should lead, where there is a choice."""

from collections.abc import Iterable

from ... import replication
from . import view as view_


def rank(view: view_.ShardView, names: Iterable[str]) -> tuple[str, ...]:
    """Return the replicas that could lead, the best first; without those that stop or do not answer."""
    return tuple(
        sorted((name for name in names if _may_lead(view, name)), key=lambda name: _cost(view, name))
    )


def _may_lead(view: view_.ShardView, name: str) -> bool:
    state, pod = view.state(name), view.pods.get(name)
    stops = state is None or state.leaving or (pod is not None and pod.terminating)
    return name in view.wanted.names and not stops and name not in view.lost_claims


def _cost(view: view_.ShardView, name: str) -> tuple[bool, bool, bool, int, int]:
    state, pod = view.state(name), view.pods.get(name)
    assert state is not None
    incumbent = view.committed.primary if view.committed else ""
    ahead = state.last.seq if state.role is not replication.Role.NEW else 0
    return (
        bool(state.no_room),
        name != (view.wanted.primary or incumbent),
        pod is not None and pod.stale,
        -ahead,
        view.wanted.names.index(name),
    )

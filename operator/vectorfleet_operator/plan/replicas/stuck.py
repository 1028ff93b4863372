"""Replicas that take part in nothing until a restart: each is restarted.

Such a one has met what it can't go on from: its disk refused its log or its promise, or the program failed.
It says so, answers reads, and whoever counts on it waits. What it has promised and holds is on its disk, so
that a restart costs no more than the reads that it answers. Where one does not help, the next is put off.
"""

from collections.abc import Iterator

from ..actions import Refusal
from . import guards, steps
from . import view as view_


def restart(view: view_.ShardView) -> steps.Restart | Refusal | None:
    """Restart the next replica that needs it, where that may be."""
    verdicts = [_judge(view, name) for name in _stuck(view)]
    return next((one for one in verdicts if isinstance(one, steps.Restart)), next(iter(verdicts), None))


def _stuck(view: view_.ShardView) -> Iterator[str]:
    """Yield the replicas that say so of themselves, members or not, and whose pods are not ending already."""
    members = view.committed.names if view.committed else ()
    for name in dict.fromkeys((*members, *view.wanted.names)):
        state, pod = view.state(name), view.pods.get(name)
        if state is not None and state.needs_restart and pod is not None and not pod.terminating:
            yield name


def _judge(view: view_.ShardView, name: str) -> steps.Restart | Refusal:
    state = view.state(name)
    assert state is not None
    refusal = guards.reads_go_on(view, name) or guards.restart_is_due(view, name)
    return refusal or steps.Restart(name, view.pods[name].uid, state.problem, free=True, unplanned=True)

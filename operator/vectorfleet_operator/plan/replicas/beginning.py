"""A shard without a configuration: it begins where no replica ever had one, and is found again otherwise.

Nothing was ever acknowledged where no configuration was told to a replica; still every replica has to answer,
and the most advanced log wins. Where replicas know configurations, the VectorShard has lost its own: it takes
the newest back, if it is sure that it is the newest.
"""

from ... import replication
from ..actions import Refusal
from . import ranking, steps
from . import view as view_


def begin(view: view_.ShardView) -> steps.Step | Refusal:
    """Return the shard's first configuration, or the one that its replicas know."""
    silent = [name for name in view.wanted.names if view.state(name) is None]
    states = [state for name in view.wanted.names if (state := view.state(name)) is not None]
    known = [state.configuration for state in states if state.configuration is not None]
    if known:
        return _adopt(states, known, silent)
    if silent:
        return Refusal("Starting", f"waiting for {', '.join(silent)} to answer")
    if view.lost_claims:
        names = ", ".join(sorted(view.lost_claims))
        return Refusal("VolumeTerminating", f"the volume claims of {names} are being deleted")
    return _first(view, states)


def _first(view: view_.ShardView, states: list[replication.ReplicaState]) -> steps.Step:
    promised = max((state.promised for state in states), default=0)
    if promised > view.reserved:  # of an attempt whose VectorShard was deleted since
        return steps.Reserve(promised, "the VectorShard was made anew")
    members = view.learners()
    return steps.Change(
        kind=steps.Kind.BEGIN,
        base=None,
        members=members,
        sealers=members,
        needed=len(view.wanted.names),
        every=view.wanted.every,
        begins=all(state.last.seq == 0 for state in states),
        prefer=ranking.rank(view, view.wanted.names),
        why="no replica ever had a configuration",
    )


def _adopt(
    states: list[replication.ReplicaState],
    known: list[replication.Configuration],
    silent: list[str],
) -> steps.Step | Refusal:
    lost = "the VectorShard has lost its configuration, and it can't be known from the replicas alone"
    if silent:
        return Refusal("ConfigurationLost", f"{lost} while {', '.join(silent)} does not answer")
    newest = max(known, key=lambda one: one.epoch)
    disks = {(state.name, state.disk) for state in states}
    missing = [one.name for one in newest.members if (one.name, one.disk) not in disks]
    if missing:
        return Refusal(
            "ConfigurationLost",
            f"{lost}: the disk of {', '.join(missing)} is missing; set spec.replicas to at least "
            f"{len(newest.members)} and give the index back its volumes",
            stalls=True,
        )
    promised = max(state.promised for state in states)
    return steps.Adopt(newest, max(promised, newest.epoch), "every replica was asked for the newest")

"""Who is taken out of a shard's members, and who is let in, while writes would wait for it."""

import dataclasses

import pytest

from vectorfleet_operator import replication
from vectorfleet_operator.plan.replicas import decide, standing, steps
from vectorfleet_operator.plan.replicas import view as view_

NAMES = tuple(f"x-{n}" for n in range(5))
DAMAGED = view_.Heard(damage=replication.Damage("d", "a bit has flipped"))
SILENT = view_.Heard(missed=9)


def member(name):
    """Return a replica with its first disk."""
    return replication.Member(name, f"disk of {name}")


def shard(members, wanted, *, every=True, **heard):
    """Return the view of a shard of `members`, x-0 in office; `heard` says who is not well: x_2=DAMAGED."""
    names = NAMES[:members]
    quorum = replication.write_quorum(members, every=every)
    committed = replication.Configuration(7, names[0], tuple(map(member, names)), quorum)
    unwell = {name.replace("_", "-"): one for name, one in heard.items()}
    known = {name: view_.Heard(state(name, committed)) for name in NAMES[: max(members, wanted)]}
    for name, one in unwell.items():
        damage = one.damage and replication.Damage(member(name).disk, one.damage.reason)
        known[name] = view_.Heard(state(name, committed), one.missed or 1, damage)
    lead = known[names[0]]
    serves = members - len(unwell) >= quorum
    known[names[0]] = dataclasses.replace(
        lead, state=dataclasses.replace(lead.state, acknowledges=serves, quorum_silence_seconds=9.0)
    )
    return view_.ShardView(
        number=0,
        wanted=view_.Wanted(tuple(replication.Member(name, "") for name in NAMES[:wanted]), every),
        committed=committed,
        reserved=7,
        heard=known,
        pods={name: view_.PodState(name, ready=name not in unwell) for name in known},
    )


def state(name, committed, **more):
    """Return what a replica says that is level."""
    leads = name == committed.primary
    held = committed.member(name) is not None
    role = replication.Role.FOLLOWER if held else replication.Role.LEARNER
    return replication.ReplicaState(
        name=name,
        disk=member(name).disk,
        role=replication.Role.PRIMARY if leads else role,
        promised=committed.epoch,
        last=replication.Position(7, 1000),
        committed=1000,
        configuration=committed,
        caught_up=True,
        **more,
    )


def names(change):
    """Return the names of a change's members."""
    return [one.name for one in change.members]


@pytest.mark.parametrize("unwell", [DAMAGED, SILENT])
def test_a_member_that_writes_wait_for_is_taken_out_where_nobody_wants_it(unwell):
    """All must hold a write, and one does not answer: the spec no longer asks for it, so it goes."""
    step = decide.decide(shard(3, 2, x_2=unwell)).step
    assert (step.kind, names(step), step.needed) == (steps.Kind.REMOVE, ["x-0", "x-1"], 1)


@pytest.mark.parametrize("unwell", [DAMAGED, SILENT])
def test_two_members_become_one_without_the_other(unwell):
    """Both must hold a write of two members, whatever the consistency."""
    step = decide.decide(shard(2, 1, every=False, x_1=unwell)).step
    assert (step.kind, names(step)) == (steps.Kind.REMOVE, ["x-0"])


def test_all_that_writes_wait_for_go_at_once():
    """Were they to go one by one, the first could not: the other one would still be waited for."""
    step = decide.decide(shard(5, 2, x_2=SILENT, x_4=DAMAGED)).step
    assert (step.kind, names(step)) == (steps.Kind.REMOVE, ["x-0", "x-1", "x-3"])


def test_of_those_that_are_to_go_a_silent_one_goes_first():
    """Writes go on without it: those that answer are copies meanwhile."""
    step = decide.decide(shard(5, 3, every=False, x_3=SILENT)).step
    assert (step.kind, names(step)) == (steps.Kind.REMOVE, ["x-0", "x-1", "x-2", "x-4"])


def test_nobody_is_taken_out_that_the_spec_asks_for():
    """A silent member may come back, and writes wait for it: that is what was asked for."""
    assert decide.decide(shard(3, 3, x_2=SILENT)).step is None


def test_a_quorum_of_members_is_sealed_though_some_are_to_go():
    """Three of five hold a write, and three are silent: what was acknowledged may be with them alone."""
    step = decide.decide(shard(5, 2, every=False, x_2=SILENT, x_3=SILENT, x_4=SILENT)).step
    assert step is None


def sealed(view):
    """Let a change have been tried: x-1 was sealed, and the primary is out of office."""
    known = dict(view.heard)
    for name in ("x-0", "x-1"):
        one = known.get(name)
        if one is not None and one.answers:
            role = replication.Role.FOLLOWER
            known[name] = view_.Heard(dataclasses.replace(one.state, promised=8, role=role))
    return dataclasses.replace(view, heard=known, reserved=8)


@pytest.mark.parametrize("unwell", [DAMAGED, SILENT])
def test_an_attempt_that_failed_is_mended_without_those_that_are_to_go(unwell):
    """The shard has no primary then: its new one is not to wait for whom nobody wants."""
    step = decide.decide(sealed(shard(2, 1, every=False, x_1=unwell))).step
    assert (step.kind, names(step)) == (steps.Kind.PROMOTE, ["x-0"])


@pytest.mark.parametrize("every", [True, False])
def test_an_attempt_that_failed_keeps_whom_writes_need_not_wait_for(every):
    """Of three members, all of which answer, none is left out by the way."""
    step = decide.decide(sealed(shard(3, 2, every=every))).step
    assert (step.kind, names(step)) == (steps.Kind.PROMOTE, ["x-0", "x-1", "x-2"])


def joining(members, *, every, verified, before=None):
    """Return the view of a shard that the next replica is to join, which is as far as the primary says."""
    made = shard(members, members + 1, every=every)
    joiner = member(NAMES[members])
    known = dict(made.heard)
    follower = replication.Follower(joiner.name, joiner.disk, verified, verified, 0.0, False)
    lead = dataclasses.replace(known["x-0"].state, followers=(follower,))
    known["x-0"] = view_.Heard(lead)
    if before is not None:
        known["x-0"] = view_.Heard(dataclasses.replace(lead, committed=before)).after(lead)
    return dataclasses.replace(made, heard=known)


@pytest.mark.parametrize(("members", "every"), [(1, False), (3, True)])
@pytest.mark.parametrize("before", [None, 901])
def test_nobody_joins_that_writes_would_wait_for_while_it_lacks_older_records(members, every, before):
    """Writes would stand still while it is shipped the rest, and the attempt fail if that takes too long."""
    decision = decide.decide(joining(members, every=every, verified=900, before=before))
    assert decision.step is None
    assert [one.reason for one in decision.refusals] == ["CatchingUp"]
    assert "lacks 100 records" in decision.refusals[0].message


@pytest.mark.parametrize(("members", "every"), [(1, False), (3, True)])
@pytest.mark.parametrize(("verified", "before"), [(900, 900), (1000, None)])
def test_one_that_writes_would_wait_for_joins_once_it_holds_what_was_committed_a_look_ago(
    members, every, verified, before
):
    """Under steady writes it lacks what is under way, and never nothing."""
    step = decide.decide(joining(members, every=every, verified=verified, before=before)).step
    assert (step.kind, len(step.members)) == (steps.Kind.JOIN, members + 1)


def test_one_that_no_write_waits_for_joins_while_it_lacks_some_records():
    """Two of three hold a write without it."""
    step = decide.decide(joining(2, every=False, verified=10)).step
    assert step.kind is steps.Kind.JOIN


@pytest.mark.parametrize(("members", "wanted", "needed"), [(2, 1, 1), (3, 2, 2), (5, 4, 3)])
def test_one_that_is_taken_out_is_not_sealed(members, wanted, needed):
    """Were it the only one to answer in time it would win, stay, and have to hand over first."""
    step = decide.decide(shard(members, wanted, every=False)).step
    assert (step.kind, step.needed) == (steps.Kind.REMOVE, needed)
    assert [one.name for one in step.sealers] == list(NAMES[:wanted])


def test_the_lag_is_that_of_the_replica_farthest_behind():
    """Members count, and those that are to be; who is silent does not, nor anyone where nobody leads."""
    view = shard(3, 5, x_2=SILENT)
    assert standing.greatest_lag(view) == 0
    heard = dict(view.heard)
    for name, seq in {"x-1": 990, "x-4": 400, "x-2": 1}.items():
        at = dataclasses.replace(heard[name].state, last=replication.Position(7, seq))
        heard[name] = dataclasses.replace(heard[name], state=at)
    behind = dataclasses.replace(view, heard=heard)
    assert [standing.lag(behind, name) for name in NAMES] == [0, 10, 0, 0, 600]
    assert standing.greatest_lag(behind) == 600
    assert standing.greatest_lag(dataclasses.replace(behind, committed=None)) == 0

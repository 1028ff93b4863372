"""Replicas that can't go on until a restart: when each is restarted, and what speaks against it."""

import dataclasses

import pytest

from vectorfleet_operator import replication
from vectorfleet_operator.plan.replicas import decide, steps, trials
from vectorfleet_operator.plan.replicas import view as view_

PROBLEM = "this replica can't go on until a restart: the disk refused the log"


def state(name, committed, *, stuck=False):
    """Return what a member says."""
    leads = name == committed.primary
    return replication.ReplicaState(
        name=name,
        disk=f"disk of {name}",
        role=replication.Role.PRIMARY if leads else replication.Role.FOLLOWER,
        promised=committed.epoch,
        last=replication.Position(7, 1000),
        committed=1000,
        configuration=committed,
        acknowledges=leads and not stuck,
        caught_up=True,
        problem=PROBLEM if stuck else "",
        needs_restart=stuck,
    )


def shard(count, *, stuck=(), silent=(), **more):
    """Return the view of a shard of so many members, x-0 in office; the others are told by number."""
    names = [f"x-{n}" for n in range(count)]
    members = tuple(replication.Member(name, f"disk of {name}") for name in names)
    committed = replication.Configuration(7, "x-0", members, replication.write_quorum(count, every=False))
    heard = {
        name: view_.Heard(state(name, committed, stuck=n in stuck), 9 if n in silent else 0)
        for n, name in enumerate(names)
    }
    return view_.ShardView(
        number=0,
        wanted=view_.Wanted(tuple(replication.Member(name, "") for name in names)),
        committed=committed,
        reserved=7,
        heard=heard,
        pods={name: view_.PodState(f"uid of {name}", ready=n not in silent) for n, name in enumerate(names)},
        **more,
    )


def test_a_follower_that_is_stuck_is_restarted():
    """It takes part in nothing, so that the restart waits for no other shard, and its owner hears why."""
    step = decide.decide(shard(3, stuck=[1])).step
    assert step == steps.Restart("x-1", "uid of x-1", PROBLEM, free=True, unplanned=True)


def test_nobody_is_restarted_that_only_says_that_something_is_wrong():
    """It may begin anew by itself: what it has copied takes the place of what it had."""
    view = shard(3, stuck=[1])
    told = view_.Heard(dataclasses.replace(view.heard["x-1"].state, needs_restart=False))
    assert decide.decide(dataclasses.replace(view, heard={**view.heard, "x-1": told})).step is None


def test_a_primary_that_is_stuck_is_led_without_first():
    """Its followers need not have missed it for a while: it says itself that it does nothing any more."""
    step = decide.decide(shard(3, stuck=[0])).step
    assert (step.kind, step.prefer[0]) == (steps.Kind.PROMOTE, "x-1")
    assert "x-0" not in [one.name for one in step.sealers]
    assert "can't go on" in step.why


@pytest.mark.parametrize(("count", "stuck", "silent"), [(1, [0], []), (2, [0], []), (3, [0, 1], [2])])
def test_a_primary_without_which_nobody_can_lead_is_restarted(count, stuck, silent):
    """Too few others are there for a change, and a restart needs none; a shard of one has no others."""
    assert decide.decide(shard(count, stuck=stuck, silent=silent)).step.name == "x-0"


def test_all_that_are_stuck_are_restarted_one_after_the_other():
    """A fault that all have in common is no reason to leave them."""
    view = shard(3, stuck=[1, 2])
    assert decide.decide(view).step.name == "x-1"
    ending = {"x-1": dataclasses.replace(view.pods["x-1"], terminating=True)}
    assert decide.decide(dataclasses.replace(view, pods={**view.pods, **ending})).step.name == "x-2"


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (shard(3, stuck=[1], restart_rests={"x-1": 20.0}), "BackingOff"),
        (shard(3, stuck=[1], silent=[0, 2]), "ReadsAtStake"),
    ],
)
def test_a_restart_that_has_to_wait_says_why(view, reason):
    """It was restarted just now, or nobody else answers reads while nobody can write either way."""
    decision = decide.decide(view)
    assert decision.step is None
    [told] = [one for one in decision.refusals if "x-1" in one.message and one.reason == reason]
    assert "restart" in told.message


def test_a_paused_index_is_left_as_it_is():
    """As with all that does not keep it serving."""
    view = shard(3, stuck=[1])
    paused = dataclasses.replace(view, wanted=dataclasses.replace(view.wanted, paused=True))
    assert decide.decide(paused).step is None


def test_restarts_that_do_not_help_come_ever_more_seldom():
    """10 s after the first, twice that each time, up to ten minutes; after twenty good minutes anew."""
    now, restarts, rests = 1000.0, trials.Restarts(), []
    assert restarts.rest(now) == 0
    for _ in range(9):
        restarts = restarts.after(now)
        rests.append(restarts.rest(now))
        now += rests[-1]
        assert restarts.rest(now) == 0
    assert rests == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert restarts.after(now + 601).rest(now + 601) == 10

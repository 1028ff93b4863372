"""Volumes that grow: claims first, then the StatefulSet with its pods kept; what can't be is told."""

import copy

import pytest
from planning.clusters import build_desired, names_of, realise

from vectorfleet_operator import errors, execute, ports
from vectorfleet_operator.adapters import memory
from vectorfleet_operator.plan import actions, planner, volumes

WANTED = {"size": "20Gi"}
INFEASIBLE = {
    "allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"},
    "conditions": [{"type": "ControllerResizeError", "status": "True", "message": "no quota"}],
}
"""What the status of a claim says whose driver can't."""


def build_claim(name, request="10Gi", capacity=None, **metadata):
    """Return a bound claim of 10 GiB."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid of {name}"} | metadata,
        "spec": {"resources": {"requests": {"storage": request}}},
        "status": {"phase": "Bound", "capacity": {"storage": capacity or request}},
    }


def observe(*claims, storage=None):
    """Return the cluster with an index of two shards and 10 GiB each, and these claims."""
    return realise(build_desired(**({"storage": storage} if storage else {}))).updated(claims)


def every_claim(**how):
    """Return the claims of both shards."""
    return [build_claim(f"data-products-g1-s{number}-0", **how) for number in range(2)]


def test_claims_grow_first():
    """As long as a claim asks for less, its StatefulSet stays."""
    plan = planner.plan(build_desired(storage=WANTED), observe(*every_claim()))
    growing = [one.manifest for one in plan.actions if isinstance(one, actions.Grow)]

    assert [one["metadata"]["name"] for one in growing] == [f"data-products-g1-s{n}-0" for n in range(2)]
    assert [one["spec"] for one in growing] == [{"resources": {"requests": {"storage": "20Gi"}}}] * 2
    assert growing[0]["metadata"]["uid"] == "uid of data-products-g1-s0-0"
    assert not [one for one in plan.actions if isinstance(one, actions.Delete)]


def test_a_stateful_set_is_replaced_without_its_pods():
    """Once all of its claims ask for enough; that they have it is awaited, and holds up nothing."""
    seen = observe(*every_claim(request="20Gi", capacity="10Gi"))
    plan = planner.plan(build_desired(storage=WANTED), seen)

    assert plan.actions == tuple(
        actions.Delete(seen.objects["StatefulSet", f"products-g1-s{n}"], plan.actions[n].why, orphan=True)
        for n in range(2)
    )
    assert [(one.reason, one.stalls) for one in plan.refusals] == [("ExpandingVolumes", False)]
    assert "data-products-g1-s0-0 has 10Gi of 20Gi" in plan.refusals[0].message


def test_a_stateful_set_that_is_gone_is_made_with_the_new_size():
    """Which ends it: then nothing is left to do."""
    desired, seen = build_desired(storage=WANTED), observe(*every_claim(request="20Gi"))
    gone = {ref: one for ref, one in seen.objects.items() if ref[0] != "StatefulSet"}
    plan = planner.plan(desired, type(seen)(seen.owner_uid, gone))
    made = [one.manifest["spec"]["volumeClaimTemplates"][0]["spec"]["resources"] for one in plan.actions]

    assert made == [{"requests": {"storage": "20Gi"}}] * 2
    assert planner.plan(desired, observe(*every_claim(request="20Gi"), storage=WANTED)) == actions.Plan()


def test_a_stateful_set_that_is_going_is_awaited():
    """It is not deleted again, and not made before it is gone."""
    seen = observe(*every_claim(request="20Gi"))
    going = copy.deepcopy(seen.objects["StatefulSet", "products-g1-s0"])
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    plan = planner.plan(build_desired(storage=WANTED), seen.updated((going,)))

    assert names_of(plan) == [("StatefulSet", "products-g1-s1")]


def test_a_claim_that_can_not_grow_holds_up_nothing_else():
    """A change of the template is applied, with the claim templates that the StatefulSet has."""
    desired = build_desired(storage=WANTED, podLabels={"team": "search"})
    plan = planner.plan(desired, observe(*every_claim()))
    applied = [one.manifest for one in plan.actions if isinstance(one, actions.Apply)]
    changed = [one for one in applied if one["kind"] == "StatefulSet"]

    assert len(changed) == 2
    for one in changed:
        assert one["spec"]["template"]["metadata"]["labels"]["team"] == "search"
        assert one["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "10Gi"


@pytest.mark.parametrize(
    "claim",
    [
        build_claim("data-products-g1-s0-0", request="30Gi"),
        build_claim("data-products-g1-s0-0", request="20480Mi"),
        build_claim("data-products-g1-s0-0", deletionTimestamp="2026-01-01T00:00:00Z"),
        build_claim("data-products-g1-s0-0") | {"status": {"phase": "Pending"}},
        build_claim("data-others-g1-s0-0"),
    ],
    ids=["larger", "as large in other words", "going", "without a volume", "another index's"],
)
def test_claims_that_are_left_alone(claim):
    """They are large enough, or can't be made larger now."""
    plan = planner.plan(build_desired(storage=WANTED), observe(claim))

    assert not [one for one in plan.actions if isinstance(one, actions.Grow)]


def test_a_volume_that_was_left_by_a_replica_grows_too():
    """The replica may come back, and then needs it."""
    plan = planner.plan(build_desired(storage=WANTED), observe(build_claim("data-products-g1-s0-7")))

    assert ("PersistentVolumeClaim", "data-products-g1-s0-7") in names_of(plan)


@pytest.mark.parametrize(
    ("storage", "said"), [({"size": "5Gi"}, "can't be made smaller"), ({"storageClassName": "fast"}, "class")]
)
def test_volumes_are_never_made_smaller_or_of_another_class(storage, said):
    """Where no API server has refused it before; nothing else is done either."""
    plan = planner.plan(build_desired(storage=storage), observe(*every_claim()))

    assert (plan.actions, plan.stall.reason) == ((), "VolumesImmutable")
    assert said in plan.stall.message.lower()


def test_a_size_that_no_claim_could_ask_for_is_taken_back():
    """The spec asks again for what the volumes have, and nothing is left to do."""
    seen = observe(*every_claim())

    assert volumes.least(seen.of_kind(ports.STATEFUL_SET), seen) == "10Gi"
    assert planner.plan(build_desired(), seen) == actions.Plan()


def test_a_size_that_no_volume_has_reached_is_taken_back():
    """Claims ask for it and StatefulSets were made with it: they are made anew, and nothing is awaited."""
    seen = observe(*every_claim(request="20Gi", capacity="10Gi"), storage=WANTED)
    plan = planner.plan(build_desired(), seen)

    assert volumes.least(seen.of_kind(ports.STATEFUL_SET), seen) == "10Gi"
    assert [(type(one), one.manifest["kind"], one.orphan) for one in plan.actions] == [
        (actions.Delete, "StatefulSet", True)
    ] * 2
    assert plan.refusals == ()
    gone = {ref: one for ref, one in seen.objects.items() if ref[0] != "StatefulSet"}
    again = planner.plan(build_desired(), type(seen)(seen.owner_uid, gone))
    assert {one.manifest["kind"] for one in again.actions} == {"StatefulSet"}
    assert again.refusals == ()


def test_claims_ask_for_less_where_their_driver_could_not_reach_more():
    """A size between what volumes have and what they asked for in vain: claims and StatefulSets take it."""
    claims = every_claim(request="20Gi", capacity="10Gi")
    for one in claims:
        one["status"] |= INFEASIBLE
    seen = observe(*claims, storage=WANTED)
    before, plan = (planner.plan(build_desired(storage=size), seen) for size in (WANTED, {"size": "12Gi"}))
    asked = [one.manifest["spec"] for one in plan.actions if isinstance(one, actions.Grow)]
    told = {one.reason: one.message for one in before.refusals}

    assert "data-products-g1-s0-0 has 10Gi of 20Gi (no quota)" in told["DriverCannotExpand"]
    assert "set spec.storage.size to what it can reach" in told["DriverCannotExpand"]
    assert asked == [{"resources": {"requests": {"storage": "12Gi"}}}] * 2
    assert sum(isinstance(one, actions.Delete) for one in plan.actions) == 2


def test_a_size_that_one_volume_has_reached_stays():
    """What it has can't be taken from it."""
    half = [
        build_claim("data-products-g1-s0-0", request="20Gi", capacity="20Gi"),
        build_claim("data-products-g1-s1-0", request="20Gi", capacity="10Gi"),
    ]
    seen = observe(*half, storage=WANTED)
    plan = planner.plan(build_desired(), seen)

    assert volumes.least(seen.of_kind(ports.STATEFUL_SET), seen) == "20Gi"
    assert (plan.actions, plan.stall.reason) == ((), "VolumesImmutable")
    assert "the volumes have 20Gi" in plan.stall.message


def test_a_volume_that_is_larger_than_was_asked_for_allows_what_it_was_made_with():
    """As that of a class that rounds up, or of a folder on a large disk."""
    seen = observe(*every_claim(capacity="1Ti"))

    assert volumes.least(seen.of_kind(ports.STATEFUL_SET), seen) == "10Gi"
    assert volumes.least((), seen) is None


class Forbidding(memory.MemoryCluster):
    """A cluster whose StorageClass does not expand."""

    async def apply(self, manifest):
        if manifest["kind"] == "PersistentVolumeClaim":
            raise errors.Forbidden("the storageclass must support resize")
        return await super().apply(manifest)


async def test_a_refused_growth_is_no_end_of_a_pass():
    """All else is done, and each volume that can't grow is named."""
    plan = planner.plan(build_desired(storage=WANTED), observe(*every_claim()))
    executed = await execute.execute(Forbidding(), plan)

    assert executed.error is None
    assert [one.reason for one in executed.small] == ["NotExpandable"] * 2
    assert "data-products-g1-s0-0 can't grow to 20Gi: the storageclass" in executed.small[0].message


async def test_a_right_that_is_missing_elsewhere_ends_a_pass():
    """It is tried again, as before."""
    plan = planner.plan(build_desired(), observe())
    cut = await execute.execute(Forbidding(), actions.Plan((actions.Apply(every_claim()[0], "why"),)))

    assert plan.actions == ()
    assert isinstance(cut.error, errors.Forbidden)

"""The plan, as a function of values: what is applied, what waits, what is refused."""

import copy
import json

import pytest
from planning.clusters import UID, build_desired, names_of, realise

from vectorfleet_operator.desired import config_map
from vectorfleet_operator.plan import actions, diff, observed, planner


def with_object(seen, manifest):
    """Return the cluster with one object replaced."""
    return seen.updated((manifest,))


def test_an_empty_cluster_gets_everything_in_order():
    """What pods mount or are found by comes before the workloads."""
    desired = build_desired()
    plan = planner.plan(desired, observed.Observed(UID, {}))

    assert names_of(plan) == [observed.ref(manifest) for manifest in desired.manifests]
    assert [kind for kind, _ in names_of(plan)][-3:] == ["StatefulSet", "StatefulSet", "Deployment"]
    assert {action.why for action in plan.actions} == {diff.MISSING}


def test_nothing_is_done_where_all_is_as_desired():
    """The fixed point."""
    desired = build_desired()

    assert planner.plan(desired, realise(desired)) == actions.Plan()


@pytest.mark.parametrize(
    "kind", ["Service", "ConfigMap", "StatefulSet", "Secret", "VectorShard", "ServiceAccount"]
)
def test_a_missing_object_is_made_again(kind):
    """Deleting any owned object brings exactly it back."""
    desired = build_desired()
    seen = realise(desired)
    gone = next(ref for ref in seen.objects if ref[0] == kind)
    left = {ref: one for ref, one in seen.objects.items() if ref != gone}

    assert names_of(planner.plan(desired, observed.Observed(UID, left))) == [gone]


def test_what_somebody_else_changed_is_changed_back():
    """A field that we name and that says something else is applied again."""
    desired = build_desired()
    seen = realise(desired)
    service = copy.deepcopy(seen.objects["Service", "products"])
    service["spec"]["ports"][0]["port"] = 81

    [action] = planner.plan(desired, with_object(seen, service)).actions

    assert (observed.ref(action.manifest), action.why) == (("Service", "products"), diff.DRIFTED)


def test_what_the_server_adds_is_no_difference():
    """Defaults, statuses and equal amounts in other words are passed over."""
    desired = build_desired(resources={"requests": {"cpu": "1000m"}})
    seen = realise(desired)
    service = copy.deepcopy(seen.objects["Service", "products"])
    service["spec"] |= {"clusterIP": "10.0.0.1", "sessionAffinity": "None"}
    workload = copy.deepcopy(seen.objects["StatefulSet", "products-g1-s0"])
    workload["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    workload["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"

    assert planner.plan(desired, seen.updated((service, workload))) == actions.Plan()


def test_an_object_of_ours_that_is_not_wanted_is_deleted():
    """A Deployment that carries our label and owner and is not desired goes; a namesake's child stays."""
    desired = build_desired()
    seen = realise(desired)
    old = copy.deepcopy(seen.objects["Deployment", "products-gateway"])
    old["metadata"]["name"] = "products-old"
    foreign = copy.deepcopy(old)
    foreign["metadata"] |= {
        "name": "products-foreign",
        "ownerReferences": [{"uid": "other", "controller": True}],
    }

    plan = planner.plan(desired, seen.updated((old, foreign)))

    assert plan.actions == (actions.Delete(old, "the spec does not ask for it any more"),)


@pytest.mark.parametrize("kind", ["StatefulSet", "Secret", "VectorShard", "PersistentVolumeClaim", "Pod"])
def test_what_holds_data_or_keys_is_never_deleted(kind):
    """Even where the spec does not ask for it any more."""
    desired = build_desired()
    seen = realise(desired)
    extra = copy.deepcopy(seen.objects["ConfigMap", "products-config"])
    extra["kind"], extra["metadata"]["name"] = kind, "products-g1-s7"
    if kind == "StatefulSet":
        extra = copy.deepcopy(seen.objects["StatefulSet", "products-g1-s0"])
        extra["metadata"]["name"] = "products-g1-s7"

    assert planner.plan(desired, with_object(seen, extra)) == actions.Plan()


def test_a_name_that_belongs_to_somebody_else_stalls():
    """Nothing at all is done while a needed name is taken: taking it over could destroy another's object."""
    desired = build_desired()
    foreign = {"kind": "Deployment", "metadata": {"name": "products-gateway", "uid": "x"}, "spec": {}}

    plan = planner.plan(desired, observed.Observed(UID, {("Deployment", "products-gateway"): foreign}))

    assert plan.actions == ()
    assert plan.stall.reason == "NameTaken"
    assert "Deployment products-gateway" in plan.stall.message


def test_what_a_deleted_namesake_left_is_awaited():
    """An index made again at once waits until its predecessor's objects are collected."""
    desired = build_desired()
    left = copy.deepcopy(realise(desired).objects["Service", "products"])
    left["metadata"]["ownerReferences"][0]["uid"] = "uid-0"

    plan = planner.plan(desired, observed.Observed(UID, {("Service", "products"): left}))

    assert (plan.actions, plan.stall) == ((), None)
    [refusal] = plan.refusals
    assert refusal.message == "waiting until Service products of a deleted index of the same name is gone"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"shards": 3}, "shards from 2 to 3"),
        ({"metric": "euclidean"}, "metric from cosine to euclidean"),
        ({"model": {"name": "m", "dimensions": 4}}, "dimensions from 3 to 4"),
        ({"index": {"type": "flat"}}, "index type from hnsw to flat"),
        ({"index": {"m": 8}}, "m from 16 to 8"),
        ({"quantization": {"type": "sq8"}}, "quantization from none to sq8"),
        ({"vectors": [{"name": "a", "dimensions": 2}]}, 'vectors from nothing to {"name":"a"'),
    ],
)
def test_a_generation_is_never_changed_in_place(spec, said):
    """Where no API server enforces it, the operator does: stored rows don't fit another generation."""
    plan = planner.plan(build_desired(**spec), realise(build_desired()))

    assert plan.actions == ()
    assert plan.stall.reason == "GenerationImmutable"
    assert said in plan.stall.message


@pytest.mark.parametrize("spec", [{"index": {"efSearch": 300}}, {"schema": {"language": "german"}}], ids=str)
def test_what_only_concerns_searching_is_no_other_generation(spec):
    """It is written into the configuration, and pods start anew where they need it."""
    plan = planner.plan(build_desired(**spec), realise(build_desired()))

    assert plan.stall is None
    assert "ConfigMap" in [action.manifest["kind"] for action in plan.actions]


def test_a_configuration_of_an_older_operator_is_understood():
    """What it did not say yet is as it is by default, so that an upgrade changes no generation."""
    desired = build_desired()
    seen = realise(desired)
    older = copy.deepcopy(seen.objects["ConfigMap", "products-config"])
    said = json.loads(older["data"][config_map.ENTRY])
    for name in ("ivf", "quantization", "vectors"):
        del said["serving"][name]
    older["data"][config_map.ENTRY] = json.dumps(said)

    assert planner.plan(desired, with_object(seen, older)).stall is None


def test_an_object_that_is_being_deleted_is_awaited():
    """It can be made anew only once it is gone."""
    desired = build_desired()
    seen = realise(desired)
    going = copy.deepcopy(seen.objects["Service", "products"])
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    going["spec"] = {}

    plan = planner.plan(desired, with_object(seen, going))

    assert plan.actions == ()
    assert [refusal.reason for refusal in plan.refusals] == ["Terminating"]


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ({}, None, True),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": {}}, {}, True),
        ({"a": ""}, {}, True),
        ({"a": False}, {}, False),
        ([1, 2], [1], False),
        ([{"a": 1}], [{"a": 1, "b": 2}], True),
        ({"requests": {"cpu": "1000m"}}, {"requests": {"cpu": 1}}, True),
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "2"}}, False),
        ({"requests": {"cpu": "1"}}, {"requests": {}}, False),
    ],
)
def test_holds(wanted, found, expected):
    """`found` holds `wanted` where it says all of it; it may say more, and empty is as good as absent."""
    assert diff.holds(wanted, found) is expected


def test_a_config_map_that_nobody_can_read_stops_nothing():
    """A ConfigMap that somebody emptied is put right; the shards themselves refuse data of another shape."""
    desired = build_desired()
    seen = realise(desired)
    broken = copy.deepcopy(seen.objects["ConfigMap", "products-config"])
    broken["data"] = {"index.json": json.dumps({"serving": 7})}

    assert names_of(planner.plan(desired, with_object(seen, broken))) == [("ConfigMap", "products-config")]

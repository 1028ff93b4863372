"""Laws of the operator, on the memory cluster: fixed point, convergence, safety, death anywhere."""

import asyncio
import copy
import dataclasses
import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vectorfleet_operator import lookout, ports, reconcile
from vectorfleet_operator.adapters import memory
from vectorfleet_operator.api import parse
from vectorfleet_operator.desired import build, inputs
from vectorfleet_operator.plan import actions, observed, planner

IMAGE = "vectorfleet/data-plane:0.1.0"
KEY = ports.Key("shop", "products")
MOMENT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PASSES = 40

models = st.fixed_dictionaries({"name": st.just("m"), "dimensions": st.integers(1, 2000)})
amounts = st.sampled_from(["1", "500m", "1.5", "2Gi"])
resources = st.fixed_dictionaries(
    {},
    optional={
        name: st.dictionaries(st.sampled_from(["cpu", "memory"]), amounts) for name in ("requests", "limits")
    },
)
texts = st.dictionaries(st.sampled_from(["team", "tier"]), st.sampled_from(["a", "b"]))
scheduling = st.fixed_dictionaries(
    {},
    optional={
        "nodeSelector": texts,
        "tolerations": st.just([{"operator": "Exists"}]),
        "affinity": st.just({}),
    },
)
mutable = {
    "resources": resources,
    "schema": st.sampled_from([{}, {"fields": [{"name": "a", "type": "datetime"}], "language": "german"}]),
    "scheduling": scheduling,
    "image": st.fixed_dictionaries({}, optional={"tag": st.sampled_from(["0.1.0", "0.2.0"])}),
    "podLabels": texts,
    "podAnnotations": texts,
    "imagePullSecrets": st.sampled_from([[], [{"name": "registry"}]]),
    "gateway": st.fixed_dictionaries(
        {},
        optional={
            "replicas": st.integers(1, 4),
            "resources": resources,
            "service": st.fixed_dictionaries({}, optional={"annotations": texts}),
            "auth": st.sampled_from([{}, {"secretRef": {"name": "mine"}}]),
        },
    ),
}
"""Fields that change in place."""
fixed = {
    "metric": st.sampled_from(["cosine", "dotproduct", "euclidean"]),
    "index": st.sampled_from(
        [{}, {"type": "flat"}, {"profile": "recall"}, {"m": 8, "efSearch": 30}, {"type": "ivf", "lists": 64}]
    ),
    "quantization": st.sampled_from([{}, {"type": "float16"}, {"type": "sq8", "recallFloor": 0.5}]),
    "vectors": st.sampled_from([[], [{"name": "title", "dimensions": 8}]]),
    "shards": st.integers(1, 4),
    "storage": st.fixed_dictionaries({}, optional={"size": st.sampled_from(["1Gi", "20Gi"])}),
}
"""Fields that keep their first value."""
specs = st.fixed_dictionaries({"model": models}, optional=fixed | mutable)
changes = st.fixed_dictionaries({}, optional=mutable)


class Clock:
    """Stands still, so that runs can be compared."""

    def now(self):
        return MOMENT

    def monotonic(self):
        return 0.0


class Entropy:
    """Each secret is another one."""

    def __init__(self):
        self.draws = 0

    def secret(self):
        self.draws += 1
        return f"secret-{self.draws}"


class Shards:
    """Shards that do not answer."""

    async def state(self, address, token):
        return None

    async def report(self, address, token):
        return None


class Killed(BaseException):
    """The operator's process died."""


@dataclasses.dataclass
class Mortal:
    """A cluster whose caller dies around the call of number `dies_at`, before or after it took effect."""

    inner: memory.MemoryCluster
    dies_at: int
    after: bool
    calls: int = 0

    def __getattr__(self, name):
        method = getattr(self.inner, name)

        async def call(*given):
            self.calls += 1
            if self.calls == self.dies_at and not self.after:
                raise Killed
            answer = await method(*given)
            if self.calls == self.dies_at:
                raise Killed
            return answer

        return call


def manifest_of(spec):
    """Return the VectorIndex of a spec."""
    return {
        "apiVersion": "vectorfleet.io/v1alpha1",
        "kind": "VectorIndex",
        "metadata": {"name": KEY.name, "namespace": KEY.namespace},
        "spec": copy.deepcopy(spec),
    }


def build_desired(spec):
    """Return everything that an index of this spec needs."""
    manifest = manifest_of(spec)
    manifest["metadata"]["uid"] = "uid-1"
    return build.build(inputs.Inputs(parse.parse_index(manifest), inputs.Credentials(None, "key"), IMAGE))


def realise(desired):
    """Return the cluster in which all of it is there."""
    return observed.Observed("uid-1", {observed.ref(one): copy.deepcopy(one) for one in desired.manifests})


def act_as_kubernetes(cluster):
    """Take one step: publish a workload's status, or make a pod that is missing, of the newest template."""
    for workload in cluster.objects():
        if workload["kind"] not in {"StatefulSet", "Deployment"}:
            continue
        count = workload["spec"].get("replicas", 1)
        revision = str(hash(str(workload["spec"]["template"])))
        missing = [name for name in pods_of(workload) if pod_of(cluster, name) is None]
        ready = count - len(missing)
        fresh = {
            "observedGeneration": workload["metadata"]["generation"], "replicas": count,
            "readyReplicas": ready, "updatedReplicas": count, "updateRevision": revision,
        }  # fmt: skip
        if workload.get("status") != fresh:
            cluster.set_status(workload, fresh)
            return
        if missing:
            make_pod(cluster, missing[0], workload, revision)
            return


def pods_of(workload):
    """Return the names of a StatefulSet's pods."""
    count = workload["spec"].get("replicas", 1) if workload["kind"] == "StatefulSet" else 0
    return [f"{workload['metadata']['name']}-{n}" for n in range(count)]


def pod_of(cluster, name):
    """Return a pod, None where there is none."""
    return next((o for o in cluster.objects() if (o["kind"], o["metadata"]["name"]) == ("Pod", name)), None)


def make_pod(cluster, name, workload, revision):
    """Make a pod that is ready at once."""
    labels = workload["spec"]["template"]["metadata"]["labels"] | {"controller-revision-hash": revision}
    metadata = {"name": name, "namespace": KEY.namespace, "labels": labels}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    cluster.put(pod, {"conditions": [{"type": "Ready", "status": "True"}]})


def restarting(cluster):
    """Return the shards that have a pod missing which they had."""
    return [
        one["metadata"]["name"]
        for one in cluster.objects()
        if one["kind"] == "StatefulSet" and (one.get("status") or {}).get("readyReplicas")
        if any(pod_of(cluster, name) is None for name in pods_of(one))
    ]


async def run_until_settled(cluster, entropy, world=None):
    """Pass until nothing goes on; return how many shards were restarting at once, at most."""
    given_ports, worst = ports.Ports(world or cluster, Shards(), Clock(), entropy), 0
    operator = reconcile.Operator(given_ports, lookout.Lookout(Shards(), Clock()), IMAGE)
    for _ in range(PASSES):
        outcome = await reconcile.reconcile(operator, KEY)
        worst = max(worst, len(restarting(cluster)))
        if outcome.requeue_after == reconcile.SETTLED_SECONDS and is_running(cluster):
            return worst
        act_as_kubernetes(cluster)
    raise AssertionError(f"not settled after {PASSES} passes: {outcome}")


def is_running(cluster):
    """Whether every pod is there and of the newest template."""
    return all(
        (pod := pod_of(cluster, name)) is not None
        and pod["metadata"]["labels"]["controller-revision-hash"] == str(hash(str(one["spec"]["template"])))
        for one in cluster.objects()
        for name in pods_of(one)
    )


def settled_state(cluster):
    """Return every object without what differs between two runs by nature."""
    state = {}
    for one in cluster.objects():
        metadata = {key: one["metadata"][key] for key in ("labels", "annotations") if key in one["metadata"]}
        body = {key: value for key, value in one.items() if key not in {"metadata", "data"}}
        state[one["kind"], one["metadata"]["name"]] = body | {"metadata": without_digests(metadata)}
    return normalise(state)


def without_digests(metadata):
    """Leave out the digests: they follow the secrets, which are drawn anew in each run."""
    notes = {
        key: value for key, value in metadata.get("annotations", {}).items() if not key.endswith("-hash")
    }
    return metadata | {"annotations": notes}


def normalise(value):
    """Leave out generations, versions and digests at every depth."""
    if isinstance(value, dict):
        dropped = {
            "observedGeneration", "vectorfleet.io/config-hash", "controller-revision-hash", "updateRevision",
        }  # fmt: skip
        return {key: normalise(inner) for key, inner in value.items() if key not in dropped}
    return [normalise(inner) for inner in value] if isinstance(value, list) else value


def secrets_of(cluster):
    """Return the data of every Secret."""
    return {one["metadata"]["name"]: one["data"] for one in cluster.objects() if one["kind"] == "Secret"}


@given(specs)
def test_what_is_as_desired_needs_nothing(spec):
    """plan(desired, realised(desired)) is empty, for every spec."""
    desired = build_desired(spec)

    assert planner.plan(desired, realise(desired)) == actions.Plan()


@given(specs, specs)
def test_a_plan_depends_on_its_inputs_alone(before, after):
    """Building and planning twice gives the same value twice."""
    seen = realise(build_desired(before))

    assert planner.plan(build_desired(after), seen) == planner.plan(build_desired(after), seen)


@settings(max_examples=40, deadline=None)
@given(specs, st.lists(changes, max_size=2))
def test_every_spec_is_reached_and_one_shard_restarts_at_a_time(spec, later):
    """From nothing, and then from change to change, the index settles; two shards never restart at once."""

    async def live():
        cluster, entropy = memory.MemoryCluster(), Entropy()
        for change in ({}, *later):
            await cluster.apply(manifest_of(spec | change))
            assert await run_until_settled(cluster, entropy) <= 1
            index = parse.parse_index(await cluster.get(ports.VECTOR_INDEX, KEY.namespace, KEY.name))
            assert {one.type: one.holds for one in index.status.conditions} == {
                "Ready": True, "Reconciling": False, "Stalled": False,
            }  # fmt: skip
            assert index.status.observed_generation == index.metadata.generation

    asyncio.run(live())


SCENARIOS = {
    "creation": [{"model": {"name": "m", "dimensions": 3}, "shards": 2}],
    "rolling a new image": [
        {"model": {"name": "m", "dimensions": 3}, "shards": 2},
        {"model": {"name": "m", "dimensions": 3}, "shards": 2, "image": {"tag": "0.2.0"}},
    ],
}


async def live_and_die(history, dies_at, after):
    """Live through a history; the process dies once, around its call number `dies_at`, and starts again.

    Returns the cluster, its secrets when they were first complete, and the calls that the last part took.
    """
    cluster, entropy = memory.MemoryCluster(), Entropy()
    for spec in history[:-1]:
        await cluster.apply(manifest_of(spec))
        await run_until_settled(cluster, entropy)
    await cluster.apply(manifest_of(history[-1]))
    mortal = Mortal(cluster, dies_at, after)
    try:
        await run_until_settled(cluster, entropy, mortal)
    except Killed:
        kept = secrets_of(cluster)
        await run_until_settled(cluster, entropy)
        assert kept.items() <= secrets_of(cluster).items(), "a secret that was stored has changed"
    return cluster, mortal.calls


@pytest.mark.parametrize("after", [False, True], ids=["before the call took effect", "after it did"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_r20_death_at_any_call_ends_in_the_same_state(name, after):
    """An operator killed around its k-th call, for every k, ends where one that lived does."""
    history = SCENARIOS[name]
    undisturbed, calls = asyncio.run(live_and_die(history, dies_at=0, after=False))
    expected = settled_state(undisturbed)
    assert calls > 40

    for k in range(1, calls + 1):
        survivor, _ = asyncio.run(live_and_die(history, dies_at=k, after=after))
        assert settled_state(survivor) == expected, f"killed around call {k} of {calls}"


def test_the_killing_is_noticed():
    """The law above is no vacuum: a state that misses one object is told from the whole."""
    cluster, _ = asyncio.run(live_and_die(SCENARIOS["creation"], dies_at=0, after=False))
    whole = settled_state(cluster)
    service = asyncio.run(cluster.get(ports.SERVICE, KEY.namespace, KEY.name))
    asyncio.run(cluster.delete(service))

    assert settled_state(cluster) != whole

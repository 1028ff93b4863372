"""The local cluster's decisions as values: processes from pod templates, names, addresses, objects."""

import pathlib

import pytest

from vectorfleet_operator import errors
from vectorfleet_operator.adapters import fields
from vectorfleet_operator.adapters.local import network, objects, pod, pods, probes, processes

WHO = pod.Identity("shop", "products-g1-s0-0", "127.9.9.2")
FOLDERS = {"/etc/app": pathlib.Path("/state/app"), "/etc/app/keys": pathlib.Path("/state/keys")}


def spec(**container):
    """A pod's spec with one container."""
    return {
        "containers": [{"name": "c", "command": ["serve"], **container}],
        "terminationGracePeriodSeconds": 7,
    }


def build(**container):
    """The process of a pod."""
    return pod.process(spec(**container), WHO, FOLDERS, lambda kind, name, key: f"{kind}/{name}/{key}")


def test_paths_below_mounts_are_rewritten():
    """In arguments and variables, by the longest mount path, and only whole parts of a path."""
    made = build(
        args=["--file=/etc/app/a", "/etc/app/keys/k", "/etc/application"],
        env=[{"name": "HOME_OF", "value": "/etc/app"}],
    )

    assert made.command == ("serve", "--file=/state/app/a", "/state/keys/k", "/etc/application")
    assert made.environment == {"HOME_OF": "/state/app"}
    assert made.grace_seconds == 7


def test_environment_is_filled():
    """From literals, the pod's own fields, ConfigMaps and Secrets."""
    field = {"fieldRef": {"fieldPath": "status.podIP"}}
    secret = {"secretKeyRef": {"name": "s", "key": "k"}}
    made = build(env=[{"name": "A", "valueFrom": field}, {"name": "B", "valueFrom": secret}, {"name": "C"}])

    assert made.environment == {"A": "127.9.9.2", "B": "Secret/s/k", "C": ""}


@pytest.mark.parametrize(
    ("container", "said"),
    [
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]},
            "spec.nodeName",
        ),
        ({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {}}}]}, "needs a kubelet"),
        ({"readinessProbe": {"exec": {"command": ["true"]}}}, "httpGet"),
        ({"readinessProbe": {"httpGet": {"port": "web"}}}, "'web'"),
    ],
)
def test_what_only_a_kubelet_has_is_refused(container, said):
    """With a message that names it."""
    with pytest.raises(errors.Rejected, match=said):
        build(**container)


def test_one_container_is_run():
    """A pod of two is refused."""
    with pytest.raises(errors.Rejected, match="one container, not 2"):
        pod.container({"containers": [{}, {}]})


def test_processes_inherit_no_credentials():
    """Paths and locales come along; keys and settings don't."""
    given = {"PATH": "/bin", "LC_ALL": "C", "AWS_SECRET_ACCESS_KEY": "x", "VECTORFLEET_API_KEY": "x"}

    assert processes.inherited(given) == {"PATH": "/bin", "LC_ALL": "C"}


def test_a_pid_alone_is_no_identity(tmp_path):
    """A process of another start time is not taken for the one that was written down."""
    own = processes.start_of(pathlib.Path("/proc/self").resolve().name)

    assert processes.Running(int(pathlib.Path("/proc/self").resolve().name), own).is_alive()
    assert not processes.Running(int(pathlib.Path("/proc/self").resolve().name), own + 1).is_alive()


def test_blocks_of_addresses():
    """The same for the same folder, others for another, never 127.0 where others live."""
    assert network.blocks("a") == network.blocks("a")
    assert network.blocks("a")[0] != network.blocks("b")[0]
    assert not [block for seed in "abcdefgh" for block in network.blocks(seed) if block.startswith("127.0.")]


def test_addresses_are_kept_and_end(tmp_path):
    """A pod has the same address in the next run, and the last one too many is refused."""
    first = network.Network(tmp_path / "network.json")
    address = first.address("shop", "a-0")

    again = network.Network(tmp_path / "network.json")
    assert again.address("shop", "a-0") == address
    for n in range(252):
        again.address("shop", f"b-{n}")
    with pytest.raises(errors.Rejected, match="are taken"):
        again.address("shop", "one-too-many")
    again.release("shop", "b-0")
    assert again.address("shop", "one-too-many")


@pytest.mark.parametrize(("ends", "seconds"), [(0, 0), (1, 0), (2, 1), (3, 2), (6, 16), (7, 30), (50, 30)])
def test_backoff(ends, seconds):
    """The first restart comes at once, then 1 s, doubling to 30 s."""
    assert pods.backoff(ends) == seconds


def test_revision_is_of_the_template_alone():
    """Scaling restarts nothing, a changed template does."""
    owner = {"spec": {"replicas": 1, "template": {"spec": {"a": 1}}}}

    assert objects.revision_of(owner) == objects.revision_of({"spec": owner["spec"] | {"replicas": 2}})
    assert objects.revision_of(owner) != objects.revision_of({"spec": {"template": {"spec": {"a": 2}}}})


def test_services_name_their_pods():
    """A headless Service names each pod, another one itself, at its first pod."""
    pods_ = tuple(
        {
            "metadata": {"name": f"p-{n}", "namespace": "shop", "labels": {"a": "b", "n": str(n)}},
            "status": {"podIP": f"127.1.1.{n}"},
        }
        for n in (2, 3)
    )
    service = {"metadata": {"name": "s", "namespace": "shop"}, "spec": {"selector": {"a": "b"}}}
    headless = service | {"spec": service["spec"] | {"clusterIP": "None"}}

    assert objects.names_of(service, pods_) == {"s.shop.svc": "127.1.1.2"}
    assert objects.names_of(headless, pods_) == {"p-2.s.shop.svc": "127.1.1.2", "p-3.s.shop.svc": "127.1.1.3"}
    assert objects.names_of(service | {"spec": {"selector": {"a": "c"}}}, pods_) == {}


def test_health_is_patient_and_then_lost():
    """A ready pod may miss some probes; one without a sign of life for too long is lost."""
    process = build(livenessProbe={"httpGet": {"port": 1}, "periodSeconds": 10, "failureThreshold": 3})
    no, yes = probes.Answer(passed=False, reason="no"), probes.Answer(passed=True)
    ready = probes.heard(probes.Health(0.0), 2, yes, alive=True, now=1.0)
    missed = probes.heard(ready, 2, no, alive=True, now=2.0)
    lost = probes.heard(missed, 2, no, alive=False, now=3.0)

    assert (ready.ready, missed.ready, lost.ready) == (True, True, False)
    assert not probes.is_lost(lost, process, now=30.0)
    assert probes.is_lost(lost, process, now=33.0)


def test_apply_gives_up_what_it_does_not_name_any_more():
    """Fields of the last apply that this one lacks go; what others wrote stays."""
    before = {"spec": {"a": 1, "b": {"c": 2}}, "other": 3}
    after = fields.applied(before, {"spec": {"a": 1, "b": {"c": 2}}}, {"spec": {"a": 5}})

    assert after == {"spec": {"a": 5}, "other": 3}

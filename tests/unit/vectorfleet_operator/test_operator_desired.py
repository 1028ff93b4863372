"""The manifests of an index, as plain values."""

import base64
import dataclasses
import json
import os
import pathlib

import pytest
import yaml
from planning import desiring

from vectorfleet_operator import pki
from vectorfleet_operator.desired import build, inputs, names
from vectorfleet_runtime import parties
from vectorfleet_shardnode import settings

GOLDEN = pathlib.Path(__file__).parent / "golden" / "products.yaml"


def test_golden_manifests():
    """Every manifest of a spec that sets every supported field; VECTORFLEET_GOLDEN=write renews the file."""
    plain = json.loads(json.dumps(build.build(desiring.build_inputs(**desiring.FULL)).manifests))
    text = yaml.safe_dump_all(plain, sort_keys=False)
    if os.environ.get("VECTORFLEET_GOLDEN") == "write":
        GOLDEN.write_text(text)

    assert text == GOLDEN.read_text()


def test_names_are_those_that_users_are_told():
    """An index of two shards is exactly these objects."""
    assert sorted(desiring.build_all(shards=2)) == [
        ("ConfigMap", "products-config"),
        ("Deployment", "products-gateway"),
        ("PodDisruptionBudget", "products-g1-s0"),
        ("PodDisruptionBudget", "products-g1-s1"),
        ("PodDisruptionBudget", "products-gateway"),
        ("Secret", "products-api-key"),
        ("Secret", "products-ca"),
        ("Secret", "products-gateway-tls"),
        ("Secret", "products-operator-tls"),
        ("Secret", "products-shard-tls"),
        ("Service", "products"),
        ("Service", "products-shards"),
        ("ServiceAccount", "products-gateway"),
        ("ServiceAccount", "products-shard"),
        ("StatefulSet", "products-g1-s0"),
        ("StatefulSet", "products-g1-s1"),
        ("VectorShard", "products-g1-s0"),
        ("VectorShard", "products-g1-s1"),
    ]


def test_everything_belongs_to_the_index():
    """Each object is found by label and goes with its owner; volumes are no object of ours."""
    for manifest in desiring.build_all(shards=2).values():
        metadata = manifest["metadata"]
        [owner] = metadata["ownerReferences"]

        assert (owner["kind"], owner["uid"], owner["controller"]) == ("VectorIndex", "uid-1", True)
        assert metadata["namespace"] == "shop"
        assert metadata["labels"]["vectorfleet.io/index"] == "products"
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "vectorfleet-operator"


def test_pods_are_hardened():
    """No root, no writable root file system, no capability, no token of the API server."""
    for pod in desiring.pod_specs(desiring.build_all()):
        [container] = pod["containers"]

        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


def test_no_secret_is_in_a_pod_template_or_config():
    """Secrets are only in Secrets."""
    secret_free = [one for key, one in desiring.build_all().items() if key[0] != "Secret"]

    for text in ("key of shard", "key of gateway", "authority's key"):
        assert text not in json.dumps([one.get("data") for one in secret_free])
        assert base64.b64encode(text.encode()).decode() not in json.dumps(secret_free)


def test_each_role_mounts_its_own_certificate_alone():
    """No pod has another role's key, nor the authority's."""
    manifests = desiring.build_all()
    for (kind, name), role in {
        ("StatefulSet", "products-g1-s0"): "shard",
        ("Deployment", "products-gateway"): "gateway",
    }.items():
        pod = manifests[kind, name]["spec"]["template"]["spec"]
        mounted = {one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one}
        assert mounted - {"products-api-key"} == {f"products-{role}-tls"}
        [container] = pod["containers"]
        [variable] = [one for one in container["env"] if one["name"] == "VECTORFLEET_INTERNAL_TLS_DIR"]
        [mount] = [one for one in container["volumeMounts"] if one["mountPath"] == variable["value"]]
        assert mount["readOnly"] is True


def test_a_new_certificate_restarts_nothing():
    """Pods take up what is in their Secret; the templates stay as they are."""
    renewed = dataclasses.replace(
        desiring.INTERNAL, trusted="others", shown={role: pki.Pair("c", "k") for role in parties.Role}
    )
    before = desiring.build_inputs()
    after = dataclasses.replace(before, credentials=inputs.Credentials(renewed, "key"))
    for one, other in zip(build.build(before).manifests, build.build(after).manifests, strict=True):
        assert one == other or one["kind"] == "Secret"


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_volumes_follow_the_deletion_policy(policy):
    """Retain keeps volumes when the index goes, and scaling in never deletes one."""
    stateful_set = desiring.build_all(storage={"deletionPolicy": policy})["StatefulSet", "products-g1-s0"]

    retention = stateful_set["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert retention == {"whenDeleted": policy, "whenScaled": "Retain"}


def test_bounds_of_the_storage_reach_the_shard_node(monkeypatch):
    """As its own settings read them; what is not given is its own default, and no variable at all."""
    given = {"growingRows": 500, "growingMib": 4, "unindexedMib": 8, "indexMinRows": 50}
    given |= {"logRetainedMib": 0, "buildThreads": 3, "buildYields": True}
    variables = tuning_of(desiring.build_all(storage={"tuning": given}))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    wanted = settings.Tuning(
        growing_rows=500,
        growing_bytes=4 << 20,
        unindexed_bytes=8 << 20,
        index_min_rows=50,
        log_retained_bytes=0,
        build_threads=3,
        build_yields=True,
    )
    assert settings.Settings(shard=0).tuning == wanted
    assert tuning_of(desiring.build_all()) == {}


def tuning_of(built):
    """Return the variables of a shard's container that set bounds."""
    [container] = built["StatefulSet", "products-g1-s0"]["spec"]["template"]["spec"]["containers"]
    named = {one["name"]: one.get("value") for one in container["env"]}
    return {name: value for name, value in named.items() if name.startswith("VECTORFLEET_TUNING__")}


def test_the_number_of_gateways_may_be_left_to_others():
    """Where the spec gives no number, the Deployment names none, so that an autoscaler may own it."""
    assert "replicas" not in desiring.build_all()["Deployment", "products-gateway"]["spec"]
    assert (
        desiring.build_all(gateway={"replicas": 3})["Deployment", "products-gateway"]["spec"]["replicas"] == 3
    )


def test_a_named_secret_of_keys_is_mounted_and_none_is_made():
    """`auth.secretRef` takes the place of the operator's own Secret."""
    manifests = desiring.build_all(api_key=None, gateway={"auth": {"secretRef": {"name": "mine"}}})
    [gateway] = [one for one in desiring.pod_specs(manifests) if one["containers"][0]["name"] == "gateway"]
    [volume] = [one for one in gateway["volumes"] if one["name"] == "api-keys"]

    assert ("Secret", "products-api-key") not in manifests
    assert volume["secret"]["secretName"] == "mine"


def test_own_labels_win_over_the_users():
    """A pod label of the user's can't take a pod out of its Service."""
    manifests = desiring.build_all(podLabels={"vectorfleet.io/index": "other", "team": "search"})
    labels = manifests["StatefulSet", "products-g1-s0"]["spec"]["template"]["metadata"]["labels"]

    assert (labels["vectorfleet.io/index"], labels["team"]) == ("products", "search")


def test_selectors_select_the_pods_of_their_shard_alone():
    """Two shards' pods differ in the labels that StatefulSets and budgets select by."""
    manifests = desiring.build_all(shards=2)
    for number in range(2):
        name = f"products-g1-s{number}"
        chosen = manifests["StatefulSet", name]["spec"]["selector"]["matchLabels"]
        budget = manifests["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"]
        pods = [manifests["StatefulSet", f"products-g1-s{n}"]["spec"]["template"] for n in range(2)]
        hits = [chosen.items() <= pod["metadata"]["labels"].items() for pod in pods]

        assert hits == [number == 0, number == 1]
        assert budget == chosen


def test_the_longest_name_fits():
    """With the longest name allowed and the last shard, every name is within Kubernetes's limits."""
    index = "p" * 40
    pod = names.replica(index, 255, 0)

    assert len(names.shard(index, 255)) <= 52  # a StatefulSet's revision label adds 11
    assert len(pod) <= 63
    assert len(f"data-{pod}") <= 63
    assert len(names.gateway(index)) <= 52


def test_digests_follow_content():
    """The same inputs give the same manifests; a changed image changes the workloads alone."""
    first, again = desiring.build_all(), desiring.build_all()
    newer = desiring.build_all(image={"tag": "9"})
    key = ("StatefulSet", "products-g1-s0")

    assert first == again
    assert first[key]["metadata"]["annotations"] != newer[key]["metadata"]["annotations"]
    assert first["Service", "products"] == newer["Service", "products"]

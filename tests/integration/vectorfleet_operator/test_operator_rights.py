"""What the chart grants is enough on a real API server, and no more than needed."""

import pathlib

import pytest
import yaml
from apiserver import serving
from kubernetes.aio import client

from vectorfleet_operator import errors, ports
from vectorfleet_operator.adapters import kubernetes
from vectorfleet_operator.control import process, refusals, settings, wire

CHART = pathlib.Path(__file__).parents[3] / "charts" / "vectorfleet"


async def test_the_control_plane_needs_no_more_than_the_chart_grants(server, address):
    """By the chart's Role its calls work on a real API server; Secrets and other namespaces stay closed."""
    text = (CHART / "templates" / "control-plane" / "rights.yaml").read_text()
    rules = yaml.safe_load(text.partition("\nrules:\n")[2].partition("\n---")[0])
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    version, metadata = "rbac.authorization.k8s.io/v1", {"name": serving.LIMITED}
    role = {"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules}
    serving.call(address, f"{roles}/roles", "POST", role)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": serving.LIMITED}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": serving.LIMITED}
    binding = {"apiVersion": version, "kind": "RoleBinding", "metadata": metadata}
    binding |= {"roleRef": reference, "subjects": [subject]}
    serving.call(address, f"{roles}/rolebindings", "POST", binding)

    configuration = client.Configuration(host=address, api_key={"BearerToken": f"Bearer {serving.LIMITED}"})
    configuration.verify_ssl = False
    limited = kubernetes.KubernetesCluster(client.ApiClient(configuration), process.MANAGER)
    given = settings.Settings(
        namespace="default", api_keys_dir=pathlib.Path("unused"), index_keys_secret="keys"
    )
    served = process.build_indexes(given, limited)
    try:
        spec = {"pod": {"environment": "here", "replicas": 1}}
        body = {"name": "films", "dimension": 3, "spec": spec, "tags": {"a": "b"}}
        made = await served.create(wire.Create.model_validate(body))
        assert (made.status.state, made.tags) == ("Initializing", {"a": "b"})
        with pytest.raises(refusals.Refused, match="already"):
            await served.create(wire.Create.model_validate(body))
        changed = await served.configure(
            "films", wire.Configure(spec=wire.NewSpec(pod=wire.NewPod(replicas=2)))
        )
        assert changed.spec["pod"]["replicas"] == 2
        assert (await served.list()).indexes[0].name == "films"
        await served.delete("films")
        assert (await served.list()).indexes == ()
        for kind, namespace in ((ports.SECRET, "default"), (ports.VECTOR_INDEX, "kube-system")):
            with pytest.raises(errors.OperatorError, match="forbidden"):
                await limited.list(kind, namespace, {})
    finally:
        await kubernetes.close(limited)

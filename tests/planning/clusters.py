"""An index and a cluster in which it is as it should be, as values."""

import copy

from vectorfleet_operator.api import parse
from vectorfleet_operator.desired import build, inputs
from vectorfleet_operator.plan import observed

IMAGE = "vectorfleet/data-plane:0.1.0"
UID = "uid-1"


def build_desired(default_image=IMAGE, **spec):
    """Return what an index of two shards with these fields in its spec needs."""
    manifest = {
        "metadata": {"name": "products", "namespace": "shop", "uid": UID},
        "spec": {"model": {"name": "m", "dimensions": 3}, "shards": 2} | spec,
    }
    return build.build(
        inputs.Inputs(parse.parse_index(manifest), inputs.Credentials(None, "key"), default_image)
    )


def realise(desired, ready=True):
    """Return the cluster in which everything desired is there, and its pods are ready or not."""
    objects = {}
    for manifest in copy.deepcopy(desired.manifests):
        manifest["metadata"] |= {"uid": f"uid of {manifest['metadata']['name']}", "generation": 1}
        if "template" in manifest.get("spec", {}):
            count = manifest["spec"].get("replicas", 1)
            manifest["status"] = {
                "observedGeneration": 1, "replicas": count, "updatedReplicas": count,
                "readyReplicas": count if ready else 0,
            }  # fmt: skip
        objects[observed.ref(manifest)] = manifest
    return observed.Observed(UID, objects)


def names_of(plan):
    """Return kind and name of what the plan acts on, in order."""
    return [observed.ref(action.manifest) for action in plan.actions]

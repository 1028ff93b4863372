"""Volumes that grow with the spec: the claims first, then their StatefulSet, which is made anew. PURE.

The claim templates of a StatefulSet can't be changed. Once all of its claims ask for the new size it is
deleted, its pods kept, and the next pass builds it with larger templates: it takes the pods back, and none is
restarted. Until then it keeps the templates that it has, so that nothing else waits for a class that can't
expand.

A claim that asks for more than its driver can reach asks for less once the spec does, where that is more than
the volume has; Kubernetes lets none ask for as little as it has.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from .. import ports
from ..api import workload_spec
from ..desired import inputs, stateful_set
from . import actions, diff, observed

WHY = "the spec asks for larger volumes"
WHY_LESS = "the spec asks for less than a driver could not reach"
DRIVER_CANNOT = "DriverCannotExpand"
_INFEASIBLE = ("ControllerResizeInfeasible", "NodeResizeInfeasible")
"""What a claim's status says once its driver has told that the size can't be reached, not only not yet."""


def plan_growth(desired: inputs.Desired, seen: observed.Observed) -> Iterator[actions.Grow]:
    """Yield what makes claims ask for the size that the spec asks for."""
    for wanted in _stateful_sets(desired):
        size = _amount(_size(wanted))
        for claim in _bound(wanted, seen):
            if _asked(claim) < size:
                yield actions.Grow(_asking(claim, _size(wanted)), WHY)
            elif _capacity(claim) < size < _asked(claim):
                yield actions.Grow(_asking(claim, _size(wanted)), WHY_LESS)


def least(workloads: Iterable[ports.Manifest], seen: observed.Observed) -> str | None:
    """Return how small the spec may ask volumes to be: as they are, or were made where that is less.

    None where there are no StatefulSets.
    """
    return max((_least(found, seen) for found in workloads if _size(found)), key=_amount, default=None)


def _least(found: ports.Manifest, seen: observed.Observed) -> str:
    made = _size(found)
    have = [str((one["status"].get("capacity") or {}).get("storage", made)) for one in _bound(found, seen)]
    return min(made, max(have, key=_amount, default=made), key=_amount)


def keep_templates(wanted: ports.Manifest, found: ports.Manifest | None) -> ports.Manifest:
    """Return a StatefulSet with the claim templates that it has in the cluster, where they are smaller."""
    if found is None or not _is_outgrown(wanted, found):
        return wanted
    return {**wanted, "spec": {**wanted["spec"], _TEMPLATES: found["spec"][_TEMPLATES]}}


def replaces(wanted: ports.Manifest, seen: observed.Observed) -> actions.Delete | None:
    """Return what makes way for a StatefulSet with larger claim templates, once all claims have grown.

    With smaller ones at once, where a size that volumes could not reach was taken back.
    """
    found = seen.objects.get(observed.ref(wanted))
    if found is None or not _size(found) or found["metadata"].get("deletionTimestamp"):
        return None
    if _amount(_size(wanted)) == _amount(_size(found)):
        return None
    if any(_asked(claim) < _amount(_size(wanted)) for claim in _claims(wanted, seen)):
        return None
    return actions.Delete(found, "its claim templates can't be changed", orphan=True)


def unchanged(desired: inputs.Desired, seen: observed.Observed) -> actions.Refusal | None:
    """Refuse to change volumes in a way that they can't be: their class, or to a smaller size."""
    for wanted in _stateful_sets(desired):
        found = seen.objects.get(observed.ref(wanted))
        if found is None:
            continue
        smallest = _least(found, seen)
        if _amount(_size(wanted)) < _amount(smallest):
            message = (
                f"spec.storage.size is {_size(wanted)}, and the volumes have {smallest}: they can't be made "
                f"smaller; ask for {smallest} or more"
            )
            return actions.Refusal("VolumesImmutable", message, stalls=True)
        if not diff.holds(_apart_from_size(wanted), _apart_from_size(found)):
            message = "spec.storage.storageClassName can't be changed: volumes keep their StorageClass"
            return actions.Refusal("VolumesImmutable", message, stalls=True)
    return None


def growing(desired: inputs.Desired, seen: observed.Observed) -> actions.Refusal | None:
    """Return which volumes are not as large yet as claims and spec ask for, None where all are."""
    small = _small(desired, seen)
    if not small:
        return None
    message = "; ".join(_describe(claim) for claim in small)
    return actions.Refusal("ExpandingVolumes", f"waiting until volumes have grown: {message}")


def stuck(desired: inputs.Desired, seen: observed.Observed) -> actions.Refusal | None:
    """Return which of them their drivers can't make as large, and what helps; None where there is none."""
    infeasible = [claim for claim in _small(desired, seen) if _is_infeasible(claim)]
    if not infeasible:
        return None
    message = (
        f"the driver of these volumes can't make them as large: {'; '.join(map(_describe, infeasible))}; set "
        "spec.storage.size to what it can reach, or to status.volumeSize again"
    )
    return actions.Refusal(DRIVER_CANNOT, message)


_TEMPLATES = "volumeClaimTemplates"


def _stateful_sets(desired: inputs.Desired) -> list[ports.Manifest]:
    return [one for one in desired.manifests if one["kind"] == ports.STATEFUL_SET.kind]


def _claims(workload: ports.Manifest, seen: observed.Observed) -> list[ports.Manifest]:
    """Return a StatefulSet's claims, those of replicas too that it has no more: they may come back."""
    name = re.compile(rf"{stateful_set.DATA}-{re.escape(workload['metadata']['name'])}-\d+")
    every = seen.of_kind(ports.PERSISTENT_VOLUME_CLAIM)
    return [
        one
        for one in every
        if name.fullmatch(one["metadata"]["name"]) and not one["metadata"].get("deletionTimestamp")
    ]


def _bound(workload: ports.Manifest, seen: observed.Observed) -> list[ports.Manifest]:
    return [claim for claim in _claims(workload, seen) if _is_bound(claim)]


def _small(desired: inputs.Desired, seen: observed.Observed) -> list[ports.Manifest]:
    """Return the claims whose volumes are not as large yet as they and the spec ask for."""
    return [
        claim
        for wanted in _stateful_sets(desired)
        for claim in _bound(wanted, seen)
        if _capacity(claim) < min(_asked(claim), _amount(_size(wanted)))
    ]


def _asking(claim: ports.Manifest, size: str) -> ports.Manifest:
    """Return what is applied to a claim: its size alone, and its uid, so that no claim is ever made."""
    return {
        "apiVersion": ports.PERSISTENT_VOLUME_CLAIM.api_version,
        "kind": ports.PERSISTENT_VOLUME_CLAIM.kind,
        "metadata": {field: claim["metadata"][field] for field in ("name", "namespace", "uid")},
        "spec": {"resources": {"requests": {"storage": size}}},
    }


def _is_outgrown(wanted: ports.Manifest, found: ports.Manifest) -> bool:
    return bool(_size(found)) and _amount(_size(wanted)) > _amount(_size(found))


def _is_bound(claim: ports.Manifest) -> bool:
    return (claim.get("status") or {}).get("phase") == "Bound"


def _is_infeasible(claim: ports.Manifest) -> bool:
    return (claim["status"].get("allocatedResourceStatuses") or {}).get("storage") in _INFEASIBLE


def _describe(claim: ports.Manifest) -> str:
    told = [one.get("message") or one.get("type", "") for one in claim["status"].get("conditions") or ()]
    has = (claim["status"].get("capacity") or {}).get("storage", "nothing")
    more = f" ({', '.join(filter(None, told))})" if told else ""
    return f"{claim['metadata']['name']} has {has} of {_request(claim)}{more}"


def _size(workload: ports.Manifest) -> str:
    templates = workload["spec"].get(_TEMPLATES) or ()
    return next((_request(one) for one in templates if one["metadata"]["name"] == stateful_set.DATA), "")


def _request(claim: ports.Manifest) -> str:
    return str(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", ""))


def _asked(claim: ports.Manifest) -> float:
    return _amount(_request(claim))


def _capacity(claim: ports.Manifest) -> float:
    return _amount(str((claim["status"].get("capacity") or {}).get("storage", "")))


def _amount(quantity: str) -> float:
    return workload_spec.amount(quantity) if quantity else 0.0


def _apart_from_size(workload: ports.Manifest) -> list[dict[str, Any]]:
    return [
        {
            "metadata": {"name": claim["metadata"]["name"]},
            "spec": {key: value for key, value in claim["spec"].items() if key != "resources"},
        }
        for claim in workload["spec"].get(_TEMPLATES) or ()
    ]

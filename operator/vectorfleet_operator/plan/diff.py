"""Whether an object is already as it should be.

Two questions, both needed: was it built from the same manifest (a digest in an annotation), and does it still
say what that manifest says? The second allows for what the API server adds; where it errs, an apply that
changes nothing is the price.
"""

from collections.abc import Mapping
from typing import Any

from .. import ports
from ..api import workload_spec
from ..desired import names

MISSING = "it is missing"
SPEC_CHANGED = "the spec has changed"
DRIFTED = "somebody else has changed it"

_AMOUNTS = frozenset({"requests", "limits"})


def difference(wanted: ports.Manifest, found: ports.Manifest | None) -> str:
    """Return why `wanted` has to be applied, or an empty string where it need not be."""
    if found is None:
        return MISSING
    if digest(wanted, names.APPLIED_HASH) != digest(found, names.APPLIED_HASH):
        return SPEC_CHANGED
    if not holds(wanted, found):
        return DRIFTED
    return ""


def holds(wanted: Any, found: Any) -> bool:
    """Return whether `found` says all that `wanted` says; it may say more."""
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return not wanted and found is None
        return all(_entry_holds(key, value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list | tuple):
        found = found or ()
        return len(wanted) == len(found) and all(map(holds, wanted, found))
    return bool(wanted == found or (wanted in ("", None) and found is None))


def _entry_holds(key: str, wanted: Any, found: Any) -> bool:
    if key in _AMOUNTS and isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(name in found and _same_amount(amount, found[name]) for name, amount in wanted.items())
    return holds(wanted, found)


def _same_amount(wanted: str, found: object) -> bool:
    # The API server writes 1000m as 1.
    return workload_spec.amount(wanted) == workload_spec.amount(str(found))


def digest(manifest: ports.Manifest, annotation: str) -> str:
    """Return the digest that a manifest was stamped with, empty where it has none."""
    return str((manifest["metadata"].get("annotations") or {}).get(annotation, ""))

"""The settings of a gateway's process that the spec may change, as environment variables."""

from ..api import gateway_spec, serving_spec
from . import inputs

_AUDIT_OFF = "off"


def build_variables(gateway: serving_spec.Gateway) -> list[inputs.Object]:
    """Return the variables of `vectorfleet_gateway.settings`, each said, so that a pod shows what holds."""
    limits, log = gateway.limits, gateway.log
    told = {
        "MAX_REQUESTS": str(limits.requests),
        "MAX_BODY_BYTES": str(limits.body_bytes()),
        "MAX_BODIES_BYTES": str(limits.bodies_bytes(gateway.resources)),
        "REQUEST_TIMEOUT_SECONDS": str(limits.request_timeout_seconds),
        "OPEN_DOCS": str(gateway.open_docs).lower(),
        "LOG_LEVEL": log.level.value,
        "AUDIT_LOG": _AUDIT_OFF if log.audit is gateway_spec.AuditLevel.NONE else log.audit.value,
    }
    return [{"name": f"VECTORFLEET_{name}", "value": value} for name, value in told.items()]

"""What a gateway is told of an issuer whose tokens it takes."""

from ..api import serving_spec
from . import inputs, pod

_DIR = "/etc/vectorfleet/jwt"
_VOLUME = "jwt"


def build_volumes(auth: serving_spec.Auth) -> list[inputs.Object]:
    """Return the volume with the issuer's keys, where a Secret holds them."""
    if auth.jwt is None or auth.jwt.secret_ref is None:
        return []
    return [pod.build_secret_volume(_VOLUME, auth.jwt.secret_ref.name)]


def add_to(container: inputs.Object, auth: serving_spec.Auth) -> None:
    """Add the settings to a gateway's container."""
    if auth.jwt is None:
        return
    where = auth.jwt.url or ""
    if auth.jwt.secret_ref is not None:
        where = f"{_DIR}/{auth.jwt.secret_ref.key}"
        container["volumeMounts"].append({"name": _VOLUME, "mountPath": _DIR, "readOnly": True})
    told = {
        "KEYS": where,
        "AUDIENCE": auth.jwt.audience,
        "ISSUER": auth.jwt.issuer,
        "ALGORITHMS": ",".join(auth.jwt.algorithms),
        "ROLE_CLAIM": auth.jwt.role_claim,
        "NAMESPACES_CLAIM": auth.jwt.namespaces_claim,
        "MAX_ROLE": auth.jwt.max_role.value,
    }
    if (limits := auth.jwt.limits) is not None:
        told |= {name.upper(): str(most) for name, most in limits.model_dump(exclude_none=True).items()}
    container["env"] += [{"name": f"VECTORFLEET_JWT_{name}", "value": value} for name, value in told.items()]

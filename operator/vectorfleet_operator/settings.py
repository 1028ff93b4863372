"""The operator's settings: environment variables that begin with VECTORFLEET_."""

import importlib.metadata
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from . import ports

OPERATOR_LABELS = {"app.kubernetes.io/part-of": "vectorfleet", "app.kubernetes.io/component": "operator"}
"""By which the chart's pods are known."""


def _default_image() -> str:
    return f"vectorfleet/data-plane:{importlib.metadata.version('vectorfleet')}"


class Settings(BaseSettings):
    """What the operator is told at its start."""

    model_config = SettingsConfigDict(env_prefix="VECTORFLEET_", frozen=True)

    image: str = Field(default_factory=_default_image, min_length=1)
    """The data plane's image, unless an index overrides it."""
    watch_namespaces: str = ""
    """Namespaces to watch, separated by commas; every namespace where empty."""
    host: str = "127.0.0.1"
    """Address that health and metrics listen on."""
    metrics_port: int = Field(default=9090, ge=0, le=65_535)
    network_policies: bool = False
    """Whether indexes get NetworkPolicies."""
    namespace: str = ""
    """Of the operator's own pod; needed for NetworkPolicies."""
    metrics_from: tuple[dict[str, Any], ...] = ()
    """NetworkPolicyPeers that may scrape metrics of indexes, as JSON."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"

    @property
    def network(self) -> ports.Network | None:
        """What NetworkPolicies have to know, None where none are wanted."""
        if not self.network_policies:
            return None
        return ports.Network(self.namespace, OPERATOR_LABELS, self.metrics_from)

    @model_validator(mode="after")
    def _named(self) -> "Settings":
        if self.network_policies and not self.namespace:
            raise ValueError("NetworkPolicies need VECTORFLEET_NAMESPACE, the operator's own")
        return self

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces to watch, none meaning all."""
        return tuple(name.strip() for name in self.watch_namespaces.split(",") if name.strip())

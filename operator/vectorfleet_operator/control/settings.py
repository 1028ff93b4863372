"""What the control plane is told: environment variables that begin with VECTORFLEET_CONTROL_."""

import pathlib
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from . import audit, mapping


class Settings(BaseSettings):
    """What the control plane is told at its start; without keys it does not start."""

    model_config = SettingsConfigDict(env_prefix="VECTORFLEET_CONTROL_", frozen=True)

    api_keys_dir: pathlib.Path
    """Folder of keys, as a gateway's: one entry each, the key or its digest and what it allows."""
    namespace: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    """That indexes are in."""
    host: str = "127.0.0.1"
    """Address that the API, health and metrics listen on."""
    port: int = Field(default=8080, ge=0, le=65_535)
    metrics_port: int = Field(default=9090, ge=0, le=65_535)
    tls_dir: pathlib.Path | None = None
    """Folder of `tls.crt` and `tls.key`; HTTP is spoken where not given."""
    index_keys_secret: str = ""
    """Secret in the namespace whose keys new indexes take; each gets a key of its own where empty."""
    index_template: dict[str, Any] = {}
    """A spec that new indexes start from, as JSON."""
    index_url: str = Field(default="", pattern=r"^(https?://.*\{name\}.*)?$")
    """Where indexes are reached, with `{name}`, such as https://{name}.search.example.com."""
    max_indexes: int = Field(default=100, ge=1, le=10_000)
    audit_log: audit.Level = audit.Level.CHANGES
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"

    def template(self) -> dict[str, Any]:
        """Return the spec that new indexes start from, whose keys they take included."""
        return mapping.merge(keyed(self.index_keys_secret), self.index_template)


def keyed(secret: str) -> dict[str, Any]:
    """Return the part of a spec that names the Secret of an index's keys."""
    return {"gateway": {"auth": {"secretRef": {"name": secret}}}} if secret else {}

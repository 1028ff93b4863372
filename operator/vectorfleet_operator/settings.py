"""The operator's settings: environment variables that begin with VECTORFLEET_."""

import importlib.metadata
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces to watch, none meaning all."""
        return tuple(name.strip() for name in self.watch_namespaces.split(",") if name.strip())

"""The bodies of the control plane's answers, as the official client reads them. PURE."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

State = Literal["Initializing", "InitializationFailed", "Ready", "ScalingUp", "ScalingDown", "Terminating"]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True)


class Status(_Body):
    """Whether an index answers, and what is under way."""

    ready: bool
    state: State


class Index(_Body):
    """An index. `host` is empty while it has no address; `spec` is as it was asked for."""

    name: str
    dimension: int
    metric: str
    host: str
    spec: dict[str, Any]
    status: Status
    vector_type: Literal["dense"]
    deletion_protection: Literal["enabled", "disabled"]
    tags: dict[str, str] | None


class Indexes(_Body):
    """Every index, by name."""

    indexes: tuple[Index, ...]


class Reason(_Body):
    """Pinecone's name of what went wrong, and a sentence for people."""

    code: str
    message: str


class Problem(_Body):
    """Why a request was refused, or failed."""

    error: Reason
    status: int

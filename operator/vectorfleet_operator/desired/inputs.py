"""What the builders read, and what they return."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from .. import certificates, ports
from ..api import vector_index

Object = dict[str, Any]
"""A part of a manifest while it is being built."""


@dataclasses.dataclass(frozen=True)
class Credentials:
    """The secrets of one index, as text."""

    internal: certificates.Internal | None
    """What gateway, shards and operator show each other; None where cert-manager keeps it."""
    api_key: str | None
    """The key that the operator made for clients; None where others keep the keys."""


@dataclasses.dataclass(frozen=True)
class Inputs:
    """All that the manifests of one index are made from."""

    index: vector_index.VectorIndex
    credentials: Credentials
    image: str
    """The data plane's image, as repository:tag, unless the spec overrides it."""
    copies: Mapping[int, int] = dataclasses.field(default_factory=dict)
    """Pods of a shard, where it still has members that the spec does not ask for."""
    network: ports.Network | None = None
    """None where no NetworkPolicies are wanted."""

    @property
    def spec(self) -> vector_index.VectorIndexSpec:
        """The spec of the index."""
        return self.index.spec


@dataclasses.dataclass(frozen=True)
class Desired:
    """Every object that the index needs, in the order in which they are applied."""

    manifests: tuple[ports.Manifest, ...]

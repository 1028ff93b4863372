"""Shard 0 of a replicated index: who leads it, where its members run, whether it is whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from . import index, install

WHOLE_SECONDS = 150
GATEWAY_NODE = "kn1"
"""Where the index's gateways are pinned to, so that a node's end is the end of a replica and nothing else."""


def build(namespace: str, name: str) -> dict[str, Any]:
    """One shard of three replicas, with two gateways on one node. PURE."""
    gateway = {
        "replicas": 2,
        "scheduling": {"nodeSelector": {"kubernetes.io/hostname": GATEWAY_NODE}},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    }
    return index.build(namespace, name, shards=1, replicas=3, gateway=gateway)


@dataclass(frozen=True)
class Shard:
    """The shard, seen through its objects."""

    of: index.Index

    @property
    def name(self) -> str:
        """Its VectorShard's name, and its StatefulSet's."""
        return f"{self.of.name}-g1-s0"

    @property
    def configuration(self) -> dict[str, Any]:
        """Epoch, primary and members, as they are in force."""
        found: dict[str, Any] = self.of.get("vsh", self.name)["status"]["configuration"]
        return found

    @property
    def primary(self) -> str:
        """The pod that leads."""
        return str(self.configuration["primary"])

    @property
    def epoch(self) -> int:
        """The number of its configuration."""
        return int(self.configuration["epoch"])

    @property
    def members(self) -> list[str]:
        """The pods that hold it."""
        return sorted(one["name"] for one in self.configuration["members"])

    def disk(self, pod: str) -> str:
        """The disk of a member, empty where it is none."""
        members = self.configuration["members"]
        return next((str(one["disk"]) for one in members if one["name"] == pod), "")

    def node(self, pod: str) -> str:
        """The node that a pod runs on."""
        return str(self.of.get("pod", pod)["spec"]["nodeName"])

    def uid(self, pod: str) -> str:
        """Which pod of that name it is."""
        return str(self.of.get("pod", pod)["metadata"]["uid"])

    def wait_until_whole(self, replicas: int = 3) -> None:
        """Return once so many members have caught up, none is bad or different, and nothing is under way."""
        index.wait_until(lambda: self._is_whole(replicas), WHOLE_SECONDS, every=0.5)

    def _is_whole(self, replicas: int) -> bool:
        found, status = self.of.get("vi", self.of.name), self.of.get("vsh", self.name).get("status")
        if not status or "status" not in found:
            return False  # nobody has looked at it yet
        seen = found["metadata"]["generation"] == found["status"].get("observedGeneration")
        told = {one["type"]: one["status"] for one in found["status"]["conditions"]}
        bad = [
            one["type"] for one in status["conditions"] if one["status"] == "True" and one["type"] != "Ready"
        ]
        members = (status["memberCount"], status["readyMembers"])
        settled = (told["Ready"], told["Reconciling"]) == ("True", "False")
        return seen and settled and members == (replicas, replicas) and not bad

    def hand_over(self, pod: str) -> None:
        """Let a member lead, by the annotation that a person would use."""
        self.of.kubectl("annotate", "vsh", self.name, f"vectorfleet.io/primary={pod}", "--overwrite")
        # After an API server was away, kube-proxy may lead to it again only half a minute after it is back.
        index.wait_until(lambda: self.primary == pod)
        self.of.kubectl("annotate", "vsh", self.name, "vectorfleet.io/primary-")

    def spread(self) -> None:
        """Let each member have a node of its own, as the scheduler does it where it can."""
        seen: set[str] = set()
        for pod in self.members:
            if (node := self.node(pod)) in seen:
                self.of.kubectl("delete", "pod", pod)
                self.wait_until_whole(len(self.members))
            seen.add(node)

    def scale(self, replicas: int) -> None:
        """Ask for so many replicas."""
        self.of.kubectl("scale", "vi", self.of.name, f"--replicas={replicas}")

    def patch(self, spec: dict[str, Any]) -> None:
        """Change some fields of the index's spec."""
        self.of.kubectl("patch", "vi", self.of.name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def lead_alone(self) -> int:
        """Let a member lead whose node has neither gateways nor the operator; return the node's number."""
        taken = {GATEWAY_NODE, *(one["spec"]["nodeName"] for one in operator_pods(self.of))}
        places = {self.node(pod): pod for pod in self.members}
        node, pod = next((node, pod) for node, pod in places.items() if node not in taken)
        if pod != self.primary:
            self.hand_over(pod)
        return int(node.removeprefix("kn"))


def operator_pods(of: index.Index) -> list[dict[str, Any]]:
    """The operator's pods."""
    chosen = ("-l", "app.kubernetes.io/component=operator")
    found: list[dict[str, Any]] = of.cluster.kubectl.get("-n", install.NAMESPACE, "pods", *chosen)["items"]
    return found

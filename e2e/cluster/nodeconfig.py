"""The configuration files of a node's programs, as values. PURE.

All nodes share one file system, mount namespace and machine, so everything that a node would take
for its own by default is given a place of its own here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import addresses

GIB = 1 << 30
HOST_MEMORY_BYTES = 4 * GIB  # for the control plane, the registry and the tests themselves
LEASE_SECONDS = 8
MAX_PODS = 60
PAUSE_IMAGE = "e2e/pause:1"

CONTAINERD = """\
version = 2
root = "{directory}/containerd"
state = "{directory}/run"
[grpc]
  address = "{directory}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{directory}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Without CAP_SYS_RESOURCE a container's OOM score can't be lowered, and runc fails on trying.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{directory}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{mirrors}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
"""


@dataclass(frozen=True)
class Node:
    """One node: its number, its folder, and what the machine gives to it."""

    number: int
    directory: Path
    pki: Path
    mirrors: Path
    resolv_conf: Path
    memory_bytes: int
    machine_bytes: int

    @property
    def name(self) -> str:
        """The node's name, which its namespace, link and control group have too."""
        return addresses.node_name(self.number)

    @property
    def socket(self) -> Path:
        """Where its containerd listens."""
        return self.directory / "containerd.sock"


def memory_per_node(machine_bytes: int, nodes: int) -> int:
    """What a node may give to pods, so that the nodes together do not promise more than there is."""
    return max(machine_bytes - HOST_MEMORY_BYTES, GIB) // nodes


def build_containerd(node: Node) -> str:
    """Build the configuration of containerd, in TOML."""
    return CONTAINERD.format(directory=node.directory, pause=PAUSE_IMAGE, mirrors=node.mirrors)


def build_cni(node: Node) -> dict[str, Any]:
    """Build the chain of CNI plugins: a bridge that translates no addresses, and hostPorts."""
    ipam = {
        "type": "host-local",
        "dataDir": str(node.directory / "ipam"),
        "ranges": [[{"subnet": addresses.pod_range(node.number)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": ipam,
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": node.name, "plugins": [bridge, portmap]}


def build_kubelet(node: Node) -> dict[str, Any]:
    """Build the KubeletConfiguration; the control group's root is the node's own."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{node.socket}",
        "podLogsDir": str(node.directory / "logs"),
        "volumePluginDir": str(node.directory / "plugins"),
        "resolvConf": str(node.resolv_conf),
        "clusterDNS": [addresses.DNS_SERVICE],
        "clusterDomain": addresses.DNS_DOMAIN,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(node.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(node.pki / f"{node.name}.crt"),
        "tlsPrivateKeyFile": str(node.pki / f"{node.name}.key"),
        "nodeStatusUpdateFrequency": "2s",
        "nodeStatusReportFrequency": "10s",
        "nodeLeaseDurationSeconds": LEASE_SECONDS,
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        **_capacity(node),
    }


def _capacity(node: Node) -> dict[str, Any]:
    return {
        "maxPods": MAX_PODS,
        "enforceNodeAllocatable": ["pods"],
        "systemReserved": {"memory": str(node.machine_bytes - node.memory_bytes)},
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def build_proxy(node: Node, kubeconfig: Path) -> dict[str, Any]:
    """Build the KubeProxyConfiguration; a child network namespace can't set the limits of conntrack."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": node.name,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": addresses.POD_NETWORK,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "iptables": {"syncPeriod": "30s", "minSyncPeriod": "0s"},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def build_object(number: int) -> dict[str, Any]:
    """Build the Node as the API server shall know it; kubelet would leave out zone and pod range."""
    name, pods = addresses.node_name(number), addresses.pod_range(number)
    labels = {
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/region": "local",
        "topology.kubernetes.io/zone": f"zone-{number}",
    }
    metadata = {"name": name, "labels": labels}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "spec": {"podCIDR": pods, "podCIDRs": [pods]},
    }

"""The names and addresses of the cluster: fixed, so there is one cluster on a machine at a time.

The host is 10.89.0.1 on a bridge, node i is 10.89.0.1i, its pods are 10.244.i.0/24. The control
plane's inner ports lie on a loopback address of their own. PURE.
"""

from __future__ import annotations

BRIDGE = "kc0"
HOST = "10.89.0.1"
LOOPBACK = "127.89.0.1"
NODE_NETWORK = "10.89.0.0/24"
POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
DNS_DOMAIN = "cluster.local"

API_SERVER = f"https://{HOST}:6443"
ETCD = f"http://{LOOPBACK}:2379"
ETCD_PEER = f"http://{LOOPBACK}:2380"
REGISTRY = f"{HOST}:5000"
S3 = f"{HOST}:9000"


def node_name(number: int) -> str:
    """Node, network namespace, veth and cgroup all have this name."""
    return f"kn{number}"


def node_address(number: int) -> str:
    """The node's address on the bridge."""
    return f"10.89.0.{10 + number}"


def pod_range(number: int) -> str:
    """The range that the node's pods get their addresses from."""
    return f"10.244.{number}.0/24"

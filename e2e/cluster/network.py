"""The nodes' network: a bridge on the host, a network namespace and a veth pair for each node.

Nothing is translated, so a pod's address survives its way to another node, as NetworkPolicy needs;
and nothing is routed beyond this machine, so what runs in the cluster reaches nothing outside.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from . import addresses, commands, errors, settings

NAMESPACES = Path("/run/netns")
CNI_RESULTS = Path("/var/lib/cni/results")
# Docker and others drop what a bridge forwards unless a rule lets it pass.
FORWARD_RULES = (("-i", addresses.BRIDGE, "-j", "ACCEPT"), ("-o", addresses.BRIDGE, "-j", "ACCEPT"))


def create(where: settings.Settings) -> None:
    """Make the bridge and every node's namespace, with the routes between them."""
    _ip("link", "add", addresses.BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{addresses.HOST}/24", "dev", addresses.BRIDGE)
    _ip("link", "set", addresses.BRIDGE, "up")
    for rule in FORWARD_RULES:
        commands.run(["iptables", "-w", "10", "-I", "FORWARD", *rule])
    for number in range(1, where.nodes + 1):
        _create_node(number, where.nodes)
    route_services(where.nodes)


def _create_node(number: int, nodes: int) -> None:
    name, address = addresses.node_name(number), addresses.node_address(number)
    _ip("netns", "add", name)
    _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("link", "set", name, "master", addresses.BRIDGE, "up")
    inside = ["-n", name]
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "addr", "add", f"{address}/24", "dev", "eth0")
    _ip(*inside, "link", "set", "eth0", "up")
    _ip(*inside, "route", "add", "default", "via", addresses.HOST)
    # Traffic between two pods of a node must pass iptables too: Services and policies live there.
    for key in ("net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"):
        commands.run(["nsenter", f"--net={NAMESPACES / name}", "sysctl", "-qw", key])
    _ip("route", "replace", addresses.pod_range(number), "via", address)
    for other in range(1, nodes + 1):
        if other != number:
            via = addresses.node_address(other)
            _ip(*inside, "route", "replace", addresses.pod_range(other), "via", via)


def connect(number: int) -> None:
    """Plug the node's cable in."""
    _ip("link", "set", addresses.node_name(number), "up")


def disconnect(number: int) -> None:
    """Pull the node's cable out; what runs in it goes on running."""
    _ip("link", "set", addresses.node_name(number), "down")


def connected(number: int) -> bool:
    """Whether the node's cable is plugged in."""
    links = json.loads(_ip("-j", "link", "show", addresses.node_name(number)))
    return "UP" in links[0]["flags"]


def members(namespace: str) -> set[int]:
    """Every process in the namespace; pods have their own, unless they use their node's."""
    if not (NAMESPACES / namespace).exists():
        return set()
    return {int(word) for word in _ip("netns", "pids", namespace).split()}


def route_services(nodes: int) -> None:
    """Lead the host's packets for ClusterIPs through the first node that is connected."""
    for number in range(1, nodes + 1):
        if connected(number):
            _ip("route", "replace", addresses.SERVICE_NETWORK, "via", addresses.node_address(number))
            return


def remove() -> None:
    """Take away every trace of a cluster's network; nothing if there is none."""
    for name in _pod_namespaces():
        _ip("netns", "del", name)
    for number in range(1, settings.MAX_NODES + 1):
        name = addresses.node_name(number)
        if (NAMESPACES / name).exists():
            _ip("netns", "del", name)
        _delete_link(name)
        _forget_results(name)
    _delete_link(addresses.BRIDGE)
    for rule in FORWARD_RULES:
        while commands.succeeds(["iptables", "-w", "10", "-D", "FORWARD", *rule]):
            pass


def _forget_results(node: str) -> None:
    """Remove what CNI's library remembers of the node's pods: a file for eth0 and one for lo."""
    for cached in CNI_RESULTS.glob(f"{node}-*-eth0"):
        pod = cached.name.removeprefix(f"{node}-").removesuffix("-eth0")
        for file in (cached, CNI_RESULTS / f"cni-loopback-{pod}-lo"):
            file.unlink(missing_ok=True)


def leftovers() -> list[str]:
    """What of a cluster's network is there."""
    nodes = [addresses.node_name(number) for number in range(1, settings.MAX_NODES + 1)]
    found = [
        f"network namespace {name}" for name in [*nodes, *_pod_namespaces()] if (NAMESPACES / name).exists()
    ]
    return found + [f"network link {name}" for name in [addresses.BRIDGE, *nodes] if _exists(name)]


def _pod_namespaces() -> list[str]:
    """The namespaces of our pods: others on this machine may have some made by CNI as well."""
    pods = ipaddress.ip_network(addresses.POD_NETWORK)
    ours = []
    for path in NAMESPACES.glob("cni-*"):
        try:
            links = json.loads(_ip("-n", path.name, "-j", "addr", "show"))
        except errors.CommandFailedError:
            continue
        found = [entry["local"] for link in links for entry in link["addr_info"] if entry["family"] == "inet"]
        outside = [address for address in found if address != "127.0.0.1"]
        empty = len(links) == 1  # only lo: its veth went with the node's namespace
        if empty or any(ipaddress.ip_address(address) in pods for address in outside):
            ours.append(path.name)
    return ours


def _delete_link(name: str) -> None:
    """Delete a link, unless the kernel is faster: a veth goes some time after its other end's namespace."""
    try:
        if _exists(name):
            _ip("link", "del", name)
    except errors.CommandFailedError:
        if _exists(name):
            raise


def _exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def _ip(*words: str) -> str:
    return commands.run(["ip", *words])

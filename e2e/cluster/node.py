"""One node: start it, kill it as a power cut would, cut it off and heal it.

A node is five processes in a network namespace, and the control group that its pods live in.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path

from . import (
    addresses,
    cgroups,
    commands,
    controlplane,
    errors,
    kubectl,
    network,
    nodeconfig,
    pki,
    processes,
    registry,
    settings,
    toolchain,
)

PROGRAMS = ("kubelet", "netpold", "kube-proxy", "containerd")
CONTAINERD_SECONDS = 30
KILL_SECONDS = 15


def start(where: settings.Settings, programs: toolchain.Toolchain, number: int) -> None:
    """Start whatever of the node does not run, and plug it in; volumes outlive a kill."""
    _expect_number(where, number)
    node = _describe(where, number)
    network.connect(number)
    cgroups.create(node.name)
    _write_configuration(where, node)
    kubectl.Kubectl(where, programs).apply(nodeconfig.build_object(number))
    _start(where, node, "containerd", ["containerd", "--config", node.directory / "containerd.toml"])
    commands.wait_until(
        lambda: _serves(where, node), f"start of {node.name}'s containerd", CONTAINERD_SECONDS
    )
    _start(where, node, "kubelet", [programs["kubelet"], *_kubelet_flags(node)])
    _start(where, node, "kube-proxy", [programs["kube-proxy"], "--config", node.directory / "proxy.json"])
    flags = ["--kubeconfig", str(where.kubeconfig), "--node", node.name]
    _start(where, node, "netpold", [programs["netpold"], *flags])
    network.route_services(where.nodes)


def kill(where: settings.Settings, number: int) -> None:
    """Take the node's power: first its cable, so that nobody hears a farewell, then every process."""
    _expect_number(where, number)
    network.disconnect(number)
    network.route_services(where.nodes)
    kill_processes(where, number)


def cut(where: settings.Settings, number: int) -> None:
    """Pull the node's cable; its pods go on running, and nobody can reach them."""
    _expect_number(where, number)
    network.disconnect(number)
    network.route_services(where.nodes)


def heal(where: settings.Settings, number: int) -> None:
    """Plug the node's cable in again."""
    _expect_number(where, number)
    network.connect(number)
    network.route_services(where.nodes)


def kill_processes(where: settings.Settings, number: int) -> None:
    """SIGKILL to all that runs in the node's network namespace and in its control group."""
    name = addresses.node_name(number)

    def emptied() -> bool:
        pids = network.members(name) | cgroups.members(name)
        left = [process for pid in pids if (process := processes.identify(pid))]
        for process in left:
            processes.end(process, signal.SIGKILL)
        return not left

    commands.wait_until(emptied, f"death of what runs on {name}", KILL_SECONDS, 0.02)
    for program in PROGRAMS:
        processes.stop(where, f"{name}-{program}", signal.SIGKILL)


def forget_image(where: settings.Settings, reference: str) -> None:
    """Make the nodes fetch an image anew when they next need it, since its name now means another."""
    for number in range(1, where.nodes + 1):
        socket = where.node_directory(number) / "containerd.sock"
        if processes.alive(where, f"{addresses.node_name(number)}-containerd"):
            full = f"docker.io/{reference}"
            commands.run(["ctr", "--address", socket, "--namespace", "k8s.io", "images", "rm", full])


def _expect_number(where: settings.Settings, number: int) -> None:
    if not 1 <= number <= where.nodes:
        raise errors.NoSuchNodeError(
            f"there is no node {number}; this cluster has the nodes 1 to {where.nodes}"
        )


def _describe(where: settings.Settings, number: int) -> nodeconfig.Node:
    machine = _machine_bytes()
    return nodeconfig.Node(
        number=number,
        directory=where.node_directory(number),
        pki=where.pki,
        mirrors=registry.mirrors(where),
        resolv_conf=where.directory / "resolv.conf",
        memory_bytes=nodeconfig.memory_per_node(machine, where.nodes),
        machine_bytes=machine,
    )


def _machine_bytes() -> int:
    first = Path("/proc/meminfo").read_text().splitlines()[0]
    return int(first.split()[1]) * 1024


def _write_configuration(where: settings.Settings, node: nodeconfig.Node) -> None:
    for folder in ("cni", "kubelet", "logs"):
        (node.directory / folder).mkdir(parents=True, exist_ok=True)
    node.resolv_conf.write_text(f"nameserver {addresses.HOST}\n")
    (node.directory / "containerd.toml").write_text(nodeconfig.build_containerd(node))
    proxy = nodeconfig.build_proxy(node, controlplane.kubeconfig(where, "kube-proxy"))
    for file, value in {
        "cni/10-bridge.conflist": nodeconfig.build_cni(node),
        "kubelet.json": nodeconfig.build_kubelet(node),
        "proxy.json": proxy,
    }.items():
        (node.directory / file).write_text(json.dumps(value, indent=2))
    pki.write_kubeconfig(where, node.name, node.directory / "kubeconfig")


def _kubelet_flags(node: nodeconfig.Node) -> list[str]:
    return [
        f"--config={node.directory / 'kubelet.json'}",
        f"--kubeconfig={node.directory / 'kubeconfig'}",
        f"--root-dir={node.directory / 'kubelet'}",
        f"--cert-dir={node.directory / 'certs'}",
        f"--hostname-override={node.name}",
        f"--node-ip={addresses.node_address(node.number)}",
    ]


def _start(
    where: settings.Settings, node: nodeconfig.Node, program: str, argv: list[commands.Argument]
) -> None:
    processes.start(where, f"{node.name}-{program}", argv, netns=node.name)


def _serves(where: settings.Settings, node: nodeconfig.Node) -> bool:
    processes.expect_alive(where, f"{node.name}-containerd")
    return commands.succeeds(["ctr", "--address", node.socket, "version"])

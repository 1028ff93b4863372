"""The `cluster` command: words to calls, errors to one line and status 1."""

from __future__ import annotations

import argparse
import contextlib
import sys

from . import (
    addresses,
    controlplane,
    errors,
    kubectl,
    lifecycle,
    machine,
    network,
    node,
    packages,
    processes,
    publish,
    settings,
    toolchain,
)

NODE_COMMANDS = {
    "node-kill": "cut node N's power: its cable dies, then every process on it",
    "node-start": "start node N again",
    "node-cut": "pull node N's cable; what runs on it goes on",
    "node-heal": "plug node N's cable in again",
}
API_COMMANDS = {
    "api-stop": "end the API server; everything else goes on",
    "api-start": "start the API server again",
}
DESCRIPTION = """A real Kubernetes on this machine, for tests. Environment: NODES (3), GRACE (8s: until a
silent node is NotReady), TOLERATION (10s: until its pods are evicted), CLUSTER_DIR (where it lives), CACHE
(where what is built stays)."""


def main() -> int:
    """Run one command and return its exit status."""
    arguments = _parser().parse_args()
    try:
        _run(arguments, settings.from_environment())
    except errors.ClusterError as problem:
        sys.stderr.write(f"cluster: {problem}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cluster", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="bring it up, after removing what an earlier one has left")
    down = commands.add_parser("down", help="remove it whole")
    for changing in (up, down):
        changing.add_argument("--within-tests", action="store_true", help="the tests themselves ask for it")
    commands.add_parser("status", help="say what runs")
    commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    commands.add_parser("packages", help="install the Debian packages that are missing")
    commands.add_parser("build", help="build the programs that the cache lacks")
    load = commands.add_parser("load-image", help="push images to the cluster's registry")
    load.add_argument(
        "images", nargs="+", metavar="IMG", help="a name in the build store, or an archive of docker save"
    )
    for name, text in NODE_COMMANDS.items():
        commands.add_parser(name, help=text).add_argument("number", type=int, metavar="N")
    for name, text in API_COMMANDS.items():
        commands.add_parser(name, help=text)
    return parser


def _run(arguments: argparse.Namespace, where: settings.Settings) -> None:
    match arguments.command:
        case "packages":
            packages.ensure()
        case "build":
            toolchain.build_all(where.cache)
        case "status":
            _print_status(_claimed())
        case "kubeconfig":
            print(_claimed().kubeconfig)
        case "load-image":
            for image in arguments.images:
                publish.push(_claimed(), image)
        case _:
            with machine.lock():
                _change(arguments, where)


def _change(arguments: argparse.Namespace, where: settings.Settings) -> None:
    match arguments.command:
        case "up" | "down" as command:
            change = lifecycle.up if command == "up" else lifecycle.down
            with contextlib.nullcontext() if arguments.within_tests else machine.between_sessions():
                change(where)
        case "node-start":
            there = _claimed()
            node.start(there, toolchain.build_all(there.cache), arguments.number)
        case "api-stop":
            processes.stop(_claimed(), "kube-apiserver")
        case "api-start":
            there = _claimed()
            controlplane.start(there, toolchain.build_all(there.cache))
        case "node-kill":
            node.kill(_claimed(), arguments.number)
        case "node-cut":
            node.cut(_claimed(), arguments.number)
        case "node-heal":
            node.heal(_claimed(), arguments.number)


def _claimed() -> settings.Settings:
    there = machine.claimed()
    if there is None:
        raise errors.ClusterError("there is no cluster on this machine; `cluster up` brings one up")
    return there


def _print_status(where: settings.Settings) -> None:
    for name in reversed(processes.names(where)):
        print(f"{name:<24} {'runs' if processes.alive(where, name) else 'has ended'}")
    for number in range(1, where.nodes + 1):
        print(f"{addresses.node_name(number):<24} {'connected' if network.connected(number) else 'cut off'}")
    ask = kubectl.Kubectl(where, toolchain.build_all(where.cache))
    print(ask("get", "nodes,pods", "--all-namespaces", "-o", "wide"))

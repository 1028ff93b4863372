"""Bring the cluster up and take it down: a table of contents.

Rule: `up` begins with a `down` of whatever an earlier cluster has left, however that one ended; and
`down` leaves nothing, and says so if it can't.
"""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import (
    addresses,
    cgroups,
    commands,
    controlplane,
    errors,
    infra,
    kubectl,
    machine,
    network,
    node,
    nodeconfig,
    packages,
    pki,
    processes,
    progress,
    registry,
    rights,
    s3,
    settings,
    toolchain,
)

ADDONS = Path(__file__).parent / "addons"
READY_SECONDS = 120
KUBELET_GAP_SECONDS = 1.0


def up(where: settings.Settings) -> None:
    """Install, build, clear and start; return when nodes and DNS are ready."""
    packages.ensure()
    rights.check()
    programs = toolchain.build_all(where.cache)
    down(where)
    machine.claim(where)
    with progress.step(f"cluster of {where.nodes} nodes is up"):
        with progress.step("keys, network, registry, S3"):
            pki.create(where)
            network.create(where)
            registry.start(where)
            infra.push(where, programs)
            s3.start(where, programs)
        with progress.step("control plane ready"):
            controlplane.start(where, programs)
        with progress.step("nodes ready"):
            _start_nodes(where, programs)
        with progress.step("volumes and DNS ready"):
            _start_addons(where, programs)


def _start_nodes(where: settings.Settings, programs: toolchain.Toolchain) -> None:
    ask = kubectl.Kubectl(where, programs)
    numbers = range(1, where.nodes + 1)
    ask.apply(*(nodeconfig.build_object(number) for number in numbers))
    ask.apply_file(ADDONS / "kube-proxy.yaml")
    with ThreadPoolExecutor(where.nodes) as pool:
        list(pool.map(lambda number: _start_in_turn(where, programs, number), numbers))
    commands.wait_until(lambda: _are_ready(where, programs), "readiness of the nodes", READY_SECONDS)


def _start_in_turn(where: settings.Settings, programs: toolchain.Toolchain, number: int) -> None:
    """Start a node a moment after the one before it.

    Kubelets of one machine share a socket below /var/lib/kubelet: of two that come to it at the same moment
    one finds it taken, and ends.
    """
    time.sleep((number - 1) * KUBELET_GAP_SECONDS)
    node.start(where, programs, number)


def _are_ready(where: settings.Settings, programs: toolchain.Toolchain) -> bool:
    """Wait a little for the nodes; where they are not ready then, start again what has ended."""
    ask = kubectl.Kubectl(where, programs)
    try:
        ask("wait", "--for=condition=Ready", "node", "--all", "--timeout=15s", timeout=25)
    except (errors.CommandFailedError, errors.TimedOutError):
        for number in range(1, where.nodes + 1):
            node.start(where, programs, number)
        return False
    return True


def _start_addons(where: settings.Settings, programs: toolchain.Toolchain) -> None:
    volumes = where.directory / "volumes"
    volumes.mkdir(exist_ok=True)
    flags = ["--kubeconfig", str(where.kubeconfig), "--root", str(volumes)]
    processes.start(where, "volumed", [programs["volumed"], *flags])
    ask = kubectl.Kubectl(where, programs)
    ask.apply_file(ADDONS)
    rollout = ["-n", "kube-system", "rollout", "status", "deployment/coredns", f"--timeout={READY_SECONDS}s"]
    ask(*rollout, timeout=READY_SECONDS + 10)


def down(where: settings.Settings) -> None:
    """Remove the machine's cluster, wherever its folder is, and check that nothing is left."""
    there = machine.claimed() or where
    if not (there.directory / machine.MARK).exists() and not network.leftovers():
        return
    with progress.step("cluster is down"):
        with ThreadPoolExecutor(settings.MAX_NODES) as pool:
            list(
                pool.map(lambda number: node.kill_processes(there, number), range(1, settings.MAX_NODES + 1))
            )
        for name in processes.names(there):
            processes.stop(there, name)
        _unmount(there.directory)
        network.remove()
        for number in range(1, settings.MAX_NODES + 1):
            cgroups.remove(addresses.node_name(number))
        _remove_folder(there.directory)
        machine.release()
        left = leftovers(there)
        if left:
            raise errors.ClusterError("the cluster has left behind: " + ", ".join(left))


def leftovers(where: settings.Settings) -> list[str]:
    """Whatever of a cluster is on this machine."""
    found = network.leftovers() + [f"mount {path}" for path in _mounts(where.directory)]
    for number in range(1, settings.MAX_NODES + 1):
        found += cgroups.leftovers(addresses.node_name(number))
    if where.directory.exists():
        found.append(f"folder {where.directory}")
    return found


def _unmount(directory: Path) -> None:
    for path in reversed(_mounts(directory)):
        commands.run(["umount", "--lazy", path])


def _mounts(directory: Path) -> list[str]:
    paths = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return [path for path in paths if path.startswith(f"{directory}/")]


def _remove_folder(directory: Path) -> None:
    if _mounts(directory):
        raise errors.ClusterError(f"something is still mounted below {directory}, so it is not removed")
    if not (directory / machine.MARK).exists():
        return
    for path in directory.iterdir():  # the mark goes last: without it nobody would dare to go on with this
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != machine.MARK:
            path.unlink()
    shutil.rmtree(directory)

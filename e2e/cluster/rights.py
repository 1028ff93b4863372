"""Try, before anything is built, what the nodes will need of this machine.

Each trial makes the thing itself and takes it away again; the error names every right that is missing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import cgroups, commands, errors

TRIAL = "vectorfleet-try"
LINK = "vf-try0"  # at most 15 characters


def check() -> None:
    """Fail with the list of what this machine refuses."""
    if os.geteuid() != 0:
        raise errors.RightMissingError(
            "the cluster needs root: it makes network namespaces, mounts and control groups"
        )
    trials: dict[str, Callable[[], None]] = {
        "network namespaces (CAP_SYS_ADMIN, `ip netns add`)": _try_namespace,
        "network links (CAP_NET_ADMIN, `ip link add` of bridge and veth)": _try_links,
        "packet filter (`iptables` with conntrack and nat)": _try_iptables,
        "overlay mounts (CAP_SYS_ADMIN, `mount -t overlay`)": _try_overlay,
        "control groups (writable below /sys/fs/cgroup)": _try_cgroup,
    }
    refused = []
    for right, trial in trials.items():
        try:
            trial()
        except (errors.CommandFailedError, OSError) as problem:
            refused.append(f"  {right}: {problem}")
    if refused:
        raise errors.RightMissingError(
            "this machine refuses what a Kubernetes node needs:\n" + "\n".join(refused)
        )


def _try_namespace() -> None:
    commands.run(["ip", "netns", "add", TRIAL])
    commands.run(["ip", "netns", "del", TRIAL])


def _try_links() -> None:
    for kind in (["bridge"], ["veth", "peer", "name", "vf-try1"]):
        commands.run(["ip", "link", "add", LINK, "type", *kind])
        commands.run(["ip", "link", "del", LINK])


def _try_iptables() -> None:
    rule = ["FORWARD", "-m", "conntrack", "--ctstate", "INVALID", "-s", "192.0.2.1", "-j", "DROP"]
    commands.run(["iptables", "-w", "10", "-A", *rule])
    commands.run(["iptables", "-w", "10", "-D", *rule])
    commands.run(["iptables", "-w", "10", "-t", "nat", "-S"])


def _try_overlay() -> None:
    with tempfile.TemporaryDirectory(
        dir="/var/tmp"
    ) as scratch:  # /tmp may be of a kind that can't be a layer
        for name in ("lower", "upper", "work", "merged"):
            Path(scratch, name).mkdir()
        options = f"lowerdir={scratch}/lower,upperdir={scratch}/upper,workdir={scratch}/work"
        commands.run(["mount", "-t", "overlay", "overlay", "-o", options, f"{scratch}/merged"])
        commands.run(["umount", f"{scratch}/merged"])


def _try_cgroup() -> None:
    roots = cgroups.hierarchies()
    if not roots:
        raise OSError("none is mounted")
    for root in roots:
        (root / TRIAL).mkdir(exist_ok=True)
        (root / TRIAL).rmdir()

"""The Debian packages that the cluster is made of, installed when they are missing.

Rule: what is there is not asked for again, so a second run needs no network.
"""

from __future__ import annotations

import shutil

from . import commands, errors, progress

PACKAGES = (
    "buildah",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "debootstrap",
    "docker-registry",
    "etcd-server",
    "ethtool",
    "iproute2",
    "ipset",
    "iptables",
    "openssl",
    "procps",
    "runc",
    "socat",
    "util-linux",
)
INSTALL_SECONDS = 1800


def ensure() -> None:
    """Install whatever of PACKAGES is missing; needs apt and root."""
    if shutil.which("dpkg-query") is None:
        raise errors.ToolMissingError(
            f"this machine has no apt; install what Debian calls {' '.join(PACKAGES)} by hand"
        )
    missing = [name for name in PACKAGES if not _installed(name)]
    if not missing:
        return
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with progress.step(f"installed {' '.join(missing)}"):
        commands.run(["apt-get", "update", "-qq"], env=quiet, timeout=INSTALL_SECONDS)
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing]
        commands.run(install, env=quiet, timeout=INSTALL_SECONDS)


def _installed(name: str) -> bool:
    try:
        status = commands.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", name])
    except errors.CommandFailedError:
        return False
    return status == "installed"

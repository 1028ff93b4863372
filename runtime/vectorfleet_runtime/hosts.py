"""Where a shard's replica listens: a hosts file first, where one is given, and DNS else.

The hosts file, in the form of /etc/hosts, stands in for a cluster's DNS on a machine that has none.
"""

import ipaddress
from pathlib import Path


def target_of(address: str, hosts_file: Path | None) -> str:
    """Return the gRPC target of an address, `host:port`.

    The file is read each time: it is short, and asked only when a connection is made.
    """
    host, _, port = address.rpartition(":")
    known = lookup(host, hosts_file.read_text()) if hosts_file and hosts_file.is_file() else None
    if known is None:
        return f"dns:///{address}"
    if isinstance(ipaddress.ip_address(known), ipaddress.IPv6Address):
        return f"ipv6:[{known}]:{port}"
    return f"ipv4:{known}:{port}"


def lookup(host: str, text: str) -> str | None:
    """Return the first address that a hosts file gives a name, or None. Pure."""
    wanted = host.lower().rstrip(".")
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if wanted in (name.lower().rstrip(".") for name in names):
            return address
    return None

"""Ways between pods: whether a process in one gets a connection to another."""

from __future__ import annotations

from cluster import commands, errors

from . import handle

PUBLIC, SHARD, METRICS = 8080, 7400, 9090
LISTENING = 8000
"""Where a pod of a test's own listens."""
_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2).close()"


def connects(cluster: handle.Handle, namespace: str, pod: str, host: str, port: int) -> bool:
    """Whether a process in a pod gets a connection."""
    try:
        cluster.kubectl("-n", namespace, "exec", pod, "--", "python3", "-c", _CONNECT, host, str(port))
    except errors.ClusterError:
        return False
    return True


def pods(cluster: handle.Handle, namespace: str, labels: str) -> list[tuple[str, str]]:
    """Names and addresses of the pods with such labels that are there to stay."""
    found = cluster.kubectl.get("-n", namespace, "pods", "-l", labels)["items"]
    return [
        (one["metadata"]["name"], one["status"]["podIP"])
        for one in found
        if "deletionTimestamp" not in one["metadata"] and one["status"].get("podIP")
    ]


def listen(cluster: handle.Handle, namespace: str, pod: str, caller: str) -> str:
    """Have a pod of a test's own listen, see that another one reaches it, and return its address."""
    address = str(cluster.kubectl.get("-n", namespace, "pod", pod)["status"]["podIP"])
    serve = f"nohup python3 -m http.server {LISTENING} >/dev/null 2>&1 &"
    cluster.kubectl("-n", namespace, "exec", pod, "--", "sh", "-c", serve)
    commands.wait_until(
        lambda: connects(cluster, namespace, caller, address, LISTENING), "a server to be reached", 20
    )
    return address

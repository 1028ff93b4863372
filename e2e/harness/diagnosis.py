"""What the cluster looked like when a test failed: the ends of logs and events, shown with its failure."""

from __future__ import annotations

from cluster import errors

from . import handle, install

_LINES = 25
_SELECTED = "app.kubernetes.io/component={}"
_CONFIGURATIONS = (
    "jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {.status.configuration} "
    '{range .status.conditions[?(@.status!="True")]}{.type}: {.message}; {end}{"\\n"}{end}'
)


def sections(cluster: handle.Handle) -> list[tuple[str, str]]:
    """A title and a text for each thing to look at; what can't be had says why."""
    operator = ("-n", install.NAMESPACE, "-l", _SELECTED.format("operator"))
    asked = [
        ("pods", ("get", "pods", "-A", "-o", "wide")),
        ("shards", ("get", "vectorshards", "-A", "-o", _CONFIGURATIONS)),
        ("events", ("get", "events", "-A", "--sort-by=.lastTimestamp")),
        ("the operator's log", ("logs", *operator, "--prefix", f"--tail={_LINES}")),
    ]
    for namespace in _namespaces(cluster):
        shards = ("-n", namespace, "-l", _SELECTED.format("shard"))
        asked.append((f"shards' logs in {namespace}", ("logs", *shards, "--prefix", f"--tail={_LINES}")))
    return [(title, _end(cluster, words)) for title, words in asked]


def _namespaces(cluster: handle.Handle) -> list[str]:
    try:
        found = cluster.kubectl.get("vectorindexes", "-A")["items"]
    except errors.ClusterError:
        return []  # said by what is asked for besides
    return sorted({one["metadata"]["namespace"] for one in found})


def _end(cluster: handle.Handle, words: tuple[str, ...]) -> str:
    try:
        told = cluster.kubectl(*words, timeout=20)
    except errors.ClusterError as error:
        told = str(error)
    return "\n".join(told.splitlines()[-2 * _LINES :])

"""What keeps pods from being ready, in one sentence: PURE."""

from collections.abc import Iterable, Mapping
from typing import Any

from . import ports

_HARMLESS = frozenset({"ContainerCreating", "PodInitializing", ""})


def explain(pods: Iterable[ports.Manifest]) -> str:
    """Return why the first pod that is in trouble is, empty where none is."""
    for pod in pods:
        status = pod.get("status") or {}
        if reason := _unschedulable(status) or _waiting(status):
            return f"pod {pod['metadata']['name']}: {reason}"
    return ""


def _unschedulable(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _sentence(condition)
    return ""


def _waiting(status: Mapping[str, Any]) -> str:
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason", "") not in _HARMLESS:
            ended = (container.get("lastState") or {}).get("terminated") or {}
            code = f" (last exit code {ended['exitCode']})" if "exitCode" in ended else ""
            return _sentence(waiting) + code
    return ""


def _sentence(state: Mapping[str, Any]) -> str:
    return ": ".join(part for part in (state.get("reason", ""), state.get("message", "")) if part)

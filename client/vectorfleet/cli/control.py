"""The control plane's API of a state directory, from a user's side: its first key, and where it is."""

import base64
import pathlib
import secrets
import socket
import urllib.parse
from typing import Any

from vectorfleet_operator.adapters.local import view


def build_secret() -> dict[str, Any]:
    """Return the Secret with a new key of the control plane."""
    key = "vf-" + secrets.token_urlsafe(32)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": view.CONTROL_SECRET, "namespace": view.CONTROL_NAMESPACE},
        "data": {"api-key": base64.b64encode(key.encode()).decode()},
    }


def answers(api: view.ControlView | None) -> bool:
    """Whether the control plane's API takes connections."""
    if api is None or not api.endpoint or not api.api_key_file:
        return False
    where = urllib.parse.urlsplit(api.endpoint)
    try:
        socket.create_connection((str(where.hostname), where.port or 80), timeout=1).close()
    except OSError:
        return False
    return True


def describe(api: view.ControlView, *, show_key: bool) -> str:
    """Return a line that tells where it is, and the key or where that is."""
    if not show_key:
        return f"control plane: {api.endpoint}, API key file {api.api_key_file}"
    key = pathlib.Path(api.api_key_file).read_text() if api.api_key_file else ""
    return f"control plane: {api.endpoint}, API key {key}"


def as_json(api: view.ControlView) -> dict[str, str]:
    """Return the same for programs."""
    return {"endpoint": api.endpoint, "apiKeyFile": api.api_key_file}

"""The image registry on the host, which every node takes for the mirror of all others.

So manifests keep their images' real names, `imagePullPolicy` means what it says, and no node ever asks
anyone outside. Its data stays in the cache, so that a layer is pushed once and not for each cluster.
"""

from __future__ import annotations

import http.client
import json
from pathlib import Path

from . import addresses, commands, processes, settings

NAME = "registry"
READY_SECONDS = 30


def start(where: settings.Settings) -> None:
    """Drop the layers that no tag names any more, start the registry and tell the nodes of it."""
    data = where.cache / "registry"
    data.mkdir(parents=True, exist_ok=True)
    config = where.directory / "registry.json"
    config.write_text(json.dumps(_configuration(data), indent=2))
    if (data / "docker" / "registry" / "v2" / "repositories").exists():
        commands.run(["docker-registry", "garbage-collect", "--delete-untagged", config])
    mirror = mirrors(where) / "_default" / "hosts.toml"
    mirror.parent.mkdir(parents=True, exist_ok=True)
    url = f"http://{addresses.REGISTRY}"
    mirror.write_text(f'server = "{url}"\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n')
    processes.start(where, NAME, ["docker-registry", "serve", config])
    commands.wait_until(lambda: _answers(where), "start of the registry", READY_SECONDS)


def mirrors(where: settings.Settings) -> Path:
    """The folder that tells containerd where to look for images."""
    return where.directory / "mirrors"


def _configuration(data: Path) -> dict[str, object]:
    return {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(data)}, "delete": {"enabled": True}},
        "http": {"addr": addresses.REGISTRY, "secret": "one process signs for itself alone"},
    }


def _answers(where: settings.Settings) -> bool:
    processes.expect_alive(where, NAME)
    connection = http.client.HTTPConnection(addresses.REGISTRY, timeout=5)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()

"""An S3 server on the host, with object versions, for whatever is to be kept outside of the cluster.

Its keys are made for each cluster. Pods reach it as `s3.e2e-infra:9000`, the host as 10.89.0.1:9000.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass

from . import addresses, commands, processes, settings, toolchain

NAME = "s3"
REGION = "us-east-1"
READY_SECONDS = 30


@dataclass(frozen=True)
class Account:
    """How to speak to the server."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str


def start(where: settings.Settings, programs: toolchain.Toolchain) -> None:
    """Start the server with new keys, and wait until it listens."""
    account = Account(f"http://{addresses.S3}", secrets.token_hex(10), secrets.token_hex(20), REGION)
    path = where.directory / "s3.json"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(account), file)
    data, versions = where.directory / "s3" / "data", where.directory / "s3" / "versions"
    for folder in (data, versions):
        folder.mkdir(parents=True, exist_ok=True)
    argv: list[commands.Argument] = [programs["versitygw"], "--quiet"]
    argv += ["--port", addresses.S3, "--region", REGION]
    keys = {"ROOT_ACCESS_KEY": account.access_key, "ROOT_SECRET_KEY": account.secret_key}
    processes.start(where, NAME, [*argv, "posix", "--versioning-dir", versions, data], env=keys)
    commands.wait_until(lambda: _listens(where), "start of the S3 server", READY_SECONDS)


def account(where: settings.Settings) -> Account:
    """The keys of the running server."""
    return Account(**json.loads((where.directory / "s3.json").read_text()))


def _listens(where: settings.Settings) -> bool:
    processes.expect_alive(where, NAME)
    host, _, port = addresses.S3.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True

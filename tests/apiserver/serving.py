"""A real API server: kube-apiserver with etcd and our definitions, no nodes, so that no pod ever starts."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import time
import urllib.request

import yaml
from services import loopback

from vectorfleet_operator.api import crd

TOKEN = "test"
LIMITED = "control-plane"
"""Another caller and its token, who may do what the chart grants the control plane's API."""
CACHE = pathlib.Path(os.environ.get("CACHE") or pathlib.Path.home() / ".cache/vectorfleet/e2e")
START_SECONDS = 60


def find_programs():
    """Return kube-apiserver and etcd, or None where one is missing."""
    servers = sorted(CACHE.glob("bin/kubernetes-*/kube-apiserver"), key=lambda path: path.stat().st_mtime)
    etcd = shutil.which("etcd")
    return (str(servers[-1]), etcd) if servers and etcd else None


@dataclasses.dataclass(frozen=True)
class Served:
    """A running API server: its address, and its process."""

    url: str
    process: subprocess.Popen


@contextlib.contextmanager
def serving(place):
    """Run one in a folder, until the block ends.

    Raises:
        FileNotFoundError: it was never built.
    """
    programs = find_programs()
    if programs is None:
        raise FileNotFoundError("kube-apiserver and etcd are not there: `make e2e` builds and installs them")
    etcd_port, peer_port, port = loopback.free_port(), loopback.free_port(), loopback.free_port()
    (place / "tokens.csv").write_text(f"{TOKEN},admin,1,system:masters\n{LIMITED},{LIMITED},2\n")
    subprocess.run(
        ["openssl", "genrsa", "-out", "sa.key", "2048"], cwd=place, check=True, capture_output=True
    )
    server, etcd = programs
    peer = f"http://127.0.0.1:{peer_port}"
    commands = (
        [
            etcd, "--data-dir", "etcd", "--unsafe-no-fsync", "--initial-cluster", f"default={peer}",
            "--listen-client-urls", f"http://127.0.0.1:{etcd_port}", "--listen-peer-urls", peer,
            "--advertise-client-urls", f"http://127.0.0.1:{etcd_port}", "--initial-advertise-peer-urls", peer,
        ],
        [
            server, "--etcd-servers", f"http://127.0.0.1:{etcd_port}", "--secure-port", str(port),
            "--bind-address", "127.0.0.1", "--cert-dir", "certs", "--token-auth-file", "tokens.csv",
            "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.97.0.0/24",
            "--service-account-issuer", "https://test.local", "--service-account-key-file", "sa.key",
            "--service-account-signing-key-file", "sa.key", "--disable-admission-plugins", "ServiceAccount",
        ],
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        for command in commands:
            log = stack.enter_context((place / f"{pathlib.Path(command[0]).name}.log").open("wb"))
            process = subprocess.Popen(command, cwd=place, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(stop, process)
        url = f"https://127.0.0.1:{port}"
        wait_until_ready(url)
        define_kinds(url)
        yield Served(url, process)


def stop(process):
    """End a process that the fixture started."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def call(url, path, method="GET", body=None, content="application/json"):
    """Call the API server as its administrator and return the answer."""
    request = urllib.request.Request(
        url + path,
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": content},
    )
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        text = answer.read()
    return json.loads(text) if text.startswith(b"{") else text


def wait_until_ready(url):
    """Wait for the API server."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            call(url, "/readyz")
            return
        time.sleep(0.2)
    raise AssertionError(f"the API server was not ready within {START_SECONDS} s")


def define_kinds(url):
    """Create our definitions, and wait until they are served."""
    for resource in crd.RESOURCES:
        definition = crd.build_crd(resource)
        call(url, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "POST", definition)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            for resource in crd.RESOURCES:
                call(url, f"/apis/{resource.kind.api_version}/namespaces/default/{resource.kind.plural}")
            return
        time.sleep(0.2)
    raise AssertionError("the definitions were not served")


def release(address, path):
    """Take the finalizers off an object, as their controllers would."""
    call(address, path, "PATCH", {"metadata": {"finalizers": None}}, "application/merge-patch+json")


def write_kubeconfig(folder, address):
    """Write a kubeconfig for kopf, which reads its own."""
    path = folder / "kubeconfig"
    cluster = {"server": address, "insecure-skip-tls-verify": True}
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {"token": TOKEN}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path

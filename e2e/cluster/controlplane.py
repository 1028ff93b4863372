"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler, on the host.

The API server listens on the bridge alone; what only the control plane itself asks for listens on
a loopback address of its own.
"""

from __future__ import annotations

from pathlib import Path

from . import addresses, commands, kubectl, pki, processes, settings, toolchain

READY_SECONDS = 90
# The client's default of 20 requests a second would slow down tests that make many objects.
CLIENT_RATE = ("--kube-api-qps=300", "--kube-api-burst=500")
NAMES = ("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd")  # the order to stop them in


def start(where: settings.Settings, programs: toolchain.Toolchain) -> None:
    """Start all four and return once the API server answers."""
    pki.write_kubeconfig(where, "admin", where.kubeconfig)
    for identity in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
        pki.write_kubeconfig(where, identity, kubeconfig(where, identity))
    processes.start(where, "etcd", ["etcd", *_etcd(where)])
    processes.start(where, "kube-apiserver", [programs["kube-apiserver"], *_apiserver(where)])
    ask = kubectl.Kubectl(where, programs)

    def ready() -> bool:
        processes.expect_alive(where, "etcd")
        processes.expect_alive(where, "kube-apiserver")
        return ask.answers("get", "--raw", "/readyz")

    commands.wait_until(ready, "readiness of the API server", READY_SECONDS)
    processes.start(
        where, "kube-controller-manager", [programs["kube-controller-manager"], *_controller_manager(where)]
    )
    processes.start(where, "kube-scheduler", [programs["kube-scheduler"], *_scheduler(where)])


def kubeconfig(where: settings.Settings, identity: str) -> Path:
    """The kubeconfig of a part of the control plane."""
    return where.directory / f"{identity}.kubeconfig"


def _etcd(where: settings.Settings) -> list[str]:
    return [
        f"--data-dir={where.directory / 'etcd'}",
        f"--listen-client-urls={addresses.ETCD}",
        f"--advertise-client-urls={addresses.ETCD}",
        f"--listen-peer-urls={addresses.ETCD_PEER}",
        f"--initial-advertise-peer-urls={addresses.ETCD_PEER}",
        f"--initial-cluster=default={addresses.ETCD_PEER}",
        "--unsafe-no-fsync",  # the cluster does not outlive the machine
    ]


def _apiserver(where: settings.Settings) -> list[str]:
    tolerations = where.toleration_seconds
    return [
        f"--etcd-servers={addresses.ETCD}",
        f"--bind-address={addresses.HOST}",
        "--secure-port=6443",
        f"--advertise-address={addresses.HOST}",
        f"--service-cluster-ip-range={addresses.SERVICE_NETWORK}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        f"--default-not-ready-toleration-seconds={tolerations}",
        f"--default-unreachable-toleration-seconds={tolerations}",
        # Straight to pod addresses for aggregated APIs and webhooks: the host has no kube-proxy.
        "--enable-aggregator-routing=true",
        *_apiserver_keys(where.pki),
    ]


def _apiserver_keys(keys: Path) -> list[str]:
    return [
        f"--tls-cert-file={keys / 'apiserver.crt'}",
        f"--tls-private-key-file={keys / 'apiserver.key'}",
        f"--client-ca-file={keys / 'ca.crt'}",
        f"--service-account-issuer=https://kubernetes.default.svc.{addresses.DNS_DOMAIN}",
        f"--service-account-key-file={keys / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={keys / 'service-accounts.key'}",
        f"--kubelet-client-certificate={keys / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={keys / 'apiserver-kubelet-client.key'}",
        f"--kubelet-certificate-authority={keys / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",  # the nodes' names are in no DNS
        f"--requestheader-client-ca-file={keys / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={keys / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={keys / 'front-proxy-client.key'}",
    ]


def _controller_manager(where: settings.Settings) -> list[str]:
    return [
        *_client(where, "kube-controller-manager"),
        f"--service-account-private-key-file={where.pki / 'service-accounts.key'}",
        f"--root-ca-file={where.pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={where.pki / 'ca.crt'}",
        f"--cluster-signing-key-file={where.pki / 'ca.key'}",
        "--use-service-account-credentials=true",
        "--allocate-node-cidrs=false",
        "--node-monitor-period=1s",
        f"--node-monitor-grace-period={where.grace_seconds}s",
        "--horizontal-pod-autoscaler-sync-period=5s",
    ]


def _scheduler(where: settings.Settings) -> list[str]:
    return _client(where, "kube-scheduler")


def _client(where: settings.Settings, identity: str) -> list[str]:
    own = kubeconfig(where, identity)
    return [
        f"--kubeconfig={own}",
        f"--authentication-kubeconfig={own}",
        f"--authorization-kubeconfig={own}",
        f"--bind-address={addresses.LOOPBACK}",
        "--leader-elect=false",
        *CLIENT_RATE,
    ]

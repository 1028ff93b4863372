"""A real Kubernetes on one machine, for the end-to-end tests.

Three nodes, each a network namespace with its own containerd, kubelet, kube-proxy and
NetworkPolicy enforcer, round one control plane, a registry and an S3 server. `cluster` in
this folder is the command; README.md says what it needs and what differs from real machines.
Rule: standard library only, so that it runs before anything is installed.
"""

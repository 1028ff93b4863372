"""The programs of the cluster that are our own have tests of their own, in their language."""

from __future__ import annotations

from cluster import commands, toolchain


def test_policy_enforcer_makes_the_rules_that_policies_ask_for() -> None:
    """The unit tests of netpold pass: who may reach whom, on which ports, without which addresses."""
    commands.run([toolchain.find_go(), "test", "./..."], cwd=toolchain.SOURCES / "netpold", timeout=500)

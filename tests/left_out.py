"""Tests that are skipped: always with a reason, and in continuous integration for known reasons alone.

A test that can't run where it should says nothing. So where `CI` is set and root runs the tests,
who may mount and make cgroups, a skip for another reason than these fails.
"""

import os
import re

import pytest

KNOWN = (
    "long; run by make soak",
    "there is a GPU here",
    "the engine gpu needs .*",
    "far from a query these codes tell neighbours apart no better than by chance",
    "the Cranfield collection is not in .*",
    "langchain-pinecone can't be installed here: .*",
    "kube-apiserver and etcd are not there: .*",
    "the call's number is not known here",
)
"""Reasons for which a test may be skipped anywhere: it can't run there whatever the rights."""


def everything_runs(environment, user):
    """Tell whether tests run where nothing may be missing.

    Args:
        environment: variables of the process.
        user: its number; 0 is root.
    """
    return environment.get("CI", "").lower() not in ("", "0", "false") and user == 0


def is_known(reason):
    """Tell whether a test may be skipped for this reason wherever it runs."""
    return any(re.fullmatch(one, reason, re.DOTALL) for one in KNOWN)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Let a skip fail that should not be."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and everything_runs(os.environ, os.geteuid()):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not is_known(reason):
            report.outcome = "failed"
            report.longrepr = (
                f"skipped in continuous integration: {reason!r}; let it run here, or, where it can't, "
                "give the reason to tests/left_out.py"
            )
    return report

"""Putting a changed function in the place of one of the product's, for as long as a mutation is in force."""

import contextlib
from unittest import mock

PATCHES = {}  # name -> what stands in the place of what
DESCRIPTIONS = {}  # name -> what the mutation is


def patch(target, name, mutation=""):
    """Let a function stand in the place of a method while a mutation is in force; its own, or a named one."""

    def register(function):
        original = getattr(target, name)
        named = mutation or function.__name__
        DESCRIPTIONS.setdefault(named, function.__doc__)
        PATCHES.setdefault(named, []).append((target, name, function(original)))
        return function

    return register


@contextlib.contextmanager
def applied(mutation):
    """Put a mutation into force; gives the rules that replicas and operators are to drop."""
    with contextlib.ExitStack() as stack:
        for target, name, changed in PATCHES.get(mutation, []):
            stack.enter_context(mock.patch.object(target, name, changed))
        yield frozenset({mutation})

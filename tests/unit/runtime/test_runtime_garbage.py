"""What there is when a process begins to serve is left out of looks for garbage; what is new is not."""

import gc
import weakref

from vectorfleet_runtime import garbage


class Knot:
    """An object that only the collector can let go."""

    def __init__(self):
        self.itself = self


def test_what_was_there_is_not_looked_at():
    """Garbage of before stays while serving, for it would cost a look at everything else; then it goes."""
    with garbage.set_apart():
        old = Knot()
        with garbage.set_apart():
            gone = weakref.ref(old)
            del old
            gc.collect()
            assert gone() is not None
        assert gone() is None


def test_what_is_new_is_let_go():
    """Cyclic garbage of requests is collected without being asked for, after no more than 12,000 objects."""
    with garbage.set_apart():
        gone = weakref.ref(Knot())
        kept = [[] for _ in range(12_000)]
        assert gone() is None
    assert len(kept) == 12_000


def test_thresholds_are_given_back():
    """A process that serves no more collects as it did before, an exception or not."""
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        with garbage.set_apart():
            assert gc.get_threshold() != before
            raise KeyError
    except KeyError:
        pass
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, frozen)

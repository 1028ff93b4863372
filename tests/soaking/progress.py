"""How far a long test is: a bar on a terminal, a line a minute elsewhere."""

import sys
import time

from rich import console, progress

_LINE_SECONDS = 60.0


class Bar:
    """Counts what is done.

    Args:
        what: is counted, such as "schedules".
        total: how many there will be.
    """

    def __init__(self, what, total):
        self._what, self._total = what, total
        self._began = self._told = time.monotonic()
        shown = console.Console(stderr=True)
        self._bar = progress.Progress(
            progress.TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + what),
            progress.BarColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.description}"),
            console=shown,
            disable=not shown.is_terminal,
        )
        self._task = self._bar.add_task("", total=total)

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def reach(self, done, found):
        """Show that so many are done, and what was found so far."""
        self._bar.update(self._task, completed=done, description=found)
        now = time.monotonic()
        if self._bar.disable and (now - self._told >= _LINE_SECONDS or done == self._total):
            self._told = now
            self.tell(f"{done} of {self._total} {self._what} in {now - self._began:.0f} s; {found}")

    def tell(self, line):
        """Show a line that stays."""
        if self._bar.disable:
            sys.stderr.write(f"\n{line}")
            sys.stderr.flush()
        else:
            self._bar.console.print(line, highlight=False)

"""The program of `builder_process`: `python -m …segments.background PARENT NICENESS idle|nice`.

It steps back before it loads what computes: libraries start threads when they are imported, a thread keeps
the priority that it began with, and an import alone takes half a second that queries could have had. Then it
does one job after the other, whose paths come on standard input; where one fails, it ends.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

from . import yielding

_PR_SET_PDEATHSIG = 1
_VICTIM = Path("/proc/self/oom_score_adj")
"""Where memory runs out all the same, the kernel is to end a builder, and not the process that serves."""


def main() -> int:
    """Step back, and run the jobs."""
    parent, niceness, standing = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        return 1  # it died before the signal was asked for
    yielding.step_back(int(niceness), yields=standing == yielding.IDLE)
    _VICTIM.write_text("1000")
    from .. import relief  # noqa: PLC0415 (only now, see above)
    from . import builder, builder_process  # noqa: PLC0415

    for line in sys.stdin:
        builder.carry_out(Path(line.removesuffix("\n")))
        relief.give_back()
        os.write(sys.stdout.fileno(), builder_process.DONE)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A volume of one replica's own, which is made full and roomy again while its process runs."""

import os
import subprocess

_ROOMY = 1 << 30
_LEFT = 48 << 10  # bytes, so that some writes still fit, and one breaks off in the middle
_TRIES = 50


class Volume:
    """A tmpfs in an existing folder; it takes memory only for what is in it.

    Args:
        folder: where it is mounted.

    Raises:
        PermissionError: mounting needs the right to mount.
    """

    def __init__(self, folder):
        self.folder = folder
        if refusal := self._mount(f"size={_ROOMY}", "-t", "tmpfs", "tmpfs"):
            raise PermissionError(f"nothing can be mounted here: {refusal}")

    def _mount(self, options, *how):
        """Mount it; returns why it can't be, empty where it is."""
        command = ["mount", *how, "-o", options, str(self.folder)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        return (done.stderr.strip() or f"mount ended with {done.returncode}") if done.returncode else ""

    def fill(self):
        """Leave room for hardly anything; what is written meanwhile may need another try."""
        for _ in range(_TRIES):
            found = os.statvfs(self.folder)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            if not self._mount(f"remount,size={used + _LEFT}"):
                return
        raise AssertionError(f"{self.folder} grows too fast to be made full")

    def make_room(self):
        """Let there be room again."""
        assert not self._mount(f"remount,size={_ROOMY}")

    def close(self):
        """Unmount it."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

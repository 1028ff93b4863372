"""Story: the volume of a replicated shard's primary is full; another member leads until there is room again.

Clients write and read all the while. Writers use the SDK's retries, readers none. The times are printed.
"""

from __future__ import annotations

import time

from harness import index, load, shard, volumes

SECONDS = 120
WARM_UP_SECONDS = 2.0
WATCHED_SECONDS = 4.0


def test_a_primary_whose_volume_is_full_hands_over(three: shard.Shard, recorded: load.Recorder) -> None:
    """Left hardly any room, it hands over, and writes go on; with room again it is a member as before."""
    full = three.primary
    with volumes.apart(three, full) as disk:
        if three.primary != full:
            three.hand_over(full)
        before = three.disk(full)
        with recorded("the volume of the primary is full") as clients:
            time.sleep(WARM_UP_SECONDS)
            clients.event()
            disk.fill()
            index.wait_until(lambda: three.primary != full, SECONDS)
            clients.expect_writes(SECONDS)
            time.sleep(WATCHED_SECONDS)
            clients.expect_writes(SECONDS)
            told = three.of.condition("DiskPressure")
            assert (told["status"], told["reason"]) == ("True", "VolumeFull")
            assert told["message"].startswith(f"shard 0: {full}: ")
            disk.make_room()
            three.wait_until_whole()
            clients.expect_writes(SECONDS)
        assert three.disk(full) == before, "it was filled again, though it had lost nothing"
    three.wait_until_whole()

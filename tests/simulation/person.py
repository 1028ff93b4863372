"""The person who answers for a simulated shard: accepts a loss where too many disks are gone.

Some of those disks are found again later.

What was acknowledged and is on no disk that is left is gone then, by that person's own word. So the promises,
and what clients may see, begin anew from what the survivor holds (`promises.Promises.accept`).
"""

_LOOKS = 40  # units of time between two looks at the shard


class Person:
    """Looks at the shard now and then.

    Attributes:
        accepted: what the VectorShard's annotation says, empty where it has none.
        found: disks by the name of the replica that had them, which may be put back.
        given_back: how many were.
    """

    def __init__(self, world):
        self._world = world
        self.accepted = ""
        self.found = {}
        self.given_back = 0
        self._bereft = False
        world.clock.after(_LOOKS, self._look)

    def _look(self):
        self._world.clock.after(_LOOKS, self._look)
        current = self._world.register.status.configuration
        if current is None or not self._bereft:
            return
        left = [one for one in current.members if self._has(one)]
        if len(left) < len(current.members) - current.write_quorum + 1 and left:
            self.accepted = f"{self._world.rng.choice(left).name}@{current.epoch}"

    def _has(self, member):
        """Tell whether a member's disk is there, and may be read."""
        disk = self._world.nodes[member.name].disk
        return disk.identity == member.disk and not disk.damaged

    def bereave(self, current):
        """Let all members but one lose their disks, and keep one of those for later."""
        rng, nodes = self._world.rng, self._world.nodes
        gone = rng.sample([one.name for one in current.members], len(current.members) - 1)
        self._bereft = True
        self.found = {gone[0]: nodes[gone[0]].disk}
        for name in gone:
            nodes[name].lose_disk()
            self._world.restart_later(nodes[name])

    def give_back(self):
        """Put a disk back that was found, in place of what its replica has now."""
        name, disk = self.found.popitem()
        node = self._world.nodes[name]
        node.crash()
        node.disk, disk.returned = disk, True
        self.given_back += 1
        self._world.restart_later(node)

    def takes_effect(self, before, after):
        """The configuration was changed: where that is the loss that was accepted, all begins anew."""
        survivor, _, epoch = self.accepted.rpartition("@")
        if before is None or after is None or epoch != str(before.epoch) or survivor != after.primary:
            return
        if [one.name for one in after.members] != [survivor] or len(before.members) == 1:
            return
        disk = self._world.nodes[survivor].disk
        kept = self._world.promises.accept(disk)
        self._world.histories.begin_anew(lambda key: self._world.promises.value(key, kept))

"""What befalls a simulated shard: each function is one kind of trouble, and ends by itself."""


def crash(world):
    """A process dies and comes back; of what was not fsynced, any part is lost."""
    world.crash(_victim(world))


def crash_soon(world):
    """A process dies between two effects of some event that comes."""
    node = _victim(world)
    if node.core is not None:
        node.fuse = world.rng.randrange(12)


def power(world):
    """All processes die at once."""
    for node in world.nodes.values():
        world.crash(node)


def freeze(world):
    """A process is stopped, and goes on later, late timers and all."""
    node = _victim(world)
    node.freeze()
    _later(world, node.thaw, 20, 200)


def partition(world):
    """A part of the processes hears nothing of the others, or is not heard, or neither."""
    names = [*world.nodes, *world.operators, "api", *(client.name for client in world.clients)]
    some = {name for name in names if world.rng.random() < 0.4} or {world.rng.choice(names)}
    kind = world.rng.choice(("both", "both", "to", "from"))
    pairs = {(one, other) for one in some for other in names if other not in some}
    back = {(other, one) for one, other in pairs}
    broken = (pairs if kind != "from" else set()) | (back if kind != "to" else set())
    _break(world, broken)


def alone(world):
    """The primary hears of one side only: of its followers not, or of the operator not."""
    primary = world.primary()
    if primary is None:
        return
    others = world.rng.choice(([*world.nodes], [*world.operators, "api"]))
    pairs = {(primary.name, other) for other in others} | {(other, primary.name) for other in others}
    _break(world, {pair for pair in pairs if pair[0] != pair[1]})


def flap(world):
    """A link breaks again and again, in one direction."""
    pair = tuple(world.rng.sample(list(world.nodes), 2)) if len(world.nodes) > 1 else None
    for n in range(4 if pair else 0):
        world.clock.after(n * 30, _break, world, {pair}, 15)


def slow_link(world):
    """One process's links become slow."""
    node = _victim(world)
    pairs = [(node.name, other) for other in world.nodes] + [(other, node.name) for other in world.nodes]
    world.network.slow.update(dict.fromkeys(pairs, world.rng.choice((5, 20))))
    _later(world, lambda: [world.network.slow.pop(pair, None) for pair in pairs], 50, 300)


def slow_disk(world):
    """One replica's disk becomes slow."""
    node = _victim(world)
    node.slow_disk = world.rng.choice((10.0, 50.0))
    _later(world, lambda: setattr(node, "slow_disk", 1.0), 50, 300)


def lost_disk(world):
    """A volume is gone for good, where what was acknowledged may survive that."""
    current, node = world.register.status.configuration, _victim(world)
    if (
        current is None
        or len(current.members) < 2
        or current.write_quorum < 2
        or len(world.members_wanted) < 2
    ):
        return
    if _is_whole(world, current):
        node.lose_disk()
        world.restart_later(node)


def bereave(world):
    """So many volumes are gone that a person has to accept the loss of what was acknowledged."""
    current = world.register.status.configuration
    if world.person.found or current is None or len(current.members) < 3 or not _is_whole(world, current):
        return
    if current.write_quorum < len(current.members):  # else what one has is all that was acknowledged
        world.person.bereave(current)


def give_back(world):
    """A volume that was given up is found again, with what it held, in place of the one that there is now."""
    current = world.register.status.configuration
    if not world.person.found or current is None or not _is_whole(world, current):
        return
    [(name, disk)] = world.person.found.items()
    replaces_member = any(one.name == name for one in current.members)
    if current.holds(disk.identity) or (replaces_member and current.write_quorum < 2):
        return  # the loss is not accepted yet, or what was acknowledged since would not survive it
    world.person.give_back()


def damage(world):
    """A process dies and can't read its data any more, where a majority of the others can."""
    current, node = world.register.status.configuration, _victim(world)
    if current is None or len(current.members) < 3 or len(world.members_wanted) < 3:
        return
    if _is_whole(world, current):
        node.disk.damaged = True
        world.crash(node)


def _is_whole(world, current):
    """Tell whether every member has its disk, undamaged, and no attempt at a change has come to nothing."""
    sound = {other.disk.identity for other in world.nodes.values() if not other.disk.damaged}
    held = {member.disk for member in current.members}
    return held <= sound and world.register.status.reserved == current.epoch


def trim(world):
    """A log gives up its beginning."""
    node = world.rng.choice(list(world.nodes.values()))
    node.enter(None, node.trim)


def operator(world):
    """An operator dies wherever it is."""
    world.rng.choice(list(world.operators.values())).crash()


def freeze_operator(world):
    """An operator is stopped in the middle of whatever it does, and goes on with what it knew."""
    one = world.rng.choice(list(world.operators.values()))
    one.freeze()
    _later(world, one.thaw, 20, 200)


def slow_service(world):
    """The configuration service answers late: what was given up is done all the same."""
    pairs = [(name, "api") for name in world.operators] + [("api", name) for name in world.operators]
    world.network.slow.update(dict.fromkeys(pairs, world.rng.choice((10, 40))))
    _later(world, lambda: [world.network.slow.pop(pair, None) for pair in pairs], 50, 300)


def evict(world):
    """A pod is deleted: its process is told to end, and is made anew."""
    world.pods.delete(_victim(world).name, None)


def roll(world):
    """Somebody changes the pods' template: each is to be restarted, one at a time."""
    world.pods.change_template()


def service(world):
    """The configuration service is away."""
    broken = {(name, "api") for name in world.operators}
    _break(world, broken | {(other, one) for one, other in broken})


def hand_over(world):
    """Somebody wishes another primary, or has no wish any more."""
    world.handover = world.rng.choice([*world.wanted, ""])


def resize(world):
    """Somebody wishes more or fewer members."""
    least = 2 if "lost_disk" in world.plan.trouble else 1
    world.replicas_wanted = world.rng.randint(min(least, len(world.wanted)), len(world.wanted))


RARE = {one.__name__: one for one in (bereave, give_back)}
"""What is in no storm: after it promises begin anew."""
KINDS = {
    one.__name__: one
    for one in (
        crash,
        crash_soon,
        power,
        freeze,
        partition,
        alone,
        flap,
        slow_link,
        slow_disk,
        lost_disk,
        damage,
        trim,
        operator,
        freeze_operator,
        service,
        slow_service,
        evict,
        roll,
        hand_over,
        resize,
    )
}


def _victim(world):
    """Return a replica, the primary more often than others."""
    primary = world.primary()
    if primary is not None and world.rng.random() < 0.5:
        return primary
    return world.rng.choice(list(world.nodes.values()))


def _later(world, act, least, most):
    world.clock.after(world.rng.uniform(least, most), act)


def _break(world, pairs, most=150):
    world.network.broken |= pairs
    _later(world, lambda: world.network.broken.difference_update(pairs), 10, most)

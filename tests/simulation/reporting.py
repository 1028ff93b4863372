"""What a simulated replica says of itself to operators, as `replication/reporting.py` has it."""

from simulation import loop, values

from vectorfleet_operator import replication

QUORUM_PATIENCE = 3.0  # seconds without a quorum's answer, after which a primary acknowledges nothing


def state_of(node):
    """Return what the operator needs to know of a replica."""
    core, now = node.core, node.clock.now
    term, known = core.term, core.configuration
    silence = _quorum_silence(node, term)
    return replication.ReplicaState(
        name=node.name,
        disk=node.disk.identity,
        role=_role(core),
        promised=core.promised,
        last=values.place(core.history.last),
        committed=core.committed,
        configuration=values.from_core(known) if known is not None else None,
        followers=_followers(node, term) if term is not None else (),
        primary_silence_seconds=(now - node.heard_at) / loop.SECOND if term is None else 0.0,
        leaving=node.leaving,
        acknowledges=node.open and silence < QUORUM_PATIENCE,
        quorum_silence_seconds=silence,
        caught_up=term is not None or (not core.copying and core.is_level),
        diverged=core.diverged,
    )


def _quorum_silence(node, term):
    if term is None or term.configuration.write_quorum <= 1:
        return 0.0
    return (node.clock.now - node.quorum_at) / loop.SECOND


def _role(core):
    if core.term is not None:
        return replication.Role.PRIMARY if core.term.learned else replication.Role.ELECT
    if core.configuration is None and not core.history.last_seq:
        return replication.Role.NEW
    return replication.Role.FOLLOWER if core.is_member else replication.Role.LEARNER


def _followers(node, term):
    now = node.clock.now
    return tuple(
        replication.Follower(
            name=peer.member.name,
            disk=disk,
            verified=peer.verified,
            applied=peer.applied,
            silence_seconds=(now - node.answered_at.get(disk, node.began_at)) / loop.SECOND,
            copying=peer.copying,
        )
        for disk, peer in term.peers.items()
    )

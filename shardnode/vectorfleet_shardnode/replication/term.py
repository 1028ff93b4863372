"""One time in office: to whom a primary ships, how far each is, and what may be acknowledged. PURE."""

import dataclasses
from collections.abc import Iterator

from . import messages
from .history import History, Position


@dataclasses.dataclass
class Peer:
    """A replica that is shipped to. `verified`: up to there its log, on disk, equals ours."""

    member: messages.Member
    next_seq: int
    verified: int = 0
    applied: int = 0
    told: int = 0  # the commit index that it was last told
    busy: bool = False  # a message is under way: what comes meanwhile goes with the next one
    copying: bool = False
    probing: bool = True  # where the logs part is not known yet

    def moved(self, reply: messages.AppendReply, history: History) -> None:
        """Take in an answer."""
        self.applied, self.copying = reply.applied, reply.needs_checkpoint
        if reply.matched:
            self.verified = max(self.verified, reply.verified)
            self.next_seq, self.probing = self.verified + 1, False
        elif not reply.needs_checkpoint:
            # A reply that came late may name a place that we are past already.
            self.next_seq = max(self.verified, min(history.common(reply.hint), self.next_seq - 2)) + 1
            self.probing = True  # by the next tick; one that has no room refuses the same again and again


class Term:
    """The office of `configuration.epoch`, from `Lead` on.

    Args:
        configuration: C', committed or not.
        me: a member of it.
        start: the seq of the start record.
        learned: whether it is known that it was committed.
    """

    def __init__(
        self, configuration: messages.Configuration, me: messages.Member, start: int, *, learned: bool
    ) -> None:
        self.configuration = configuration
        self.start = start
        self.learned = learned
        self._me = me
        self.peers: dict[str, Peer] = {}
        self._extend(configuration.members)

    @property
    def epoch(self) -> int:
        """The epoch."""
        return self.configuration.epoch

    def _extend(self, members: tuple[messages.Member, ...]) -> None:
        for member in members:
            if member.disk != self._me.disk:
                self.peers.setdefault(member.disk, Peer(member, self.start))

    def ship_to(self, configuration: messages.Configuration, learners: tuple[messages.Member, ...]) -> None:
        """Ship to the members, at the addresses that they have now, and to exactly these others."""
        self.configuration = configuration
        wanted = {member.disk: member for member in (*learners, *configuration.members)}
        self._extend(tuple(wanted.values()))
        for gone in self.peers.keys() - wanted.keys():
            del self.peers[gone]
        for disk, peer in self.peers.items():
            peer.member = wanted[disk]

    def members(self) -> Iterator[Peer]:
        """Yield the peers that count."""
        return (peer for disk, peer in self.peers.items() if self.configuration.holds(disk))

    def quorum_seq(self, synced: int) -> int:
        """Return the greatest seq that W members hold on disk, this one up to `synced`."""
        held = sorted((synced, *(peer.verified for peer in self.members())), reverse=True)
        return held[self.configuration.write_quorum - 1]

    def held(self, synced: int) -> bool:
        """Tell whether W members hold the log up to the start record."""
        return self.quorum_seq(synced) >= self.start

    def committed(self, synced: int) -> int:
        """Return up to where records may be acknowledged, 0 for nothing yet.

        Only once a record of the own epoch is held by W: an older one alone may still be overruled.
        """
        seq = self.quorum_seq(synced)
        return seq if self.learned and seq >= self.start else 0


def takes(reply: messages.AppendReply, *, records: bool, lacks: bool) -> bool:
    """Tell whether a peer takes what it is sent: records, or none where it lacks none.

    One that has no room, or copies segments, answers as quickly, and holds nothing of what is asked of it.

    Args:
        reply: what it answered.
        records: whether it was sent any.
        lacks: whether there was more on disk here than the place that the message was compared by.
    """
    return reply.matched and (records or not lacks)


def next_append(term: Term, peer: Peer, history: History, state: tuple[int, int]) -> messages.Append:
    """Return what to send to a peer now; `state` is (synced, committed).

    To one whose log parts from ours at an unknown place, or that copies, no records: only a place to compare.
    """
    synced, committed = state
    begin = history.base.seq + 1
    at = max(peer.next_seq, begin) - 1
    upto = at if peer.copying or peer.probing or peer.next_seq < begin else synced
    previous: Position = history.place(min(at, history.last_seq))
    return messages.Append(term.epoch, previous, (), committed, begin, max(upto, previous.seq))

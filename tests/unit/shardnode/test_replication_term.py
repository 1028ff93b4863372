"""What a primary may acknowledge, where it ships from, and when strong reads are answered."""

import pytest

from vectorfleet_shardnode.replication import history, messages, reading, term

MEMBERS = tuple(messages.Member(name, f"disk-{name}") for name in "abcde")


def office(members=3, every=False, start=5, learned=True):
    """Return a term of the first member."""
    quorum = members if every else members // 2 + 1
    wanted = messages.Configuration(3, "a", MEMBERS[:members], quorum)
    return term.Term(wanted, MEMBERS[0], start, learned=learned)


def verified(current, *seqs):
    """Let the other members hold the log up to these seqs."""
    for peer, seq in zip(current.members(), seqs, strict=True):
        peer.verified = seq
    return current


@pytest.mark.parametrize(
    ("seqs", "every", "reached"),
    [((), False, 9), ((7,), False, 7), ((7, 6), False, 7), ((7, 6), True, 6), ((8, 7, 6, 5), False, 7)],
)
def test_a_record_is_committed_once_w_members_hold_it(seqs, every, reached):
    """1 of 1, 2 of 2, 2 of 3, 3 of 5, or all; the primary counts."""
    assert verified(office(len(seqs) + 1, every), *seqs).committed(9) == reached


def test_nothing_is_committed_before_the_start_record():
    """What is older may still be overruled."""
    assert verified(office(start=5), 4, 4).committed(9) == 0


def test_nothing_is_committed_before_the_configuration_is():
    """Its members may hold it all, and another configuration win."""
    assert verified(office(learned=False), 9, 9).committed(9) == 0


def test_learners_are_shipped_to_and_do_not_count():
    """Who holds a record is asked of members alone."""
    current = verified(office(), 0, 0)
    current.ship_to(current.configuration, (MEMBERS[3],))
    current.peers[MEMBERS[3].disk].verified = 9
    assert current.quorum_seq(9) == 0
    current.ship_to(current.configuration, ())
    assert MEMBERS[3].disk not in current.peers


def test_no_more_is_shipped_than_is_on_the_own_disk():
    """A primary may go on after a crash, since nobody has what it has lost."""
    log = history.History().extended(3, 9)
    current = verified(office(start=1), 0, 0)
    peer = next(current.members())
    peer.probing = False
    assert term.next_append(current, peer, log, (6, 2)).upto == 6


def test_an_answer_that_comes_late_moves_nothing_back():
    """What was verified stays so within a term."""
    log = history.History().extended(3, 9)
    peer = term.Peer(MEMBERS[1], 5)
    peer.moved(messages.AppendReply(3, matched=True, verified=8), log)
    peer.moved(messages.AppendReply(3, hint=history.Position(3, 2)), log)
    assert (peer.verified, peer.next_seq) == (8, 9)


def test_what_was_refused_is_sent_again_after_a_pause():
    """One without room would be sent the same records without end; a tick asks first where it is."""
    log = history.History().extended(3, 9)
    peer = term.Peer(MEMBERS[1], 5)
    peer.moved(messages.AppendReply(3, matched=True, verified=8), log)
    assert not peer.probing
    peer.moved(messages.AppendReply(3, hint=history.Position(3, 8)), log)
    assert (peer.probing, peer.next_seq) == (True, 9)


class TestRounds:
    """Strong reads are confirmed in rounds."""

    def test_a_read_that_comes_during_a_round_waits_for_the_next(self):
        """The answers to come may be older than it."""
        rounds = reading.Rounds()
        rounds.add("first")
        assert rounds.begin()
        rounds.add("second")
        assert not rounds.begin()
        rounds.confirmed("disk", 1)
        assert rounds.is_confirmed({"disk"}, 1)
        assert rounds.finish() == ["first"]
        assert rounds.begin()
        assert not rounds.is_confirmed({"disk"}, 1)

    def test_an_answer_to_an_older_round_confirms_nothing(self):
        """It was given before the read began."""
        rounds = reading.Rounds()
        rounds.add("first")
        rounds.begin()
        rounds.finish()
        rounds.add("second")
        rounds.begin()
        rounds.confirmed("disk", 1)
        assert not rounds.is_confirmed({"disk"}, 1)

    def test_only_members_confirm(self):
        """A learner's word is no promise of the quorum."""
        rounds = reading.Rounds()
        rounds.add("read")
        rounds.begin()
        rounds.confirmed("learner", 1)
        assert not rounds.is_confirmed({"disk"}, 1)

"""Which answers of followers count for a quorum that takes what it is sent."""

import types

import pytest

from vectorfleet_shardnode.replication import history, messages, sending, term

MEMBERS = tuple(messages.Member(name, f"disk-{name}") for name in "abc")
HEARTBEAT = messages.Append(3, history.Position(3, 8))
RECORDS = messages.Append(3, history.Position(3, 5), (3, 3))
BEHIND = messages.Append(3, history.Position(3, 5))


@pytest.mark.parametrize(
    ("sent", "reply", "counts"),
    [
        (RECORDS, messages.AppendReply(3, matched=True, verified=7), True),  # it catches up
        (HEARTBEAT, messages.AppendReply(3, matched=True, verified=8), True),  # it lacks nothing
        (RECORDS, messages.AppendReply(3, hint=history.Position(3, 5)), False),  # no room for them
        (BEHIND, messages.AppendReply(3, matched=True, verified=5), False),  # nothing was asked of it
        (HEARTBEAT, messages.AppendReply(3, needs_checkpoint=True), False),  # it copies segments
        (RECORDS, messages.AppendReply(4), False),  # it waits for another primary
    ],
)
def test_only_who_takes_what_it_is_sent_counts(sent, reply, counts):
    """The log here is on the disk up to 8; two of three hold a write."""
    current = term.Term(messages.Configuration(3, "a", MEMBERS, 2), MEMBERS[0], 5, learned=True)
    core = types.SimpleNamespace(term=current, synced=8)
    sends = sending.Sending(sending.Identity("i", "g", 0, {}), core, None, None, lambda _: None)
    sends._quorum_at -= 100
    takes = term.takes(reply, records=bool(sent.epochs), lacks=core.synced > sent.previous.seq)
    sends._note_answer(current, MEMBERS[1], reply, takes=takes)
    assert sends.answered_at[MEMBERS[1].disk] > sends.began_at - 1
    assert (sends.quorum_silence() < 50) is counts

"""What one replica decides, event by event; what many of them do together is in tests/model."""

import pytest

from vectorfleet_shardnode.replication import history, messages, protocol

A, B, C = (messages.Member(name, f"disk-{name}", f"{name}:1") for name in "abc")


def configuration(epoch=1, primary="a", members=(A, B, C)):
    """Return a configuration with a majority for its write quorum."""
    return messages.Configuration(epoch, primary, members, len(members) // 2 + 1)


def log(*epochs):
    """Return the history of a log with records of these epochs."""
    made = history.History()
    for seq, epoch in enumerate(epochs, 1):
        made = made.extended(epoch, seq)
    return made


def replica(*epochs, me=A, promised=None, known=None, committed=0):
    """Return a replica as it was found on its disk."""
    promised = max(epochs, default=0) if promised is None else promised
    return protocol.Replica(me, messages.Stored(promised, known), log(*epochs), committed)


def answers(effects):
    """Return what was answered, by who asked."""
    return {effect.token: effect.reply for effect in effects if isinstance(effect, messages.Answer)}


def kinds(effects):
    """Return the kinds of effects in their order."""
    return [type(effect) for effect in effects]


def answered(verified, epoch=1):
    """Return a follower's answer that its log is equal up to a seq."""
    return messages.AppendReply(epoch, matched=True, verified=verified)


class TestGivingUp:
    """A replica begins anew as another disk, unless somebody may count on what it holds."""

    def test_a_follower_does(self):
        """Of the configuration that the operator means; it answers nothing itself: the new disk does."""
        follower = replica(1, 1, me=B, known=configuration())
        assert follower.give_up("op", 1) == [messages.GiveUp("op")]

    def test_a_learner_does_whatever_the_quorum(self):
        """Nobody counts it."""
        learner = replica(1, me=B, known=configuration(members=(A,)))
        assert learner.give_up("op", 1) == [messages.GiveUp("op")]

    @pytest.mark.parametrize(
        ("asked", "changes", "said"),
        [
            (2, {}, "of epoch 1, not 2"),
            (0, {}, "of epoch 1, not 0"),
            (0, {"known": None}, "of epoch 0, not 0"),
            (1, {"promised": 2}, "epoch 2 is promised"),
            (1, {"me": A}, "hand over first"),
            (1, {"known": configuration(members=(A,)), "me": A}, "hand over first"),
        ],
    )
    def test_who_may_be_counted_on_does_not(self, asked, changes, said):
        """The reason is told, and nothing else is done."""
        kept = replica(1, 1, **{"me": B, "known": configuration()} | changes)
        if changes.get("me") == A:
            kept.start()
        [effect] = kept.give_up("op", asked)
        assert effect.reply.disk == ""
        assert said in effect.reply.refusal

    def test_one_that_leaves_office_does_not(self):
        """How far its log goes is not known yet."""
        primary = replica(1, 1, known=configuration())
        primary.start()
        primary.configure("op", configuration(2, "b"))
        assert primary.give_up("op", 2)[0].reply.refusal

    def test_one_of_those_that_must_all_hold_a_write_does(self):
        """The others do as well."""
        every = messages.Configuration(1, "a", (A, B), 2)
        assert replica(1, me=B, known=every).give_up("op", 1) == [messages.GiveUp("op")]


class TestResuming:
    """A primary that restarts goes on in its epoch."""

    def test_a_strong_read_waits_until_all_of_the_log_is_committed(self):
        """The commit index on the disk may be older than what was acknowledged before the crash."""
        primary = replica(1, 1, 1, known=configuration(), committed=1)
        primary.start()
        assert answers(primary.strong_read("read")) == {}
        confirmed = primary.confirm_reply(B.disk, messages.Confirm(1, 1), messages.ConfirmReply(1))
        assert answers(confirmed) == {}
        assert answers(primary.append_reply(B.disk, 1, answered(2))) == {}
        read = answers(primary.append_reply(B.disk, 1, answered(3)))
        assert read == {"read": messages.ReadReply(3)}

    def test_one_that_promised_more_does_not(self):
        """It was asked to make way."""
        assert replica(1, promised=2, known=configuration()).start() == []

    def test_one_that_was_never_in_office_does_not(self):
        """Without its start record it can't have been elected."""
        assert replica(1, promised=2, known=configuration(2)).start() == []


class TestSealing:
    """The operator asks for a promise."""

    def test_a_primary_promises_durably_before_anything_else(self):
        """Whatever is told from then on can rest on the promise."""
        primary = replica(1, known=configuration())
        primary.start()
        assert kinds(primary.seal("operator", 2)) == [messages.Store, messages.Follow]
        sealed = messages.SealReply(True, 2, history.Position(1, 1))
        assert answers(primary.stopped(1)) == {"operator": sealed}

    def test_waits_for_the_disk(self):
        """What a primary appended under its old epoch counts, once it is on the disk."""
        primary = replica(1, known=configuration())
        primary.start()
        primary.seal("operator", 2)
        assert answers(primary.stopped(3)) == {}
        sealed = messages.SealReply(True, 2, history.Position(1, 3))
        assert answers(primary.synced_to(3)) == {"operator": sealed}

    def test_attempts_to_begin_a_shard_may_fail(self):
        """Each has its own epoch, so that no two of them share one."""
        new = replica()
        assert answers(new.seal("first", 1, begins=True))["first"].sealed
        assert answers(new.seal("second", 2, begins=True))["second"].sealed

    def test_a_shard_begins_nowhere_that_one_was(self):
        """A VectorShard that lost its configuration must not begin over what replicas hold."""
        assert not answers(replica(1).seal("operator", 9, begins=True))["operator"].sealed
        known = replica(promised=1, known=configuration())
        assert not answers(known.seal("operator", 9, begins=True))["operator"].sealed

    def test_an_overtaken_attempt_hears_no(self):
        """Of two attempts that wait for the disk, the older one is not sealed."""
        primary = replica(1, known=configuration())
        primary.start()
        primary.seal("first", 2)
        primary.seal("second", 3)
        assert {who: reply.sealed for who, reply in answers(primary.stopped(1)).items()} == {
            "first": False,
            "second": True,
        }


class TestLeading:
    """The operator names a primary."""

    def test_not_whoever_has_followed_another_in_that_epoch(self):
        """A late request must not make a second primary of one epoch."""
        follower = replica(1)
        follower.seal("operator", 2)
        follower.append("b", messages.Append(2, history.Position(1, 1)))
        assert not answers(follower.lead("late", configuration(2)))["late"].leading

    def test_not_twice_in_an_epoch(self):
        """One that restarted with its start record asks for a new epoch, or resumes."""
        follower = replica(1, 2)
        follower.seal("operator", 2)
        assert not answers(follower.lead("late", configuration(2)))["late"].leading

    def test_acknowledges_only_once_it_was_confirmed(self):
        """Its configuration may lose the race for the VectorShard."""
        elect = replica(1)
        elect.seal("operator", 2)
        elect.lead("operator", configuration(2))
        elect.synced_to(2)
        assert answers(elect.append_reply(B.disk, 2, answered(2, 2)))["operator"].held
        assert (elect.committed, elect.acknowledges) == (0, False)
        effects = elect.configure("operator", configuration(2))
        assert kinds(effects)[:3] == [messages.Store, messages.Open, messages.Commit]
        assert elect.committed == 2

    def test_ships_to_where_members_moved(self):
        """The same members at other addresses are no new configuration."""
        primary = replica(1, known=configuration())
        primary.start()
        moved = tuple(member._replace(address="moved:1") for member in (A, B, C))
        primary.configure("operator", configuration(members=moved))
        primary.unreachable(B.disk, 1)
        assert [effect.to.address for effect in primary.tick()] == ["moved:1"]


class TestTakingOffice:
    """A replica that was sealed is told to lead."""

    def test_the_only_member_holds_its_log_once_it_is_on_the_disk(self):
        """Nobody else answers, so its own fsync does."""
        alone = replica()
        alone.seal("seal", 1, begins=True)
        wanted = configuration(members=(A,))
        assert answers(alone.lead("lead", wanted)) == {}
        assert answers(alone.synced_to(1)) == {"lead": messages.LeadReply(True, True, history.Position(1, 1))}

    def test_without_room_for_the_start_record_it_does_not_lead(self):
        """Whoever asked is told, and may ask another one."""
        full = replica(1, 1)
        full.seal("seal", 2)
        full.lead("lead", configuration(2))
        assert answers(full.not_led()) == {"lead": messages.LeadReply(False, last=history.Position(1, 2))}
        assert full.term is None

    def test_records_without_room_are_not_answered_for(self):
        """The primary ships them again from where the log ends."""
        full = replica(1, me=B)
        given = messages.Append(1, history.Position(1, 1), (1, 1), log_begin=1)
        full.append("append", given)
        [refused] = answers(full.not_written(2)).values()
        assert not refused.matched
        assert full.history.last == history.Position(1, 1)


class TestFollowing:
    """A follower takes what the primary of the newest epoch ships, and answers for what it has."""

    def test_answers_once_it_is_on_the_disk(self):
        """Whoever counts it relies on that."""
        follower = replica(1, me=B)
        effects = follower.append("a", messages.Append(1, history.Position(1, 1), (1, 1), committed=3))
        assert effects == [messages.Write(2), messages.Commit(1)]
        effects = follower.synced_to(3)
        assert kinds(effects) == [messages.Commit, messages.Answer]
        assert answers(effects)["a"] == messages.AppendReply(1, matched=True, verified=3, applied=3)

    def test_refuses_an_older_epoch(self):
        """It has promised not to take anything of it."""
        follower = replica(1, me=B, promised=2)
        reply = answers(follower.append("a", messages.Append(1, history.Position(1, 1), (1,))))["a"]
        assert (reply.promised, reply.matched) == (2, False)

    def test_cuts_what_differs(self):
        """A tail that nobody acknowledged makes way for the newer primary's log."""
        follower = replica(1, 1, 1, me=B)
        effects = follower.append("c", messages.Append(2, history.Position(1, 1), (2,)))
        assert kinds(effects) == [messages.Store, messages.Cut, messages.Write]
        assert follower.history == log(1, 2)

    def test_keeps_what_an_old_append_does_not_name(self):
        """A message that comes late says nothing of what came after it."""
        follower = replica(1, 1, 1, me=B)
        effects = follower.append("a", messages.Append(1, history.Position(1, 1), (1,)))
        assert answers(effects)["a"].verified == 2
        assert follower.history == log(1, 1, 1)

    def test_names_where_the_logs_may_part(self):
        """A whole epoch that differs is passed over at once."""
        follower = replica(1, 2, 2, 2, me=B)
        reply = answers(follower.append("c", messages.Append(4, history.Position(3, 4))))["c"]
        assert reply.hint == history.Position(1, 1)

    def test_commits_no_more_than_it_has_compared(self):
        """The primary's commit index may name records that differ here."""
        follower = replica(1, 1, 1, me=B)
        follower.append("c", messages.Append(2, history.Position(1, 1), committed=3))
        assert follower.committed == 1

    def test_copies_segments_where_the_log_was_given_up(self):
        """Until they are there, it answers so."""
        follower = replica(1, me=B)
        given = messages.Append(1, history.Position(1, 7), log_begin=8)
        assert kinds(follower.append("a", given)) == [messages.Copy, messages.Answer]
        assert answers(follower.append("a", given))["a"].needs_checkpoint
        follower.installed(1, history.starting(history.Position(1, 9)))
        reply = answers(follower.append("a", messages.Append(1, history.Position(1, 9))))["a"]
        assert (reply.matched, follower.committed) == (True, 9)

    def test_a_copy_that_comes_after_a_newer_promise_is_refused(self):
        """The log may have been vouched for since."""
        follower = replica(1, me=B)
        follower.append("a", messages.Append(1, history.Position(1, 7), log_begin=8))
        follower.seal("operator", 2)
        with pytest.raises(protocol.ProtocolError, match="too late"):
            follower.installed(1, history.starting(history.Position(1, 9)))


class TestGivenUp:
    """A disk comes back whose log goes on from where a person accepted a loss: it is no copy."""

    SURVIVOR = (1,) * 9 + (8,) * 6
    """The log of the one that was kept: it lacked what is behind 9."""

    def returned(self, committed=12, base=0):
        """Return a replica that had committed more than the survivor held."""
        found = replica(*(1,) * 12, me=B, promised=8, known=configuration(8, members=(A,)))
        kept = found.history.trimmed(base) if base else found.history
        return protocol.Replica(B, found.stored, kept, committed)

    def shipped(self, first, last):
        """Return an Append of the survivor."""
        previous = history.Position(self.SURVIVOR[first - 2], first - 1)
        return messages.Append(8, previous, self.SURVIVOR[first - 1 : last], committed=15)

    @pytest.mark.parametrize("base", [0, 5, 11, 12])
    @pytest.mark.parametrize(("first", "last"), [(10, 15), (10, 12), (6, 15), (12, 14)])
    def test_is_neither_verified_nor_level(self, first, last, base):
        """What differs at a seq that it knows to be committed is never taken for equal."""
        back = self.returned(base=base)
        effects = back.append("a", self.shipped(first, last))
        assert answers(effects) == {"a": messages.AppendReply(8, needs_checkpoint=True, applied=12)}
        assert kinds(effects) == [messages.Answer]
        assert back.diverged
        assert not back.is_level

    def test_is_found_by_a_heartbeat_behind_the_place(self):
        """No record needs to be shipped for it."""
        back = self.returned()
        assert answers(back.append("a", self.shipped(12, 11)))["a"].needs_checkpoint
        assert back.diverged

    def test_takes_nothing_more(self):
        """Not even what would be equal."""
        back = self.returned()
        assert answers(back.append("a", self.shipped(5, 4)))["a"].matched
        assert not back.is_level or back.committed <= 4
        back.append("a", self.shipped(10, 15))
        assert not answers(back.append("a", self.shipped(5, 4)))["a"].matched
        assert back.history == log(*(1,) * 12)

    def test_gives_its_data_up(self):
        """As soon as the operator says so."""
        back = self.returned()
        back.append("a", self.shipped(10, 15))
        assert back.give_up("op", 8) == [messages.GiveUp("op")]

    def test_is_asked_again_by_the_next_primary(self):
        """Under which it may be what is gone on with."""
        back = self.returned()
        back.append("a", self.shipped(10, 15))
        back.seal("op", 9)
        assert not back.diverged

    def test_what_was_not_committed_makes_way(self):
        """Only the tail differs: it is cut, as anyone's."""
        back = self.returned(committed=9)
        effects = back.append("a", self.shipped(10, 15))
        assert kinds(effects) == [messages.Cut, messages.Write]
        assert not back.diverged

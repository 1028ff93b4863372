"""Which certificates an index has, over years: a clock of our own, and real ones."""

import datetime
import itertools

import pytest

from vectorfleet_operator import certificates, pki
from vectorfleet_runtime import parties

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
OWN = parties.Party(parties.Role.OPERATOR, "products", "shop")
NOTHING = certificates.Internal((), "", {})
MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def settle():
    """Settle at a moment; seeds count up."""
    numbers = itertools.count()

    def settle(found, now=START):
        return certificates.settle(found, OWN, certificates.Moment(now, lambda: f"seed-{next(numbers)}"))

    return settle


def verifies(internal, trusting, role, now):
    """Return whether who trusts as `trusting` says accepts what `internal` shows for a role."""
    shown = internal.shown[role].certificate
    facts = pki.read(shown)
    valid = facts.span.begin <= now < facts.span.end
    return valid and any(pki.signed(shown, one) for one in pki.split(trusting.trusted))


def test_a_new_index_gets_all(settle):
    """One authority, which signs at once, and a certificate for each role by its name."""
    made = settle(NOTHING)
    [authority] = made.authorities
    assert pki.split(made.trusted) == (authority.certificate,)
    for role, pair in made.shown.items():
        assert pki.fits(pair)
        assert pki.read(pair.certificate).names == (f"{role}.products.shop.vectorfleet.internal",)
        assert verifies(made, made, role, START)
    assert len({pair.key for pair in (authority, *made.shown.values())}) == 4


def test_what_is_there_stays(settle):
    """A second look changes nothing, for two thirds of a certificate's time."""
    made = settle(NOTHING)
    for days in (0, 1, 30, 59):
        assert settle(made, START + datetime.timedelta(days=days)) == made
    assert settle(made, START + datetime.timedelta(days=61)).shown != made.shown


def test_years_go_by_without_a_break(settle):
    """Looked at each minute around changes, and each day: pods two minutes behind trust each other."""
    now, history = START, [(START, settle(NOTHING))]
    while now < START + 4 * certificates.AUTHORITY_LIFE:
        settled = now - history[-1][0] > 30 * MINUTE
        now += datetime.timedelta(hours=20) if settled else MINUTE
        fresh = settle(history[-1][1], now)
        if fresh != history[-1][1]:
            history.append((now, fresh))
        # What pods may still hold: the newest, and what was replaced less than two minutes ago.
        held = [fresh] + [
            one
            for (_, one), (replaced, _) in itertools.pairwise(history[-5:])
            if now - replaced <= 2 * MINUTE
        ]
        for one, other in itertools.product(held, held):
            assert all(verifies(one, other, role, now) for role in parties.Role)
    authorities = {one.authorities[0].certificate for _, one in history}
    assert 5 <= len(authorities) <= 8
    assert len(pki.split(history[-1][1].trusted)) <= 3


def test_an_authority_is_trusted_before_it_signs(settle):
    """For ten minutes the old one signs on; then all are signed anew, and the old one's key goes."""
    made = settle(NOTHING)
    due = START + certificates.AUTHORITY_LIFE * 2 / 3 + MINUTE
    spreading = settle(settle(made, due - MINUTE * 5), due)
    newest, before = spreading.authorities
    assert before == made.authorities[0]
    assert set(pki.split(spreading.trusted)) == {newest.certificate, before.certificate}
    assert all(pki.signed(pair.certificate, before.certificate) for pair in spreading.shown.values())
    assert settle(spreading, due + 9 * MINUTE) == spreading
    done = settle(spreading, due + 10 * MINUTE)
    assert done.authorities == (newest,)
    assert set(pki.split(done.trusted)) == {newest.certificate, before.certificate}
    assert all(pki.signed(pair.certificate, newest.certificate) for pair in done.shown.values())


def test_a_lost_authority_is_replaced_in_the_same_steps(settle):
    """Its certificates hold on until every pod trusts the next one."""
    made = settle(NOTHING)
    later = START + datetime.timedelta(days=10)
    lost = certificates.Internal((), made.trusted, made.shown)
    spreading = settle(lost, later)
    assert spreading.shown == made.shown
    assert set(pki.split(made.trusted)) < set(pki.split(spreading.trusted))
    done = settle(spreading, later + 10 * MINUTE)
    assert all(verifies(done, spreading, role, later + 10 * MINUTE) for role in parties.Role)
    assert all(verifies(spreading, done, role, later + 10 * MINUTE) for role in parties.Role)


@pytest.mark.parametrize(
    "broken", ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_can_not_be_read_is_made_anew(settle, broken):
    """Be it the authority or a certificate, or a key that is another's."""
    made = settle(NOTHING)
    role = parties.Role.SHARD
    for pair in (
        pki.Pair(broken, made.shown[role].key),
        pki.Pair(made.shown[role].certificate, broken),
        made.shown[parties.Role.GATEWAY],
        pki.Pair(made.shown[role].certificate, made.shown[parties.Role.GATEWAY].key),
    ):
        mended = settle(certificates.Internal(made.authorities, made.trusted, {**made.shown, role: pair}))
        assert verifies(mended, made, role, START)
        assert {key: value for key, value in mended.shown.items() if key != role} == {
            key: value for key, value in made.shown.items() if key != role
        }
    mended = settle(certificates.Internal((pki.Pair(broken, broken),), broken, {}))
    assert all(verifies(mended, mended, role, START) for role in parties.Role)


def test_a_clock_that_was_ahead_does_no_harm(settle):
    """What begins in the future is no use to anybody, and is made anew."""
    ahead = settle(NOTHING, START + datetime.timedelta(days=400))
    made = settle(ahead)
    assert all(verifies(made, made, role, START) for role in parties.Role)


def test_the_same_seeds_give_the_same(settle):
    """Nothing but the seed is chance."""
    span = pki.Span(START, START + certificates.LIFE)
    assert pki.create("a", "x", span) == pki.create("a", "x", span)
    assert pki.create("a", "x", span) != pki.create("b", "x", span)
    by = pki.create("a", "x", span)
    assert pki.issue("c", by, "n", span) == pki.issue("c", by, "n", span)
    assert "PRIVATE" not in repr(by)

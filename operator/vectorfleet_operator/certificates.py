"""Which authority and certificates an index should have now. PURE: what there is, time and seeds come in.

An authority is replaced in steps, so that no connection fails: the new one is trusted beside the old one;
once that had the time to reach every pod it signs; the old one is trusted until it ends. An index that lost
its authority goes the same way, since its pods still trust the lost one.
"""

import dataclasses
import datetime
from collections.abc import Callable, Mapping

from vectorfleet_runtime import parties

from . import pki

AUTHORITY_LIFE = datetime.timedelta(days=730)
LIFE = datetime.timedelta(days=90)
SPREAD = datetime.timedelta(minutes=10)
"""For how long an authority is trusted before it signs: kubelets bring Secrets to pods within two minutes."""
_MOST_TRUSTED = 6
_SKEW = datetime.timedelta(minutes=5)

Draw = Callable[[], str]
"""Gives a new secret each time."""


@dataclasses.dataclass(frozen=True)
class Internal:
    """The certificates of an index's processes.

    Attributes:
        authorities: newest first; the second one still signs.
        trusted: certificates of all authorities that pods are to trust, PEM.
        shown: certificate and key of each role.
    """

    authorities: tuple[pki.Pair, ...]
    trusted: str
    shown: Mapping[parties.Role, pki.Pair]


@dataclasses.dataclass(frozen=True)
class Moment:
    """Now, and the chance that it may use."""

    now: datetime.datetime
    draw: Draw


def settle(found: Internal, own: parties.Party, moment: Moment) -> Internal:
    """Return the certificates that an index should have, given those that it has."""
    held = _hold(found.authorities, f"vectorfleet {own.namespace}/{own.index}", moment)
    trusted = _trust(held, found.trusted, moment.now)
    signer = _signer(held, moment.now)
    shown = {
        role: _renew(found.shown.get(role), own.other(role).name, held, signer, moment)
        for role in parties.Role
    }
    return Internal(held, trusted, shown)


def _hold(found: tuple[pki.Pair, ...], name: str, moment: Moment) -> tuple[pki.Pair, ...]:
    """Return the authorities whose keys are kept: the newest, and while that is spreading the one before."""
    usable = [pair for pair in found if _is_usable(pair, moment.now)]
    if usable and not (_is_due(usable[0], moment.now) and _has_spread(usable[0], moment.now)):
        return tuple(usable[:1] if _has_spread(usable[0], moment.now) else usable[:2])
    span = pki.Span(moment.now, moment.now + AUTHORITY_LIFE)
    return (pki.create(moment.draw(), name, span), *usable[:1])


def _trust(held: tuple[pki.Pair, ...], before: str, now: datetime.datetime) -> str:
    """Return all authorities to trust: those held, and those trusted before that have not ended."""
    named = [pair.certificate for pair in held]
    named += [one for one in pki.split(before) if one not in named]
    alive = [one for one in named if (facts := pki.read(one)) is not None and now < facts.span.end]
    return "".join(alive[:_MOST_TRUSTED])


def _signer(held: tuple[pki.Pair, ...], now: datetime.datetime) -> pki.Pair | None:
    """Return who signs: the newest that every pod trusts by now."""
    return next((pair for pair in held if _has_spread(pair, now)), None)


def _renew(
    found: pki.Pair | None, name: str, held: tuple[pki.Pair, ...], signer: pki.Pair | None, moment: Moment
) -> pki.Pair:
    kept = found is not None and _is_usable(found, moment.now) and _names(found) == (name,)
    if kept and found is not None:
        outdated = signer is not None and not pki.signed(found.certificate, signer.certificate)
        due = _is_due(found, moment.now) and signer is not None
        if not outdated and not due:
            return found
    span = pki.Span(moment.now, moment.now + LIFE)
    return pki.issue(moment.draw(), signer or held[-1], name, span)


def _is_usable(pair: pki.Pair, now: datetime.datetime) -> bool:
    facts = pki.read(pair.certificate)
    return facts is not None and facts.span.begin - _SKEW <= now < facts.span.end and pki.fits(pair)


def _is_due(pair: pki.Pair, now: datetime.datetime) -> bool:
    """Return whether two thirds of its time are over."""
    facts = pki.read(pair.certificate)
    return facts is None or now >= facts.span.begin + (facts.span.end - facts.span.begin) * 2 / 3


def _has_spread(pair: pki.Pair, now: datetime.datetime) -> bool:
    facts = pki.read(pair.certificate)
    return facts is not None and now - facts.span.begin >= SPREAD


def _names(pair: pki.Pair) -> tuple[str, ...]:
    facts = pki.read(pair.certificate)
    return facts.names if facts else ()

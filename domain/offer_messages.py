"""Which messages an offer of the waitlist asks for: through the first channel that can be used, as soon as it is made (rule 49)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from domain.messages import Kept, MessageRule, MessageStatus, Planned, Why, cannot, due_at
from domain.recipients import Recipient


@dataclass(frozen=True, slots=True)
class OfferTold:
    """An offer as its messages see it. `consented`: its patient is booked without being asked, and told of that instead."""

    key: int
    made_at: datetime
    starts_at: datetime
    expires_at: datetime
    live: bool
    consented: bool


def plan_offer(offer: OfferTold, recipient: Recipient, kept: Sequence[Kept]) -> list[Planned]:
    """What is to be written down beside `kept`: nothing for what went, is going or is tried again, nor once it is over."""
    if not offer.live or offer.consented or any(one.settled for one in kept):
        return []
    failed = {one.planned.channel for one in kept if one.planned.status is MessageStatus.FAILED}
    found: list[Planned] = []
    named = offer.made_at.astimezone(UTC)
    for channel in recipient.order:
        if channel in failed:
            continue
        due, moved = due_at(MessageRule.OFFER, channel, named, recipient)
        blocked = cannot(channel, recipient)
        why = blocked or (Why.OFFER_SHORT if due >= offer.expires_at else None)
        status = MessageStatus.SKIPPED if why else MessageStatus.SCHEDULED
        found.append(Planned(MessageRule.OFFER, channel, named, due, status, why or moved))
        if blocked is None:
            break
    planned = {one.channel for one in found}
    return found + [
        replace(one.planned, status=MessageStatus.SKIPPED, why=Why.NOT_CHOSEN)
        for one in kept
        if one.planned.status is MessageStatus.SCHEDULED and one.planned.channel not in planned
    ]


def as_it_counts(planned: Planned, *, live: bool) -> Planned:
    """About an offer that is over nothing more goes, whether or not a worker has seen that. `live`: it may, or may have gone."""
    if live or planned.status is not MessageStatus.SCHEDULED:
        return planned
    return replace(planned, status=MessageStatus.SKIPPED, why=Why.OFFER_OVER)

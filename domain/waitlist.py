"""Entries of the waitlist, offers and receipts: their states, and how long an offer lasts (rules 47 and 51)."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Final

from domain import ids

SUSPENDED_AFTER: Final = 3
OFFER_MIN: Final = timedelta(minutes=10)
OFFER_MAX: Final = timedelta(hours=4)
OFFER_SHARE: Final = 8
URGENCY_MAX: Final = 3


class EntryStatus(Enum):
    ACTIVE = "active"
    OFFERED = "offered"
    FULFILLED = "fulfilled"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SUSPENDED = "suspended"

    @property
    def waiting(self) -> bool:
        return self in WAITING


WAITING: Final = (EntryStatus.ACTIVE, EntryStatus.OFFERED, EntryStatus.SUSPENDED)


class OfferStatus(Enum):
    LIVE = "live"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class AllocationOutcome(Enum):
    OFFERED = "offered"
    OUTRANKED = "outranked"
    NOT_ELIGIBLE = "not-eligible"


@dataclass(frozen=True, slots=True)
class Window:
    """Wall-clock minutes of the clinic, 1440 the end of the day; without weekday: every day."""

    weekday: int | None
    opens: int
    closes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Dates are the clinic's, both included. `misses`: offers in a row that were declined, or ran out though told of."""

    key: int
    version: int
    status: EntryStatus
    patient_key: int
    clinic_key: int
    visit_type_key: int
    provider_keys: tuple[int, ...]
    windows: list[Window]
    first_date: date
    last_date: date
    minimum_notice_minutes: int
    urgency: int
    auto_book: bool
    appointment_key: int | None
    joined_at: datetime
    misses: int

    @property
    def id(self) -> str:
        return ids.node(ids.WAITLIST_ENTRY, self.key)

    @property
    def from_(self) -> date:
        return self.first_date

    @property
    def to(self) -> date:
        return self.last_date


@dataclass(frozen=True, slots=True)
class Offer:
    """`slot_id` is the time offered; instants are in the clinic's zone."""

    key: int
    entry_key: int
    patient_key: int
    clinic_key: int
    slot_id: str
    starts_at: datetime
    ends_at: datetime
    expires_at: datetime
    status: OfferStatus

    @property
    def id(self) -> str:
        return ids.node(ids.OFFER, self.key)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a decision said of one entry. `slot_id`: what it got or would have got, else the beginning of what was freed."""

    entry_key: int
    at: datetime
    slot_id: str
    starts_at: datetime
    ends_at: datetime
    rank: int | None
    outcome: AllocationOutcome
    reasons: list[str]
    rule_version: str


def after_miss(misses: int) -> tuple[EntryStatus, int]:
    """An offer was declined, or ran out unanswered: where the entry stands then."""
    misses += 1
    return (EntryStatus.SUSPENDED if misses >= SUSPENDED_AFTER else EntryStatus.ACTIVE), misses


def after_end(misses: int, lasted: timedelta, *, told: bool) -> tuple[EntryStatus, int]:
    """An offer ran out. It is a miss only of who was told of it and had ten minutes to answer."""
    return after_miss(misses) if told and lasted >= OFFER_MIN else (EntryStatus.ACTIVE, misses)


def offered_until(now: datetime, starts_at: datetime, notice_minutes: int, longest: timedelta = OFFER_MAX) -> datetime:
    """When an offer runs out (rule 47). `longest` caps it, below the ten minutes too."""
    lasting = min(max((starts_at - now) / OFFER_SHARE, OFFER_MIN), OFFER_MAX, longest)
    return min(now + lasting, starts_at - timedelta(minutes=notice_minutes))

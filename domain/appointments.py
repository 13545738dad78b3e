"""Appointments, holds, slots and patients, and which state may follow which (peers: FHIR R5 codes; rule 16)."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Final

from domain import ids
from domain.access import Role


class AppointmentStatus(Enum):
    PROPOSED = "proposed"
    PENDING = "pending"
    BOOKED = "booked"
    ARRIVED = "arrived"
    CHECKED_IN = "checked-in"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    NOSHOW = "noshow"
    ENTERED_IN_ERROR = "entered-in-error"

    @property
    def live(self) -> bool:
        """Only the cancelled and those entered in error give up their time."""
        return self not in (AppointmentStatus.CANCELLED, AppointmentStatus.ENTERED_IN_ERROR)


class AppointmentChange(Enum):
    BOOKED = "booked"
    MOVED = "moved"
    CANCELLED = "cancelled"
    STATUS_SET = "status-set"


class AppointmentTime(Enum):
    UPCOMING = "upcoming"
    PAST = "past"


class SlotStatus(Enum):
    FREE = "free"
    BUSY = "busy"
    BUSY_TENTATIVE = "busy-tentative"
    BUSY_UNAVAILABLE = "busy-unavailable"


@dataclass(frozen=True, slots=True)
class Patient:
    key: int
    version: int
    name: str
    birth_date: date | None
    email: str | None
    phone: str | None

    @property
    def id(self) -> str:
        return ids.node(ids.PATIENT, self.key)


@dataclass(slots=True)
class Slot:
    """A time that can be booked. Aware instants in the clinic's zone; `ends_at` is the end of the visit, buffers excluded."""

    id: str
    provider_key: int
    clinic_key: int
    visit_type_key: int
    starts_at: datetime
    ends_at: datetime
    local_date: date
    status: SlotStatus
    left: int


@dataclass(slots=True)
class OpenSlot:
    """A free time as the live calendar shows it. From `bookable_until` on clients hide it by themselves."""

    id: str
    provider_id: str
    starts_at: datetime
    ends_at: datetime
    local_date: date
    left: int
    bookable_until: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    key: int
    caller: str
    slot_id: str
    expires_at: datetime

    @property
    def id(self) -> str:
        return ids.node(ids.HOLD, self.key)


@dataclass(frozen=True, slots=True)
class Appointment:
    key: int
    version: int
    status: AppointmentStatus
    patient_key: int
    provider_key: int
    clinic_key: int
    visit_type_key: int
    opening_key: int | None
    starts_at: datetime
    ends_at: datetime
    reason: str | None

    @property
    def id(self) -> str:
        return ids.node(ids.APPOINTMENT, self.key)

    @property
    def resource_key(self) -> int:
        return self.opening_key or self.provider_key


@dataclass(frozen=True, slots=True)
class AppointmentEvent:
    at: datetime
    by: Role
    change: AppointmentChange
    version: int
    status: AppointmentStatus
    starts_at_before: datetime | None
    starts_at: datetime
    reason: str | None


UNDO_WITHIN: Final = timedelta(hours=24)
_S = AppointmentStatus
_FORWARD: Final = {
    _S.BOOKED: {_S.ARRIVED, _S.CHECKED_IN, _S.FULFILLED, _S.NOSHOW},
    _S.ARRIVED: {_S.CHECKED_IN, _S.FULFILLED},
    _S.CHECKED_IN: {_S.FULFILLED},
}
_UNDO: Final = {
    _S.ARRIVED: {_S.BOOKED},
    _S.CHECKED_IN: {_S.ARRIVED},
    _S.NOSHOW: {_S.BOOKED, _S.ARRIVED},
    _S.FULFILLED: {_S.CHECKED_IN},
}
CANCELLABLE_BY_STAFF: Final = frozenset({_S.BOOKED, _S.ARRIVED, _S.CHECKED_IN})
CANCELLABLE_BY_PATIENT: Final = frozenset({_S.BOOKED})


def may_set(current: AppointmentStatus, to: AppointmentStatus, changed_at: datetime, now: datetime) -> bool:
    """Whether staff may set `to`; `changed_at` is when the present state was entered: undo is open for 24 h after it."""
    if to is _S.ENTERED_IN_ERROR:
        return current.live
    if to in _FORWARD.get(current, ()):
        return True
    return to in _UNDO.get(current, ()) and now - changed_at <= UNDO_WITHIN


def changeable_until(appointment: Appointment, cancel_until_minutes: int, now: datetime) -> datetime | None:
    """Last instant at which the patient may move or cancel it; None: no more."""
    until = appointment.starts_at - timedelta(minutes=cancel_until_minutes)
    return until if appointment.status is _S.BOOKED and now <= until else None

"""What subscribers get: frames of a live calendar, and the events of appointments. Times carry the clinic's zone.

Frames are shared by everybody who watches the same times: `encoded` keeps their bytes by document, so that each is made once.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum

from domain.appointments import Appointment, OpenSlot
from domain.waitlist import Offer


class SnapshotReason(Enum):
    INITIAL = "initial"
    GAP = "gap"
    EPOCH_CHANGED = "epoch-changed"
    SLOW_CONSUMER = "slow-consumer"
    INVALIDATED = "invalidated"


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """`through`: the last date covered, a whole day, less than asked for where there would be more than 5,000 times."""

    cursor: str
    server_time: datetime
    time_zone: str
    through: date
    slots: list[OpenSlot]
    reason: SnapshotReason = SnapshotReason.INITIAL
    encoded: dict[Hashable, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """Sets, and idempotent: an id may be opened that a client has, or removed that it never had."""

    previous_cursor: str
    cursor: str
    server_time: datetime
    opened: list[OpenSlot]
    removed: list[str]
    encoded: dict[Hashable, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Heartbeat:
    previous_cursor: str
    cursor: str
    server_time: datetime
    encoded: dict[Hashable, bytes] = field(default_factory=dict, repr=False)


Frame = Snapshot | Delta | Heartbeat


@dataclass(frozen=True, slots=True)
class AppointmentChanged:
    appointment: Appointment


@dataclass(frozen=True, slots=True)
class OfferChanged:
    offer: Offer


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The first frame, and after any doubt: read the state again, then go on."""

    reason: SnapshotReason


@dataclass(frozen=True, slots=True)
class StreamHeartbeat:
    server_time: datetime


VisitFrame = AppointmentChanged | OfferChanged | StreamReset | StreamHeartbeat

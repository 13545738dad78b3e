"""The streams of changes: what an event says, and where in a clinic's stream a client or a writer stands.

An event travels as a JSON object with a `v` field (rule 36). It holds ids, times and versions; no patient but as an opaque id on
the staff and patient topics.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from domain import ids

AVAILABILITY: Final = "availability.v1"
STAFF: Final = "staff.v1"
PATIENTS: Final = "patients.v1"
TOPICS: Final = (AVAILABILITY, STAFF, PATIENTS)

VERSION: Final = 1
CURSOR_CHARACTERS: Final = 256
Span = tuple[int, int]
Closed = tuple[int, int, int]


class Malformed(ValueError):
    """A message of a stream that says nothing we know."""


@dataclass(frozen=True, slots=True)
class Position:
    """A point in time by its outbox row: what a mutation's cursor stands for (rule 27)."""

    epoch: str
    clinic_key: int
    xid: int
    outbox_id: int

    def __str__(self) -> str:
        return _opaque(f"1|{self.epoch}|{self.clinic_key}|{self.xid}|{self.outbox_id}")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a clinic's stream: after the event with that number. 0 is its beginning.

    `covers`: the last date (its ordinal) whose times the view shows, 0 where that is not said: a view that ends at another date,
    since a new day came or it was cut elsewhere, can't be carried on by changes alone.
    """

    epoch: str
    clinic_key: int
    seq: int
    covers: int = 0

    def __str__(self) -> str:
        return _opaque(f"2|{self.epoch}|{self.clinic_key}|{self.seq}|{self.covers}")


def position(cursor: str) -> Position | None:
    """The position in a mutation's `cursor`, or None where it is none."""
    found = read(cursor)
    return found if isinstance(found, Position) else None


def read(cursor: str) -> Position | Cursor | None:
    """What a cursor stands for, or None where it can't be read: each has one spelling, and a length that nothing outgrows."""
    if len(cursor) > CURSOR_CHARACTERS:
        return None
    try:
        plain = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
        kind, epoch, *numbers = plain.split("|")
        values = [int(number) for number in numbers]
    except (binascii.Error, ValueError):
        return None
    if kind not in ("1", "2") or len(values) != 3:
        return None
    found = Position(epoch, *values) if kind == "1" else Cursor(epoch, *values)
    return found if str(found) == cursor else None


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """A change of one resource's calendar, told to one clinic; `seq` numbers the clinic's events without gaps, from 1.

    Spans are UTC seconds with buffers; a closed one ends with when its hold runs out, 0 for what stays. `opened` comes before
    `closed`. `invalidated`: more than times has changed, read it again; without a provider everything of the clinic.
    """

    epoch: str
    clinic_key: int
    seq: int
    at: datetime
    xid: int
    outbox_id: int
    provider_key: int | None
    opening_key: int | None
    version: int
    opened: tuple[Span, ...] = ()
    closed: tuple[Closed, ...] = ()
    invalidated: bool = False

    @property
    def resource_key(self) -> int | None:
        return self.opening_key or self.provider_key

    def envelope(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "v": VERSION, "kind": "calendar", "epoch": self.epoch, "clinic": ids.node(ids.CLINIC, self.clinic_key),
            "seq": self.seq, "at": _text(self.at), "point": [self.xid, self.outbox_id], "version": self.version,
        }  # fmt: skip
        if self.provider_key is not None:
            said["provider"] = ids.node(ids.PROVIDER, self.provider_key)
        if self.opening_key is not None:
            said["opening"] = self.opening_key
        if self.invalidated:
            said["invalidated"] = True
        else:
            said["opened"], said["closed"] = [list(span) for span in self.opened], [list(span) for span in self.closed]
        return said


@dataclass(frozen=True, slots=True)
class VisitEvent:
    """A new version of an appointment, for the staff of its clinics and for its patient. A move names both clinics."""

    epoch: str
    clinic_keys: tuple[int, ...]
    patient_key: int
    appointment_key: int
    version: int
    at: datetime
    xid: int
    outbox_id: int

    def envelope(self) -> dict[str, Any]:
        return {
            "v": VERSION, "kind": "appointment", "epoch": self.epoch,
            "clinics": [ids.node(ids.CLINIC, key) for key in self.clinic_keys],
            "patient": ids.node(ids.PATIENT, self.patient_key),
            "appointment": ids.node(ids.APPOINTMENT, self.appointment_key), "version": self.version,
            "at": _text(self.at), "point": [self.xid, self.outbox_id],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class OfferEvent:
    """An offer of the waitlist was made, or has ended, one way or another: for its patient alone."""

    clinic_keys: ClassVar[tuple[int, ...]] = ()

    epoch: str
    patient_key: int
    offer_key: int
    at: datetime
    xid: int
    outbox_id: int

    def envelope(self) -> dict[str, Any]:
        return {
            "v": VERSION, "kind": "offer", "epoch": self.epoch, "patient": ids.node(ids.PATIENT, self.patient_key),
            "offer": ids.node(ids.OFFER, self.offer_key), "at": _text(self.at), "point": [self.xid, self.outbox_id],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pulse:
    """The relay is alive: at `at` (the database's clock) everything older than `horizon_age` seconds was in the log before this."""

    epoch: str
    at: datetime
    horizon_age: float

    def envelope(self) -> dict[str, Any]:
        return {
            "v": VERSION, "kind": "pulse", "epoch": self.epoch, "at": _text(self.at), "horizonAge": self.horizon_age,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resumed:
    """The source was lost and is read again from where it stood: whoever follows the stream compares itself with the log."""

    def envelope(self) -> dict[str, Any]:
        return {"v": VERSION, "kind": "resumed"}


Event = CalendarEvent | VisitEvent | OfferEvent | Pulse | Resumed


def addressed(event: CalendarEvent | VisitEvent | OfferEvent) -> list[tuple[str, str]]:
    """Topic and key of each message that tells it: calendars by clinic; visits by each clinic named, and by patient; offers by
    patient (rule 36)."""
    if isinstance(event, CalendarEvent):
        return [(AVAILABILITY, ids.node(ids.CLINIC, event.clinic_key))]
    by_clinic = [(STAFF, ids.node(ids.CLINIC, key)) for key in event.clinic_keys]
    return [*by_clinic, (PATIENTS, ids.node(ids.PATIENT, event.patient_key))]


def event(said: Any) -> Event:
    """The event in an envelope. Raises Malformed; fields that are not known yet are passed over."""
    try:
        if said["v"] != VERSION:
            raise Malformed(f"version {said['v']!r}")
        return _READERS[said["kind"]](said)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Malformed(type(error).__name__) from error


def _calendar(said: dict[str, Any]) -> CalendarEvent:
    xid, outbox_id = said["point"]
    provider = said.get("provider")
    return CalendarEvent(
        said["epoch"], _key(said["clinic"], ids.CLINIC), said["seq"], _at(said["at"]), xid, outbox_id,
        None if provider is None else _key(provider, ids.PROVIDER), said.get("opening"), said["version"],
        tuple((start, end) for start, end in said.get("opened", ())),
        tuple((start, end, expires_at) for start, end, expires_at in said.get("closed", ())),
        said.get("invalidated", False),
    )  # fmt: skip


def _visit(said: dict[str, Any]) -> VisitEvent:
    xid, outbox_id = said["point"]
    return VisitEvent(
        said["epoch"], tuple(_key(one, ids.CLINIC) for one in said["clinics"]), _key(said["patient"], ids.PATIENT),
        _key(said["appointment"], ids.APPOINTMENT), said["version"], _at(said["at"]), xid, outbox_id,
    )  # fmt: skip


def _offer(said: dict[str, Any]) -> OfferEvent:
    xid, outbox_id = said["point"]
    return OfferEvent(
        said["epoch"], _key(said["patient"], ids.PATIENT), _key(said["offer"], ids.OFFER), _at(said["at"]), xid, outbox_id,
    )  # fmt: skip


_READERS: Final[dict[str, Callable[[dict[str, Any]], Event]]] = {
    "calendar": _calendar,
    "appointment": _visit,
    "offer": _offer,
    "pulse": lambda said: Pulse(said["epoch"], _at(said["at"]), float(said["horizonAge"])),
    "resumed": lambda _: Resumed(),
}


def _key(node_id: str, kind: str) -> int:
    key = ids.key(node_id, kind)
    if key is None:
        raise Malformed(f"no id of kind {kind}")
    return key


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _at(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise Malformed("a time without a zone")
    return at


def _opaque(plain: str) -> str:
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")

"""SMART Scheduling Links: what the lines of a bulk publication say, and which instants they mean (rules 42, 43)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from domain import zones
from domain.tables import RefusedLine, UnusableFile, clean

CAPACITY: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/slot-capacity"
ZONE: Final = "http://hl7.org/fhir/StructureDefinition/timezone"
BROAD_TYPES: Final = "http://terminology.hl7.org/CodeSystem/service-type"
NO_SERVICE: Final = ("service-type:", "Appointment")

LONGEST: Final = timedelta(hours=24)
HIGHEST_CAPACITY: Final = 10_000
LINE_BYTES: Final = 1 << 20
MOST_FILES: Final = 5_000
_STATUSES: Final = {"free", "busy", "busy-unavailable", "busy-tentative", "entered-in-error"}
_YEARS: Final = range(2000, 2101)
_TYPES: Final = ("Location", "Schedule", "Slot")


@dataclass(frozen=True, slots=True)
class Manifest:
    """`feed` names the publication wherever its copy lies; `files` are (type, url) in the manifest's order."""

    feed: str
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FeedLocation:
    id: str
    values: dict[str, str]
    address_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeedSchedule:
    id: str
    location: str
    services: tuple[tuple[str, str], ...]  # (source key, name)


@dataclass(frozen=True, slots=True)
class FeedSlot:
    """Start and end as the line states them, each with its own offset."""

    schedule: str
    start: datetime
    end: datetime
    capacity: int
    offered: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """How the feed's instants are meant. `off`: every line is off by this, so all are the clinic's wall time."""

    off: timedelta | None
    odd: int  # instants whose offset is not their clinic's, taken as written


def manifest(data: bytes, address: str) -> Manifest:
    """Raises UnusableFile. `address` names the feed where its manifest does not."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnusableFile(f"not a JSON manifest: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("output"), list):
        raise UnusableFile("not a bulk-publication manifest: it has no list `output`")
    files = [
        (one["type"], one["url"])
        for one in found["output"]
        if isinstance(one, dict) and one.get("type") in _TYPES and _printable(one.get("url"))
    ]
    if len(files) > MOST_FILES:
        raise UnusableFile(f"the manifest names more than {MOST_FILES} files")
    if not files:
        raise UnusableFile("the manifest names no Location, Schedule or Slot file")
    request = found.get("request")
    return Manifest(str(request).rstrip("/") if _printable(request) else address, tuple(files))


def line(raw: bytes, kind: str) -> dict[str, Any]:
    """One ndjson line of a resource type. Raises RefusedLine."""
    if len(raw) > LINE_BYTES:
        raise RefusedLine(f"longer than {LINE_BYTES} bytes")
    try:
        found = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise RefusedLine("not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise RefusedLine(f"not JSON: {error}") from None
    if not isinstance(found, dict) or found.get("resourceType") != kind:
        raise RefusedLine(f"not a {kind}")
    return found


def location(found: Mapping[str, Any]) -> FeedLocation:
    address, position = _object(found, "address"), _object(found, "position")
    phone = next((_text(one, "value") for one in _objects(found, "telecom") if one.get("system") == "phone"), "")
    zone = next((_text(one, "valueCode") for one in _objects(found, "extension") if one.get("url") == ZONE), "")
    lines = address.get("line")
    return FeedLocation(
        id=_id(found),
        values={
            "name": _text(found, "name"),
            "city": _text(address, "city"),
            "state": _text(address, "state"),
            "country": _text(address, "country"),
            "postal_code": _text(address, "postalCode"),
            "latitude": _text(position, "latitude"),
            "longitude": _text(position, "longitude"),
            "time_zone": zone,
            "phone": phone,
        },
        address_lines=tuple(clean(one) for one in lines if isinstance(one, str)) if isinstance(lines, list) else (),
    )


def schedule(found: Mapping[str, Any]) -> FeedSchedule:
    actors = [_reference(one, "Location") for one in _objects(found, "actor")]
    place = next((one for one in actors if one), None)
    if place is None:
        raise RefusedLine("no actor that is a Location")
    services = tuple(dict.fromkeys(_service(one) for one in _objects(found, "serviceType")))
    return FeedSchedule(_id(found), place, services or (NO_SERVICE,))


def slot(found: Mapping[str, Any]) -> FeedSlot:
    owner = _reference(_object(found, "schedule"), "Schedule")
    if owner is None:
        raise RefusedLine("no schedule")
    status = found.get("status")
    if not isinstance(status, str) or status not in _STATUSES:
        raise RefusedLine(f"status {str(status)[:50]!r} is none of {', '.join(sorted(_STATUSES))}")
    start, end = _instant(found, "start"), _instant(found, "end")
    if end <= start:
        raise RefusedLine("the end is not after the start")
    if end - start > LONGEST:
        raise RefusedLine("longer than 24 hours")
    capacity = _capacity(found)
    return FeedSlot(owner, start, end, capacity, offered=status == "free" and capacity > 0)


def reading(slots: Iterable[tuple[FeedSlot, ZoneInfo]]) -> Reading:
    """Rule 43. Times in UTC name an instant and claim no wall time, so they are never off."""
    differences: dict[timedelta, int] = {}
    for one, zone in slots:
        for at in (one.start, one.end):
            difference = _difference(at, zone)
            differences[difference] = differences.get(difference, 0) + 1
    odd = sum(number for difference, number in differences.items() if difference)
    only = next(iter(differences)) if len(differences) == 1 else None
    return Reading(only, 0) if only else Reading(None, odd)


def resolve(one: FeedSlot, zone: ZoneInfo, *, wall: bool, weeks: int) -> tuple[datetime, datetime]:
    """The instants meant (UTC), `weeks` later on the clinic's wall clock. Raises RefusedLine."""
    start, end = (_moved(at, zone, wall=wall, weeks=weeks) for at in (one.start, one.end))
    if not timedelta() < end - start <= LONGEST:
        raise RefusedLine("not a whole minute between start and end, or more than 24 hours, by the clinic's clock")
    return start, end


def past_only(ends: Sequence[datetime], now: datetime) -> int | None:
    """Weeks to shift by so that the first of these openings lies ahead; None where some are not past."""
    if not ends or max(ends) > now:
        return None
    return (now - min(ends)).days // 7 + 1


def _moved(at: datetime, zone: ZoneInfo, *, wall: bool, weeks: int) -> datetime:
    if not wall and not weeks:
        return at.astimezone(UTC).replace(second=0, microsecond=0)
    local = (at if wall else at.astimezone(zone)).replace(tzinfo=None)
    try:
        day = local.date() + timedelta(weeks=weeks)
    except OverflowError:
        day = local.date().replace(year=1)
    if day.year not in _YEARS:
        raise RefusedLine(f"shifted to the year {day.year}")
    return zones.at(zones.instant(zone, day, local.hour * 60 + local.minute), zone).astimezone(UTC)


def _difference(at: datetime, zone: ZoneInfo) -> timedelta:
    stated = at.utcoffset()
    assert stated is not None
    if not stated:
        return timedelta()
    wall = at.replace(tzinfo=None)
    true = [wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1)]
    return timedelta() if stated in true else stated - true[0]


def _instant(found: Mapping[str, Any], name: str) -> datetime:
    text = found.get(name)
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        at = None
    if at is None:
        raise RefusedLine(f"{name} {text!r} is no instant"[:200])
    if at.tzinfo is None:
        raise RefusedLine(f"{name} {text!r} has no UTC offset")
    if at.year not in _YEARS:
        raise RefusedLine(f"{name} {text!r} is not between {_YEARS[0]} and {_YEARS[-1]}")
    return at


def _capacity(found: Mapping[str, Any]) -> int:
    stated = [one.get("valueInteger") for one in _objects(found, "extension") if one.get("url") == CAPACITY]
    capacity = stated[0] if stated else 1
    if isinstance(capacity, bool) or not isinstance(capacity, int):
        raise RefusedLine(f"capacity {capacity!r} is no whole number"[:200])
    if capacity < 0:
        raise RefusedLine(f"capacity {capacity} is negative"[:200])
    if capacity > HIGHEST_CAPACITY:
        raise RefusedLine(f"capacity is more than {HIGHEST_CAPACITY}")
    return capacity


def _service(concept: Mapping[str, Any]) -> tuple[str, str]:
    """The most exact coding of a service type: FHIR's own list says no more than "Immunization"."""
    codings = [one for one in _objects(concept, "coding") if _text(one, "code") or _text(one, "display")]
    exact = [one for one in codings if one.get("system") != BROAD_TYPES]
    for one in (*exact, *codings):
        code, name = _text(one, "code"), _text(one, "display") or _text(concept, "text") or _text(one, "code")
        return f"service-type:{_text(one, 'system')}|{code or name.lower()}", name
    name = _text(concept, "text")
    return (f"service-type:|{name.lower()}", name) if name else NO_SERVICE


def _printable(value: Any) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _id(found: Mapping[str, Any]) -> str:
    name = _text(found, "id")
    if not name:
        raise RefusedLine("no id")
    return name


def _reference(found: Mapping[str, Any], kind: str) -> str | None:
    """The id in ``Location/116`` or ``https://…/Location/116``."""
    parts = _text(found, "reference").split("/")
    return parts[-1] if len(parts) > 1 and parts[-2] == kind and parts[-1] else None


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return clean(str(value))


def _object(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _objects(found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = found.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []

"""Weekly hours and exceptions. An edit takes the provider's lock, so that what it orphans is complete (rules 2, 3, 17)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final

from adapters.postgres import appointments, calendars, changes, clinics, locks, opened, schedules
from adapters.postgres.changes import Change, Request
from adapters.postgres.database import Connection, Database, Reader, answering
from adapters.postgres.opened import Waited
from adapters.postgres.schedules import Standing
from domain import access, days, fields, ids, zones
from domain.access import Viewer
from domain.clinics import VisitType
from domain.faults import BadInput
from domain.outcomes import IdempotencyMismatch, InvalidInput, NotFound, ScheduleSaved, StaleVersion
from domain.schedules import TICK_MINUTES, ExceptionKind, Schedule, WeeklyHours, overlapping
from services import coming_up, records, requests
from services.desk import RolledBack
from services.own_writes import NOTHING_KEPT, OwnWrites

ROWS_MAX: Final = 200
EXCEPTIONS_MAX: Final = 2000
DAYS_AHEAD_MAX: Final = 800
REASON_MAX: Final = 255
HoursOutcome = ScheduleSaved | StaleVersion | InvalidInput | IdempotencyMismatch | NotFound
ExceptionOutcome = ScheduleSaved | InvalidInput | IdempotencyMismatch | NotFound
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class HoursInput:
    """A row as it is typed. Weekday 0 is Monday; minutes of the clinic's wall clock, 1440 ends the day."""

    weekday: int
    opens: int
    closes: int
    valid_from: date | None = None
    valid_to: date | None = None
    visit_type_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExceptionInput:
    """Without hours: the whole day."""

    kind: ExceptionKind
    date: date
    opens: int | None = None
    closes: int | None = None
    reason: str | None = None


class Schedules:
    def __init__(self, database: Database, own: OwnWrites = NOTHING_KEPT) -> None:
        self._database = database
        self._own = own

    async def set_weekly_hours(
        self,
        viewer: Viewer,
        provider_id: str,
        clinic_id: str,
        version: int,
        hours: Sequence[HoursInput],
        idempotency_key: str,
    ) -> HoursOutcome:
        """Replaces the whole set. Version 0 where none is set yet."""
        access.require_staff(viewer)
        asked = {
            "providerId": provider_id, "clinicId": clinic_id, "version": version, "hours": [asdict(row) for row in hours],
        }  # fmt: skip
        request = requests.request("setWeeklyHours", idempotency_key, asked)

        async def edit(tx: Connection, standing: Standing, pair: Pair) -> str | StaleVersion:
            if standing.version != version:
                return StaleVersion(standing.version)
            await schedules.set_hours(tx, *pair, await _rows(tx, hours))
            return "schedule:{}:{}".format(*pair)

        outcome: HoursOutcome = await self._edit(viewer, request, _pair(provider_id, clinic_id), edit)
        return outcome

    async def add_exception(
        self, viewer: Viewer, provider_id: str, clinic_id: str, added: ExceptionInput, idempotency_key: str
    ) -> ExceptionOutcome:
        """Closed: these hours go; open: they come; replaced: the day has these only."""
        access.require_staff(viewer)
        asked = {"providerId": provider_id, "clinicId": clinic_id, "exception": asdict(added)}
        request = requests.request("addScheduleException", idempotency_key, asked)

        async def edit(tx: Connection, standing: Standing, pair: Pair) -> str:
            opens, closes, reason = _exception(added, standing)
            key = await schedules.add_exception(tx, *pair, added.kind, added.date, opens, closes, reason)
            return f"exception:{key}"

        outcome: ExceptionOutcome = await self._edit(viewer, request, _pair(provider_id, clinic_id), edit)
        return outcome

    async def remove_exception(self, viewer: Viewer, exception_id: str, idempotency_key: str) -> ExceptionOutcome:
        access.require_staff(viewer)
        request = requests.request("removeScheduleException", idempotency_key, {"id": exception_id})
        key = ids.key(exception_id, ids.EXCEPTION)
        pair = None
        if key is not None:
            async with answering():
                pair = await schedules.exception_of(self._database.primary, key)

        async def edit(tx: Connection, _: Standing, pair: Pair) -> str | NotFound:
            assert key is not None
            return f"exception:{key}" if await schedules.remove_exception(tx, key, *pair) else NotFound()

        outcome: ExceptionOutcome = await self._edit(viewer, request, pair, edit, also_after_leaving=True)
        return outcome

    async def _edit(
        self,
        viewer: Viewer,
        request: Request,
        pair: Pair | None,
        edit: Callable[[Connection, Standing, Pair], Awaitable[Any]],
        *,
        also_after_leaving: bool = False,
    ) -> Any:
        outcome = await self._edited(viewer, request, pair, edit, also_after_leaving)
        self._own.wrote(request.versions)
        return outcome

    async def _edited(
        self,
        viewer: Viewer,
        request: Request,
        pair: Pair | None,
        edit: Callable[[Connection, Standing, Pair], Awaitable[Any]],
        also_after_leaving: bool,
    ) -> Any:
        """One edit under the provider's lock. `edit` answers what it changed, for the audit row, or a refusal."""
        keys = [] if pair is None else [locks.resource(pair[0])]
        async with self._database.locked((viewer.subject, request.key), keys) as tx:
            answered = await records.used(tx, viewer, request, _again)
            if answered is not None:
                return answered
            if pair is None or not viewer.works_at(pair[1]):
                return NotFound()
            standing = await schedules.standing(tx, *pair)
            if standing is None or not (standing.works_there or also_after_leaving):
                return NotFound()
            before = await _waited_for(tx, pair)
            try:
                entity = await edit(tx, standing, pair)
            except BadInput as fault:
                return records.invalid(fault)
            except RolledBack as rolled_back:
                return rolled_back.outcome
            if not isinstance(entity, str):
                return entity
            stored = {"type": "ScheduleSaved", "provider": pair[0], "clinic": pair[1]}
            told = changes.told_to(pair[0], standing.clinic_keys, records.INVALIDATED)
            change = Change(viewer, request, standing.now, stored, entity, pair[1], told=told)
            await changes.record(tx, change)
            if before is not None:
                waited, schedule, kinds = before
                await coming_up.hours(tx, pair, waited, kinds, schedule, standing.now)
            return await _saved(tx, pair)


def _pair(provider_id: str, clinic_id: str) -> Pair | None:
    provider_key, clinic_key = ids.key(provider_id, ids.PROVIDER), ids.key(clinic_id, ids.CLINIC)
    return None if provider_key is None or clinic_key is None else (provider_key, clinic_key)


async def _rows(tx: Connection, hours: Sequence[HoursInput]) -> list[WeeklyHours]:
    """The rows with the keys of their visit types. Raises BadInput for a broken field, RolledBack for an unknown id."""
    if len(hours) > ROWS_MAX:
        raise BadInput("hours", f"At most {ROWS_MAX} rows are taken.")
    keys = {key for row in hours for one in row.visit_type_ids if (key := ids.key(one, ids.VISIT_TYPE)) is not None}
    known = await clinics.visit_types(tx, list(keys)) if keys else {}
    rows = [_row(f"hours.{at}", row, known) for at, row in enumerate(hours)]
    clash = overlapping(rows)
    if clash is not None:
        raise BadInput(f"hours.{clash}.opens", "It overlaps an earlier row for the same kind of visit.")
    return rows


def _row(field: str, row: HoursInput, known: dict[int, Any]) -> WeeklyHours:
    fields.number(f"{field}.weekday", row.weekday, 0, 6)
    _hours(f"{field}.", row.opens, row.closes)
    if row.valid_from is not None and row.valid_to is not None and row.valid_to < row.valid_from:
        raise BadInput(f"{field}.validTo", "It ends before it begins.")
    keys = []
    for at, one in enumerate(row.visit_type_ids):
        key = ids.key(one, ids.VISIT_TYPE)
        if key is None or key not in known:
            raise RolledBack(records.unknown(f"{field}.visitTypeIds.{at}", "visit type"))
        keys.append(key)
    return WeeklyHours(row.weekday, row.opens, row.closes, row.valid_from, row.valid_to, tuple(dict.fromkeys(keys)))


def _hours(prefix: str, opens: int, closes: int) -> None:
    fields.number(f"{prefix}opens", opens, 0, zones.MINUTES_A_DAY - TICK_MINUTES, TICK_MINUTES)
    fields.number(f"{prefix}closes", closes, 0, zones.MINUTES_A_DAY, TICK_MINUTES)
    if closes <= opens:
        raise BadInput(f"{prefix}closes", "It closes before it opens.")


def _exception(added: ExceptionInput, standing: Standing) -> tuple[int, int, str | None]:
    today = zones.today(standing.now, standing.zone)
    if not today - timedelta(days=1) <= added.date <= today + timedelta(days=DAYS_AHEAD_MAX):
        raise BadInput("date", f"A date from yesterday to {DAYS_AHEAD_MAX} days ahead is taken.")
    opens, closes = added.opens, added.closes
    if (opens is None) != (closes is None):
        raise BadInput("opens" if opens is None else "closes", "Both hours are named, or neither.")
    if opens is None or closes is None:
        opens, closes = 0, zones.MINUTES_A_DAY
    _hours("", opens, closes)
    why = requests.problem(added.reason, REASON_MAX)
    if why is not None:
        raise BadInput("reason", why)
    if standing.exceptions >= EXCEPTIONS_MAX:
        raise BadInput("date", f"At most {EXCEPTIONS_MAX} exceptions are kept for a provider at a clinic.")
    return opens, closes, (added.reason or "").strip() or None


async def _waited_for(tx: Connection, pair: Pair) -> tuple[Waited, Schedule, list[VisitType]] | None:
    """The hours before an edit, where somebody waits for what the provider offers there."""
    waited = (await opened.waited_for(tx, [pair[0]])).get(pair)
    if waited is None:
        return None
    kinds = await clinics.visit_types(tx, sorted(waited.kinds))
    before = (await calendars.schedules(tx, [pair])).get(pair, Schedule(*pair, 0))
    return waited, before, list(kinds.values())


async def _again(reader: Reader, outcome: dict[str, Any]) -> ScheduleSaved:
    return await _saved(reader, (outcome["provider"], outcome["clinic"]))


async def _saved(reader: Reader, pair: Pair) -> ScheduleSaved:
    """The schedule as it is now, with the booked visits to come that lie outside it."""
    schedule = (await calendars.schedules(reader, [pair])).get(pair, Schedule(*pair, 0))
    now = await changes.now(reader)
    booked = await appointments.booked_ahead(reader, *pair, now)
    zone = (await clinics.clinics(reader, [pair[1]]))[pair[1]].zone
    return ScheduleSaved(schedule, days.orphaned(schedule, zone, booked))

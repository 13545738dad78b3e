"""The waitlist as patients and staff use it: join, change, leave, accept, decline (rules 46 to 51)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from adapters.postgres import appointments, changes, clinics, locks, offers, waitlist
from adapters.postgres.changes import By, Change, Request, Told
from adapters.postgres.database import Connection, answering
from adapters.postgres.offers import StoredOffer
from adapters.postgres.patients import clinics_of
from domain import access, availability, fields, ids, zones
from domain.access import Viewer
from domain.appointments import AppointmentStatus
from domain.clinics import Clinic, VisitType
from domain.faults import BadInput, Unavailable
from domain.outcomes import (
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    OfferDeclined,
    OfferGone,
    PolicyRule,
    PolicyViolation,
    StaleVersion,
    WaitlistEntryUpdated,
    WaitlistJoined,
    WaitlistLeft,
)
from domain.schedules import TICK_MINUTES
from domain.waitlist import URGENCY_MAX, Entry, EntryStatus, OfferStatus, Window, after_miss
from services import accepting, offering, records, replays, requests
from services.accepting import AcceptOutcome
from services.desk import Desk, RolledBack

WINDOWS_MAX: Final = 50
PROVIDERS_MAX: Final = 50
NOTICE_MINUTES: Final = 180
JoinOutcome = WaitlistJoined | PolicyViolation | InvalidInput | IdempotencyMismatch | NotFound
ChangeOutcome = WaitlistEntryUpdated | StaleVersion | InvalidInput | IdempotencyMismatch | NotFound
LeaveOutcome = WaitlistLeft | IdempotencyMismatch | NotFound
DeclineOutcome = OfferDeclined | OfferGone | IdempotencyMismatch | NotFound


@dataclass(frozen=True, slots=True)
class Joining:
    """What is asked for, as it was typed. Windows: (weekday or None, opens, closes) in minutes of the clinic's wall clock."""

    clinic_id: str
    visit_type_id: str
    first_date: date
    last_date: date
    provider_ids: Sequence[str] = ()
    windows: Sequence[tuple[int | None, int, int]] = ()
    minimum_notice_minutes: int = NOTICE_MINUTES
    auto_book: bool = False
    appointment_id: str | None = None
    patient_id: str | None = None
    urgency: int | None = None


class Waiting:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def join(self, viewer: Viewer, asked: Joining, idempotency_key: str) -> JoinOutcome:
        """Waits for a time that is given up; times that are open already are not looked at."""
        access.require_signed_in(viewer)
        named = {name: getattr(asked, name) for name in Joining.__slots__}
        request = requests.request("joinWaitlist", idempotency_key, named)
        patient_key = viewer.patient_key if asked.patient_id is None else ids.key(asked.patient_id, ids.PATIENT)
        keys = [] if patient_key is None else [locks.patient(patient_key)]
        try:
            async with self._desk.database.locked((viewer.subject, request.key), keys) as tx:
                remembered = await changes.remembered(tx, viewer.subject, request.key)
                if remembered is not None:
                    return await replays.replay(tx, viewer, request, remembered)  # type: ignore[no-any-return]
                if viewer.is_staff and asked.patient_id is None:
                    return InvalidInput("patientId", "Staff name the patient.")
                draft = await self._draft(tx, viewer, asked, patient_key)
                return await self._join(tx, viewer, request, draft) if isinstance(draft, Entry) else draft
        except BadInput as fault:
            return records.invalid(fault)
        except RolledBack as rolled_back:
            return rolled_back.outcome  # type: ignore[no-any-return]

    async def _draft(
        self, tx: Connection, viewer: Viewer, asked: Joining, patient_key: int | None
    ) -> Entry | PolicyViolation | NotFound:
        clinic_key, kind_key = ids.key(asked.clinic_id, ids.CLINIC), ids.key(asked.visit_type_id, ids.VISIT_TYPE)
        place = await _place(tx, clinic_key, kind_key)
        if place is None or patient_key is None or not viewer.sees_appointment(patient_key, place[0].key):
            return NotFound()
        clinic, kind = place
        if not await waitlist.patient_known(tx, patient_key, clinics_of(viewer)):
            return NotFound()
        there = await waitlist.offered_there(tx, clinic.key, kind.key)
        now = await changes.now(tx)
        draft = Entry(
            0, 1, EntryStatus.ACTIVE, patient_key, clinic.key, kind.key, _providers(asked.provider_ids, there),
            [Window(*one) for one in asked.windows], asked.first_date, asked.last_date,
            asked.minimum_notice_minutes, asked.urgency or 0, asked.auto_book, None, now, 0,
        )  # fmt: skip
        _check(draft, viewer, clinic, kind, now, urgency=asked.urgency)
        if asked.appointment_id is not None:
            draft = replace(
                draft, appointment_key=await self._to_be_moved(tx, viewer, draft, asked.appointment_id, now)
            )
        return draft if there else PolicyViolation(PolicyRule.NOT_OFFERED)

    async def _to_be_moved(
        self, tx: Connection, viewer: Viewer, draft: Entry, appointment_id: str, now: datetime
    ) -> int:
        key = ids.key(appointment_id, ids.APPOINTMENT)
        found = None if key is None else (await appointments.appointments(tx, [key])).get(key)
        if found is None or not viewer.sees_appointment(found.patient_key, found.clinic_key):
            raise RolledBack(NotFound())
        if found.patient_key != draft.patient_key:
            raise RolledBack(NotFound())
        if found.visit_type_key != draft.visit_type_key:
            raise BadInput("appointmentId", "This appointment is another kind of visit.")
        if found.status is not AppointmentStatus.BOOKED or found.starts_at <= now:
            raise BadInput("appointmentId", "This appointment can't be moved any more.")
        return found.key

    async def _join(
        self, tx: Connection, viewer: Viewer, request: Request, draft: Entry
    ) -> WaitlistJoined | PolicyViolation:
        entry = await waitlist.join(tx, draft)
        if entry is None:
            return PolicyViolation(PolicyRule.ALREADY_WAITING)
        await _record(tx, viewer, request, "WaitlistJoined", entry, draft.joined_at)
        return WaitlistJoined(entry)

    async def change(
        self, viewer: Viewer, entry_id: str, version: int, wishes: Mapping[str, Any], idempotency_key: str
    ) -> ChangeOutcome:
        """`wishes` holds what is to change, by the names of `Joining`; who was suspended waits again."""
        access.require_signed_in(viewer)
        named = {"entryId": entry_id, "version": version, "wishes": dict(wishes)}
        request = requests.request("updateWaitlistEntry", idempotency_key, named)

        async def write(tx: Connection, entry: Entry, now: datetime) -> Any:
            if entry.version != version:
                return StaleVersion(entry.version)
            changed = await waitlist.change(tx, await _changed(tx, viewer, entry, wishes, now), now)
            await _record(tx, viewer, request, "WaitlistEntryUpdated", changed, now)
            return WaitlistEntryUpdated(changed)

        try:
            return await self._of_entry(viewer, request, entry_id, write)  # type: ignore[no-any-return]
        except BadInput as fault:
            return records.invalid(fault)
        except RolledBack as rolled_back:
            return rolled_back.outcome  # type: ignore[no-any-return]

    async def leave(self, viewer: Viewer, entry_id: str, idempotency_key: str) -> LeaveOutcome:
        """Waits no more. A live offer passes on to the next. NotFound also for an entry that is over."""
        access.require_signed_in(viewer)
        request = requests.request("leaveWaitlist", idempotency_key, {"entryId": entry_id})

        async def write(tx: Connection, entry: Entry, now: datetime) -> WaitlistLeft:
            told: list[Told] = []
            live = (await offers.live_of_entries(tx, [entry.key])).get(entry.key)
            if live is not None:
                stored = (await offers.offers(tx, [live]))[live]
                over = (EntryStatus.WITHDRAWN, entry.misses)
                by = By(viewer, request.operation)
                told = await offering.end(tx, self._desk, stored, OfferStatus.DECLINED, over, by)
            else:
                await waitlist.set_status(tx, entry.key, EntryStatus.WITHDRAWN, entry.misses)
            await _record(tx, viewer, request, "WaitlistLeft", entry, now, told)
            return WaitlistLeft((await waitlist.entries(tx, [entry.key]))[entry.key])

        outcome: LeaveOutcome = await self._of_entry(viewer, request, entry_id, write)
        return outcome

    async def _of_entry(
        self, viewer: Viewer, request: Request, entry_id: str, write: Callable[[Connection, Entry, datetime], Any]
    ) -> Any:
        """One change of a waiting entry under its clinic's waitlist lock, and its offer's resource where it has one."""
        desk = self._desk
        key = ids.key(entry_id, ids.WAITLIST_ENTRY)
        async with answering():
            seen = None if key is None else (await waitlist.entries(desk.database.primary, [key])).get(key)
            if key is None or seen is None or not viewer.sees_appointment(seen.patient_key, seen.clinic_key):
                return await replays.replay_or_not_found(desk.database.primary, viewer, request)
        for _ in range(accepting.TRIES):
            stored = await self._live(key)
            keys = [locks.patient(seen.patient_key), locks.waitlist(seen.clinic_key)]
            keys += [locks.resource(stored.resource_key)] if stored is not None else []
            async with desk.database.locked((viewer.subject, request.key), keys) as tx:
                remembered = await changes.remembered(tx, viewer.subject, request.key)
                if remembered is not None:
                    return await replays.replay(tx, viewer, request, remembered)
                live = (await offers.live_of_entries(tx, [key])).get(key)
                if live is not None and (stored is None or stored.offer.key != live):
                    continue  # It got an offer between the look and the locks.
                entry = (await waitlist.entries(tx, [key]))[key]
                outcome = await write(tx, entry, await changes.now(tx)) if entry.status.waiting else NotFound()
            if isinstance(outcome, WaitlistLeft) and stored is not None:
                await self._freed(stored, request)
            return outcome
        raise Unavailable("the entry keeps changing")

    async def _live(self, entry_key: int) -> StoredOffer | None:
        reader = self._desk.database.primary
        async with answering():
            live = (await offers.live_of_entries(reader, [entry_key])).get(entry_key)
            return None if live is None else (await offers.offers(reader, [live])).get(live)

    async def _freed(self, stored: StoredOffer, request: Request) -> None:
        self._desk.shield.released(stored.resource_key)
        await self._desk.wrote([stored.resource_key], request)

    async def accept(self, viewer: Viewer, offer_id: str, idempotency_key: str) -> AcceptOutcome:
        """Books the time, or moves the appointment that was to go earlier."""
        access.require_signed_in(viewer)
        request = requests.request("acceptOffer", idempotency_key, {"offerId": offer_id})
        stored = await self._offer(viewer, offer_id)
        if stored is None:
            gone: AcceptOutcome = await replays.replay_or_not_found(self._desk.database.primary, viewer, request)
            return gone
        outcome: AcceptOutcome = await accepting.accept(self._desk, accepting.Wanted(viewer, request, stored.offer.key))
        return outcome

    async def decline(self, viewer: Viewer, offer_id: str, idempotency_key: str) -> DeclineOutcome:
        """The time goes to the next; the entry waits on, suspended after the third miss in a row."""
        access.require_signed_in(viewer)
        request = requests.request("declineOffer", idempotency_key, {"offerId": offer_id})
        seen = await self._offer(viewer, offer_id)
        if seen is None:
            gone: DeclineOutcome = await replays.replay_or_not_found(self._desk.database.primary, viewer, request)
            return gone
        outcome: DeclineOutcome
        async with self._desk.database.locked((viewer.subject, request.key), offer_locks(seen)) as tx:
            remembered = await changes.remembered(tx, viewer.subject, request.key)
            if remembered is not None:
                outcome = await replays.replay(tx, viewer, request, remembered)
                return outcome
            stored = (await offers.offers(tx, [seen.offer.key]))[seen.offer.key]
            if stored.offer.status is not OfferStatus.LIVE or stored.run_out:
                return OfferGone(OfferStatus.EXPIRED if stored.run_out else stored.offer.status)
            entry_key = stored.offer.entry_key
            missed, by = after_miss(stored.misses), By(viewer, request.operation)
            told = await offering.end(tx, self._desk, stored, OfferStatus.DECLINED, missed, by)
            entry = (await waitlist.entries(tx, [entry_key]))[entry_key]
            await _record(tx, viewer, request, "OfferDeclined", entry, stored.now, told)
            outcome = OfferDeclined(entry)
        await self._freed(seen, request)
        return outcome

    async def _offer(self, viewer: Viewer, offer_id: str) -> StoredOffer | None:
        """The offer, if the viewer may answer it."""
        key = ids.key(offer_id, ids.OFFER)
        async with answering():
            found = None if key is None else (await offers.offers(self._desk.database.primary, [key])).get(key)
        if found is None or not viewer.sees_appointment(found.offer.patient_key, found.offer.clinic_key):
            return None
        return found


def offer_locks(stored: StoredOffer) -> list[locks.Key]:
    """What ending an offer needs. An offer's resource and clinic never change."""
    return [locks.waitlist(stored.offer.clinic_key), locks.resource(stored.resource_key)]


async def _place(tx: Connection, clinic_key: int | None, kind_key: int | None) -> tuple[Clinic, VisitType] | None:
    if clinic_key is None or kind_key is None:
        return None
    clinic = (await clinics.clinics(tx, [clinic_key])).get(clinic_key)
    kind = (await clinics.visit_types(tx, [kind_key])).get(kind_key)
    return None if clinic is None or kind is None else (clinic, kind)


def _providers(given: Sequence[str], there: set[int]) -> tuple[int, ...]:
    """Keys of the providers named. RolledBack with NotFound for one who does not offer it there, as for one who does not exist."""
    if len(given) > PROVIDERS_MAX:
        raise BadInput("providerIds", f"At most {PROVIDERS_MAX} providers are named.")
    keys = []
    for at, one in enumerate(given):
        key = ids.key(one, ids.PROVIDER)
        if key is None or key not in there:
            raise RolledBack(records.unknown(f"providerIds.{at}", "provider of that kind of visit"))
        keys.append(key)
    return tuple(sorted(set(keys)))


async def _changed(tx: Connection, viewer: Viewer, entry: Entry, wishes: Mapping[str, Any], now: datetime) -> Entry:
    """The entry as it is to be. Only what is named is judged, but dates are judged as a pair."""
    clinic = (await clinics.clinics(tx, [entry.clinic_key]))[entry.clinic_key]
    kind = (await clinics.visit_types(tx, [entry.visit_type_key]))[entry.visit_type_key]
    given = {name: value for name, value in wishes.items() if name not in ("provider_ids", "windows")}
    if "provider_ids" in wishes:
        there = await waitlist.offered_there(tx, clinic.key, kind.key)
        given["provider_keys"] = _providers(wishes["provider_ids"], there)
    if "windows" in wishes:
        given["windows"] = [Window(*one) for one in wishes["windows"]]
    changed = replace(entry, **given)
    dated = "first_date" in given or "last_date" in given or entry.status is EntryStatus.SUSPENDED
    _check(changed, viewer, clinic, kind, now, urgency=wishes.get("urgency"), dated=dated)
    return changed


def _check(
    draft: Entry,
    viewer: Viewer,
    clinic: Clinic,
    kind: VisitType,
    now: datetime,
    *,
    urgency: int | None,
    dated: bool = True,
) -> None:
    """Raises BadInput for the first wish that breaks a rule."""
    if len(draft.windows) > WINDOWS_MAX:
        raise BadInput("windows", f"At most {WINDOWS_MAX} windows are taken.")
    for at, window in enumerate(draft.windows):
        name = f"windows.{at}."
        fields.number(f"{name}opens", window.opens, 0, zones.MINUTES_A_DAY - TICK_MINUTES, TICK_MINUTES)
        fields.number(f"{name}closes", window.closes, 0, zones.MINUTES_A_DAY, TICK_MINUTES)
        if window.closes <= window.opens:
            raise BadInput(f"{name}closes", "It closes before it opens.")
    if dated:
        _check_dates(draft, viewer, clinic, kind, now)
    fields.number("minimumNoticeMinutes", draft.minimum_notice_minutes, 0, fields.MINUTES_A_YEAR)
    if urgency is not None:
        if viewer.is_patient:
            raise BadInput("urgency", "Your clinic decides how urgent it is.")
        fields.number("urgency", urgency, 0, URGENCY_MAX)


def _check_dates(draft: Entry, viewer: Viewer, clinic: Clinic, kind: VisitType, now: datetime) -> None:
    today = zones.today(now, clinic.zone)
    days = kind.bookable_days_ahead if viewer.is_patient else availability.DAYS_AHEAD_MAX
    furthest = today + timedelta(days=days)
    if draft.last_date < draft.first_date:
        raise BadInput("to", "It ends before it begins.")
    if draft.last_date < today:
        raise BadInput("to", "That date has passed.")
    if draft.first_date > furthest:
        raise BadInput("from", "That is further ahead than can be booked.")
    if draft.last_date > furthest:
        raise BadInput("to", "That is further ahead than can be booked.")


async def _record(
    tx: Connection,
    viewer: Viewer,
    request: Request,
    outcome: str,
    entry: Entry,
    at: datetime,
    told: Sequence[Told] = (),
) -> None:
    stored = replays.waiting(outcome, entry.key)
    change = Change(
        viewer, request, at, stored, f"waitlistEntry:{entry.key}", entry.clinic_key, entry.patient_key, told=list(told)
    )
    await changes.record(tx, change)

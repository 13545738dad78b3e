"""How the waitlist is answered and changed."""

from datetime import date
from typing import Any

import strawberry
from strawberry import UNSET, Parent

from dataloaders import cursors
from dataloaders.cursors import Page
from domain import ids, slots
from domain.appointments import Appointment, Patient, Slot
from domain.clinics import Clinic, Provider, VisitType
from domain.waitlist import Entry, EntryStatus, Offer, Receipt, Window
from resolvers import inputs
from resolvers.context import Info
from resolvers.values import Weekday
from services.accepting import AcceptOutcome
from services.waiting import ChangeOutcome, DeclineOutcome, Joining, JoinOutcome, LeaveOutcome


async def waitlist(
    info: Info,
    clinic_id: strawberry.ID,
    status: list[EntryStatus] | None = None,
    first: int = 50,
    after: str | None = None,
) -> Page[Entry] | None:
    return await info.context.staff.waitlist(ids.key(clinic_id, ids.CLINIC), status, first, after)


async def entries_of(patient: Parent[Patient], info: Info) -> list[Entry]:
    return await info.context.loaders.entries_of.load(patient.key)


async def patient_of(entry: Parent[Entry], info: Info) -> Patient | None:
    return await info.context.loaders.patient.load(entry.patient_key)


async def clinic_of(entry: Parent[Entry], info: Info) -> Clinic | None:
    return await info.context.loaders.clinic.load(entry.clinic_key)


async def visit_type_of(entry: Parent[Entry], info: Info) -> VisitType | None:
    return await info.context.loaders.visit_type.load(entry.visit_type_key)


async def providers_of(entry: Parent[Entry], info: Info) -> list[Provider]:
    found = await info.context.loaders.provider.load_many(entry.provider_keys)
    return [one for one in found if one is not None]


async def appointment_of(entry: Parent[Entry], info: Info) -> Appointment | None:
    key = entry.appointment_key
    return None if key is None else await info.context.loaders.appointment.load(key)


async def offer_of(entry: Parent[Entry], info: Info) -> Offer | None:
    return await info.context.loaders.live_offer.load(entry.key)


async def receipts_of(entry: Parent[Entry], info: Info, first: int = 20) -> list[Receipt]:
    limit = cursors.bounded(first)
    return await info.context.loaders.receipts.load((entry.key, limit)) if info.context.viewer.is_staff else []


def weekday_of(window: Parent[Window]) -> Weekday | None:
    return None if window.weekday is None else Weekday(window.weekday)


async def entry_of(offer: Parent[Offer], info: Info) -> Entry | None:
    return await info.context.loaders.entry.load(offer.entry_key)


async def slot_of(offer: Parent[Offer], info: Info) -> Slot | None:
    return await _slot(info, offer)


async def slot_of_receipt(receipt: Parent[Receipt], info: Info) -> Slot | None:
    return await _slot(info, receipt)


async def _slot(info: Info, named: Offer | Receipt) -> Slot | None:
    """The slot as it is now; where nobody offers it any more, as it was."""
    key = ids.slot(named.slot_id)
    if key is None:
        return None
    return await info.context.loaders.slot.load(key) or slots.past(key, named.starts_at, named.ends_at)


async def join_waitlist(info: Info, input: inputs.JoinWaitlistInput) -> JoinOutcome:
    asked = Joining(
        clinic_id=input.clinic_id,
        visit_type_id=input.visit_type_id,
        first_date=input.from_,
        last_date=input.to,
        provider_ids=list(input.provider_ids or ()),
        windows=_windows(input.windows),
        minimum_notice_minutes=input.minimum_notice_minutes,
        auto_book=input.auto_book,
        appointment_id=input.appointment_id,
        patient_id=input.patient_id,
        urgency=input.urgency,
    )
    outcome = await info.context.services.waiting.join(info.context.viewer, asked, input.idempotency_key)
    info.context.loaders.after_write(outcome)
    return outcome


async def update_waitlist_entry(info: Info, input: inputs.UpdateWaitlistEntryInput) -> ChangeOutcome:
    outcome = await info.context.services.waiting.change(
        info.context.viewer, input.entry_id, input.version, _wishes(input), input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def leave_waitlist(info: Info, input: inputs.LeaveWaitlistInput) -> LeaveOutcome:
    outcome = await info.context.services.waiting.leave(info.context.viewer, input.entry_id, input.idempotency_key)
    info.context.loaders.after_write(outcome)
    return outcome


async def accept_offer(info: Info, input: inputs.AcceptOfferInput) -> AcceptOutcome:
    outcome = await info.context.services.waiting.accept(info.context.viewer, input.offer_id, input.idempotency_key)
    info.context.loaders.after_write(outcome)
    return outcome


async def decline_offer(info: Info, input: inputs.DeclineOfferInput) -> DeclineOutcome:
    outcome = await info.context.services.waiting.decline(info.context.viewer, input.offer_id, input.idempotency_key)
    info.context.loaders.after_write(outcome)
    return outcome


def _wishes(input: inputs.UpdateWaitlistEntryInput) -> dict[str, Any]:
    """What is named is changed; null empties a list and leaves anything else as it is."""
    wishes: dict[str, Any] = {}
    if input.provider_ids is not UNSET:
        wishes["provider_ids"] = list(input.provider_ids or ())
    if input.windows is not UNSET:
        wishes["windows"] = _windows(input.windows)
    single: dict[str, date | int | bool | None] = {
        "first_date": input.from_,
        "last_date": input.to,
        "minimum_notice_minutes": input.minimum_notice_minutes,
        "auto_book": input.auto_book,
        "urgency": input.urgency,
    }
    return wishes | {name: value for name, value in single.items() if value is not UNSET and value is not None}


def _windows(given: list[inputs.WaitlistWindowInput] | None) -> list[tuple[int | None, int, int]]:
    return [(one.weekday.value if one.weekday else None, one.opens, one.closes) for one in given or ()]

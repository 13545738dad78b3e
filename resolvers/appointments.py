"""How patients, appointments and holds are answered and changed."""

from datetime import datetime
from typing import Any

import strawberry
from strawberry import UNSET, Parent

from dataloaders.cursors import Page
from domain import access, ids
from domain.access import Role
from domain.appointments import (
    Appointment,
    AppointmentEvent,
    AppointmentStatus,
    AppointmentTime,
    Hold,
    Patient,
    Slot,
    changeable_until,
)
from domain.clinics import Clinic, Provider, VisitType
from domain.messages import Reminder
from domain.recipients import NotificationPreferences
from resolvers import inputs
from resolvers.context import Info
from services.booking import BookOutcome, HoldOutcome, ReleaseOutcome
from services.changing import CancelOutcome, RescheduleOutcome, StatusOutcome
from services.preferences import PreferencesOutcome


async def appointment(info: Info, id: strawberry.ID) -> Appointment | None:
    access.require_signed_in(info.context.viewer)
    key = ids.key(id, ids.APPOINTMENT)
    return None if key is None else await info.context.loaders.appointment.load(key)


async def patient(info: Info, id: strawberry.ID) -> Patient | None:
    access.require_signed_in(info.context.viewer)
    key = ids.key(id, ids.PATIENT)
    return None if key is None else await info.context.loaders.patient.load(key)


async def patients(info: Info, search: str, first: int = 20, after: str | None = None) -> Page[Patient]:
    return await info.context.pages.patients(search, first, after)


async def appointments_of(
    patient: Parent[Patient],
    info: Info,
    when: AppointmentTime | None = None,
    status: list[AppointmentStatus] | None = None,
    first: int = 20,
    after: str | None = None,
) -> Page[Appointment]:
    return await info.context.pages.appointments_of(patient.key, when, status, first, after)


async def provider_of(appointment: Parent[Appointment], info: Info) -> Provider | None:
    return await info.context.loaders.provider.load(appointment.provider_key)


async def clinic_of(appointment: Parent[Appointment], info: Info) -> Clinic | None:
    return await info.context.loaders.clinic.load(appointment.clinic_key)


async def visit_type_of(appointment: Parent[Appointment], info: Info) -> VisitType | None:
    return await info.context.loaders.visit_type.load(appointment.visit_type_key)


async def patient_of(appointment: Parent[Appointment], info: Info) -> Patient | None:
    return await info.context.loaders.patient.load(appointment.patient_key)


async def history_of(appointment: Parent[Appointment], info: Info) -> list[AppointmentEvent]:
    return await info.context.loaders.events.load(appointment.key) or []


async def reminders_of(appointment: Parent[Appointment], info: Info) -> list[Reminder]:
    return await info.context.loaders.reminders.load(appointment.key) or []


async def preferences_of(patient: Parent[Patient], info: Info) -> NotificationPreferences | None:
    found = await info.context.loaders.recipient.load(patient.key)
    return None if found is None else found.preferences


async def changeable_until_of(appointment: Parent[Appointment], info: Info) -> datetime | None:
    kind = await info.context.loaders.visit_type.load(appointment.visit_type_key)
    assert kind is not None
    return changeable_until(appointment, kind.cancel_until_minutes, await info.context.pages.now())


async def slot_of_hold(hold: Parent[Hold], info: Info) -> Slot | None:
    key = ids.slot(hold.slot_id)
    return None if key is None else await info.context.loaders.slot.load(key)


async def viewer_patient(info: Info) -> Patient | None:
    key = info.context.viewer.patient_key
    return None if key is None else await info.context.loaders.patient.load(key)


async def viewer_clinics(info: Info) -> list[Clinic]:
    """The clinics that staff act for; none for others. For all clinics ask `clinics`."""
    keys = sorted(info.context.viewer.clinic_keys or ())
    return [one for one in await info.context.loaders.clinic.load_many(keys) if one is not None]


async def viewer_holds(info: Info) -> list[Hold]:
    return await info.context.pages.holds()


def viewer_role(info: Info) -> Role:
    return info.context.viewer.role


async def hold_slot(info: Info, input: inputs.HoldSlotInput) -> HoldOutcome:
    outcome = await info.context.services.booking.hold(info.context.viewer, input.slot_id, input.idempotency_key)
    info.context.loaders.after_write(outcome)
    return outcome


async def release_hold(info: Info, input: inputs.ReleaseHoldInput) -> ReleaseOutcome:
    outcome = await info.context.services.booking.release(info.context.viewer, input.hold_id, input.idempotency_key)
    info.context.loaders.after_write(outcome)
    return outcome


async def book_appointment(info: Info, input: inputs.BookAppointmentInput) -> BookOutcome:
    outcome = await info.context.services.booking.book(
        info.context.viewer, input.slot_id, input.patient_id, input.reason, input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def reschedule_appointment(info: Info, input: inputs.RescheduleAppointmentInput) -> RescheduleOutcome:
    outcome = await info.context.services.changing.reschedule(
        info.context.viewer, input.appointment_id, input.slot_id, input.version, input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def cancel_appointment(info: Info, input: inputs.CancelAppointmentInput) -> CancelOutcome:
    outcome = await info.context.services.changing.cancel(
        info.context.viewer, input.appointment_id, input.version, input.reason, input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def set_appointment_status(info: Info, input: inputs.SetAppointmentStatusInput) -> StatusOutcome:
    outcome = await info.context.services.changing.set_status(
        info.context.viewer, input.appointment_id, input.version, input.status, input.reason, input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def set_notification_preferences(info: Info, input: inputs.NotificationPreferencesInput) -> PreferencesOutcome:
    given = {"quiet_from": input.quiet_from, "quiet_to": input.quiet_to}
    asked: dict[str, Any] = {name: value for name, value in given.items() if value is not UNSET}
    wished = {"time_zone": input.time_zone, "language": input.language}
    asked |= {name: value for name, value in wished.items() if value is not None}
    outcome = await info.context.services.preferences.set(
        info.context.viewer,
        input.patient_id,
        {**asked, "channels": tuple(input.channels)},
        input.idempotency_key,
    )
    info.context.loaders.after_write(outcome)
    return outcome

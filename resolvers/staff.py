"""How staff and admin read and change patients, clinics, providers, visit types and hours."""

from datetime import date
from typing import Annotated

import strawberry
from strawberry import UNSET, Parent

from dataloaders import staff
from dataloaders.staff import ClinicDay, ProviderDay
from domain import ids
from domain.catalog import ClinicDraft, ProviderDraft, VisitTypeDraft
from domain.clinics import Address, Clinic, GeoPoint, Provider, VisitType
from domain.schedules import Schedule, ScheduleException, WeeklyHours
from resolvers import inputs
from resolvers.context import Info
from resolvers.values import LocalTime, Weekday
from services.catalog import ClinicOutcome, ProviderOutcome, VisitTypeOutcome
from services.origins import OriginsOutcome
from services.patients import RegisterOutcome, UpdateOutcome
from services.schedules import ExceptionInput, ExceptionOutcome, HoursInput, HoursOutcome

From = Annotated[date, strawberry.argument(name="from", description="First clinic date, included.")]
To = Annotated[date, strawberry.argument(name="to", description="Last clinic date, included; at most 800 days in all.")]


async def schedule(info: Info, provider_id: strawberry.ID, clinic_id: strawberry.ID) -> Schedule | None:
    return await info.context.staff.schedule(ids.key(provider_id, ids.PROVIDER), ids.key(clinic_id, ids.CLINIC))


async def clinic_day(info: Info, clinic_id: strawberry.ID, date: date) -> ClinicDay | None:
    return await info.context.staff.day(ids.key(clinic_id, ids.CLINIC), date)


async def provider_of_day(day: Parent[ProviderDay], info: Info) -> Provider | None:
    return await info.context.loaders.provider.load(day.provider_key)


async def provider_of(schedule: Parent[Schedule], info: Info) -> Provider | None:
    return await info.context.loaders.provider.load(schedule.provider_key)


async def clinic_of(schedule: Parent[Schedule], info: Info) -> Clinic | None:
    return await info.context.loaders.clinic.load(schedule.clinic_key)


def exceptions_of(schedule: Parent[Schedule], first: From, last: To) -> list[ScheduleException]:
    return staff.between(schedule, first, last)


def weekday_of(hours: Parent[WeeklyHours]) -> Weekday:
    return Weekday(hours.weekday)


async def visit_types_of(hours: Parent[WeeklyHours], info: Info) -> list[VisitType]:
    found = await info.context.loaders.visit_type.load_many(hours.visit_type_keys)
    return [kind for kind in found if kind is not None]


def opens_of(exception: Parent[ScheduleException]) -> LocalTime | None:
    return None if exception.whole_day else LocalTime(exception.opens)


def closes_of(exception: Parent[ScheduleException]) -> LocalTime | None:
    return None if exception.whole_day else LocalTime(exception.closes)


async def register_patient(info: Info, input: inputs.RegisterPatientInput) -> RegisterOutcome:
    outcome = await info.context.services.patients.register(
        info.context.viewer,
        input.name,
        input.birth_date,
        input.email,
        input.phone,
        input.clinic_id,
        input.confirmed_new,
        input.idempotency_key,
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def update_patient(info: Info, input: inputs.UpdatePatientInput) -> UpdateOutcome:
    asked = {"name": input.name, "birth_date": input.birth_date, "email": input.email, "phone": input.phone}
    fields = {name: value for name, value in asked.items() if value is not UNSET}
    outcome = await info.context.services.patients.update(
        info.context.viewer, input.id, input.version, fields, input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def save_clinic(info: Info, input: inputs.SaveClinicInput) -> ClinicOutcome:
    address = input.address
    draft = ClinicDraft(
        name=input.name,
        time_zone=input.time_zone,
        address=Address(address.lines, address.city, address.region, address.postal_code, address.country),
        location=GeoPoint(input.location.latitude, input.location.longitude) if input.location else None,
        phone=input.phone,
        active=input.active,
    )
    outcome = await info.context.services.catalog.save_clinic(
        info.context.viewer, input.id, input.version, draft, input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def set_clinic_origins(info: Info, input: inputs.SetClinicOriginsInput) -> OriginsOutcome:
    outcome = await info.context.services.origins.set_of_clinic(
        info.context.viewer, input.clinic_id, input.origins, input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def save_provider(info: Info, input: inputs.SaveProviderInput) -> ProviderOutcome:
    draft = ProviderDraft(
        name=input.name,
        npi=input.npi,
        specialties=input.specialties,
        languages=input.languages or [],
        accepting_new_patients=input.accepting_new_patients,
        clinic_ids=list(input.clinic_ids),
        visit_type_ids=list(input.visit_type_ids),
        active=input.active,
    )
    outcome = await info.context.services.catalog.save_provider(
        info.context.viewer, input.id, input.version, draft, input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def save_visit_type(info: Info, input: inputs.SaveVisitTypeInput) -> VisitTypeOutcome:
    draft = VisitTypeDraft(
        name=input.name,
        duration_minutes=input.duration_minutes,
        buffer_before_minutes=input.buffer_before_minutes,
        buffer_after_minutes=input.buffer_after_minutes,
        start_every_minutes=input.start_every_minutes,
        minimum_notice_minutes=input.minimum_notice_minutes,
        bookable_days_ahead=input.bookable_days_ahead,
        cancel_until_minutes=input.cancel_until_minutes,
        modality=input.modality,
        active=input.active,
    )
    outcome = await info.context.services.catalog.save_visit_type(
        info.context.viewer, input.id, input.version, draft, input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def set_weekly_hours(info: Info, input: inputs.SetWeeklyHoursInput) -> HoursOutcome:
    rows = [
        HoursInput(
            row.weekday.value, row.opens, row.closes, row.valid_from, row.valid_to, tuple(row.visit_type_ids or ())
        )
        for row in input.hours
    ]
    outcome = await info.context.services.schedules.set_weekly_hours(
        info.context.viewer, input.provider_id, input.clinic_id, input.version, rows, input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def add_schedule_exception(info: Info, input: inputs.AddScheduleExceptionInput) -> ExceptionOutcome:
    added = ExceptionInput(input.kind, input.date, input.opens, input.closes, input.reason)
    outcome = await info.context.services.schedules.add_exception(
        info.context.viewer, input.provider_id, input.clinic_id, added, input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome


async def remove_schedule_exception(info: Info, input: inputs.RemoveScheduleExceptionInput) -> ExceptionOutcome:
    outcome = await info.context.services.schedules.remove_exception(
        info.context.viewer, input.id, input.idempotency_key
    )
    info.context.loaders.after_write(outcome)
    return outcome

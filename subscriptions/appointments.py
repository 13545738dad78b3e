"""Appointments as they change: a patient's own, and those of a clinic's day for its staff. For each viewer anew (rule 35)."""

from collections.abc import AsyncGenerator
from contextlib import closing
from datetime import date

import strawberry

from domain import access, ids
from domain.access import Role
from domain.clinics import Clinic
from domain.frames import AppointmentChanged, OfferChanged, SnapshotReason, StreamReset, VisitFrame
from domain.streams import OfferEvent, VisitEvent
from resolvers.context import Context, Info


async def my_appointments(info: Info) -> AsyncGenerator[VisitFrame, None]:
    viewer = info.context.viewer
    access.require(viewer, Role.PATIENT)
    assert viewer.patient_key is not None
    with closing(info.context.services.live.patient(viewer.patient_key)) as watch:
        async for event in watch:
            if not isinstance(event, VisitEvent | OfferEvent):
                yield event
                continue
            info.context.loaders.read_anew()
            if isinstance(event, OfferEvent):
                offer = await info.context.loaders.offer.load(event.offer_key)
                if offer is not None:
                    yield OfferChanged(offer)
                continue
            found = await info.context.loaders.appointment.load(event.appointment_key)
            if found is not None:
                yield AppointmentChanged(found)


async def clinic_day(info: Info, clinic_id: strawberry.ID, date: date) -> AsyncGenerator[VisitFrame, None]:
    """Of the appointments that are on that clinic date, or were before the change that is told."""
    clinic = await info.context.staff.clinic(ids.key(clinic_id, ids.CLINIC))
    with closing(info.context.services.live.clinic_day(clinic.key)) as watch:
        async for event in watch:
            assert not isinstance(event, OfferEvent), "no clinic's staff is told of offers"
            if not isinstance(event, VisitEvent):
                yield event
                continue
            info.context.loaders.read_anew()
            if date not in await _dates(info.context, event, clinic):
                continue
            found = await info.context.loaders.appointment.load(event.appointment_key)
            if found is not None:
                yield AppointmentChanged(found)
            else:  # It left for a clinic whose appointments this viewer does not see: the day has to be read again.
                yield StreamReset(SnapshotReason.INVALIDATED)


async def _dates(context: Context, event: VisitEvent, clinic: Clinic) -> set[date]:
    """The clinic's dates that a change touches: where the appointment was, and where it is."""
    told = await context.loaders.events.load(event.appointment_key) or []
    instants = [
        at
        for one in told
        if one.version >= event.version
        for at in (one.starts_at_before, one.starts_at)
        if at is not None
    ]
    return {at.astimezone(clinic.zone).date() for at in instants}

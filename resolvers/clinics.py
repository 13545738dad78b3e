"""How clinics, providers, visit types and their open times are answered."""

from datetime import date
from typing import Annotated, TypeVar

import strawberry
from strawberry import Parent

from dataloaders import cursors
from dataloaders.cursors import Page
from dataloaders.slots import SLOTS_MAX, Asked
from domain import ids, shapes
from domain.appointments import Slot
from domain.clinics import Clinic, GeoPoint, Provider, VisitType
from domain.faults import BadInput
from domain.frames import Snapshot
from domain.shapes import Shape
from resolvers.context import Info
from resolvers.inputs import AvailabilityFilter, GeoPointInput
from resolvers.values import StreamCursor

T = TypeVar("T")
From = Annotated[date, strawberry.argument(name="from", description="First clinic date, included.")]
To = Annotated[date, strawberry.argument(name="to", description="Last clinic date, included; at most 31 days in all.")]


async def clinics(
    info: Info,
    near: GeoPointInput | None = None,
    within_km: float | None = None,
    name: str | None = None,
    first: int = 20,
    after: str | None = None,
) -> Page[Clinic]:
    point = GeoPoint(near.latitude, near.longitude) if near else None
    return await info.context.pages.clinics(point, within_km, name, first, after)


async def providers(
    info: Info,
    clinic_id: strawberry.ID | None = None,
    specialty: str | None = None,
    language: str | None = None,
    name: str | None = None,
    first: int = 20,
    after: str | None = None,
) -> Page[Provider]:
    key = None if clinic_id is None else ids.key(clinic_id, ids.CLINIC) or 0
    return await info.context.pages.providers(key, specialty, language, name, first, after)


async def visit_types(info: Info) -> list[VisitType]:
    return await info.context.pages.visit_types()


async def specialties(info: Info) -> list[str]:
    return await info.context.pages.specialties()


async def allowed_origins_of(clinic: Parent[Clinic], info: Info) -> list[str]:
    return await info.context.loaders.origins.load(clinic.key) or []


async def snapshot(info: Info, filter: AvailabilityFilter, at_least: StreamCursor | None = None) -> Snapshot | None:
    return await info.context.services.live.snapshot(shape_of(filter), at_least)


def shape_of(filter: AvailabilityFilter) -> Shape:
    """Raises BadInput, as `shapes.shape`."""
    asked = shapes.Asked(
        ids.key(filter.clinic_id, ids.CLINIC),
        ids.key(filter.visit_type_id, ids.VISIT_TYPE),
        None if filter.provider_ids is None else [ids.key(one, ids.PROVIDER) for one in filter.provider_ids],
        filter.from_,
        filter.to,
    )
    return shapes.shape(asked)


async def providers_at(
    clinic: Parent[Clinic], info: Info, specialty: str | None = None, first: int = 20, after: str | None = None
) -> Page[Provider]:
    return await info.context.pages.providers_at(clinic.key, specialty, first, after)


async def visit_types_at(clinic: Parent[Clinic], info: Info) -> list[VisitType]:
    keys = await info.context.loaders.visit_types_at.load(clinic.key) or []
    return [kind for kind in await info.context.loaders.visit_type.load_many(keys) if kind is not None]


async def clinics_of(provider: Parent[Provider], info: Info) -> list[Clinic]:
    found = await info.context.loaders.clinic.load_many(provider.clinic_keys)
    return [clinic for clinic in found if clinic is not None]


async def visit_types_of(
    provider: Parent[Provider], info: Info, clinic_id: strawberry.ID | None = None
) -> list[VisitType]:
    if clinic_id is not None and ids.key(clinic_id, ids.CLINIC) not in provider.clinic_keys:
        return []
    found = await info.context.loaders.visit_type.load_many(provider.visit_type_keys)
    return [kind for kind in found if kind is not None and kind.active]


async def slots_of(
    provider: Parent[Provider],
    info: Info,
    clinic_id: strawberry.ID,
    visit_type_id: strawberry.ID,
    first_date: From,
    last_date: To,
    first: int = 50,
) -> list[Slot]:
    limit = cursors.bounded(first, SLOTS_MAX)
    shapes.span(first_date, last_date)
    clinic_key, kind_key = ids.key(clinic_id, ids.CLINIC) or 0, ids.key(visit_type_id, ids.VISIT_TYPE) or 0
    asked = Asked(provider.key, clinic_key, kind_key, first_date, last_date, limit)
    found = await info.context.loaders.slots.load(asked)
    if found is None:
        await _public(info, clinic_id, visit_type_id)
    return found or []


async def next_slot_of(
    provider: Parent[Provider], info: Info, clinic_id: strawberry.ID, visit_type_id: strawberry.ID
) -> Slot | None:
    clinic_key, kind_key = await _public(info, clinic_id, visit_type_id)
    return await info.context.loaders.next_slot.load((provider.key, clinic_key, kind_key))


async def _public(info: Info, clinic_id: str, visit_type_id: str) -> tuple[int, int]:
    """Clinics and visit types are public, so saying that there is no such one gives nothing away (rule 20)."""
    loaders = info.context.loaders
    clinic_key, kind_key = ids.key(clinic_id, ids.CLINIC), ids.key(visit_type_id, ids.VISIT_TYPE)
    if clinic_key is None or await loaders.clinic.load(clinic_key) is None:
        raise BadInput("clinicId", "There is no such clinic.")
    if kind_key is None or await loaders.visit_type.load(kind_key) is None:
        raise BadInput("visitTypeId", "There is no such visit type.")
    return clinic_key, kind_key


async def provider_of(slot: Parent[Slot], info: Info) -> Provider:
    return _there(await info.context.loaders.provider.load(slot.provider_key))


async def clinic_of(slot: Parent[Slot], info: Info) -> Clinic:
    return _there(await info.context.loaders.clinic.load(slot.clinic_key))


async def visit_type_of(slot: Parent[Slot], info: Info) -> VisitType:
    return _there(await info.context.loaders.visit_type.load(slot.visit_type_key))


def _there(found: T | None) -> T:
    """A foreign key names it, so it is there."""
    assert found is not None
    return found

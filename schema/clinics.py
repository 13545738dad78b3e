"""Who offers care, where and when: clinics, providers, visit types and their open times."""

from datetime import date, datetime

import strawberry

from domain import appointments, clinics, frames
from domain.appointments import SlotStatus
from domain.clinics import Modality, ProviderKind
from domain.frames import SnapshotReason
from resolvers import clinics as resolvers
from resolvers.values import StreamCursor
from schema.pages import PageInfo
from schema.presenting import presents


@strawberry.interface(description="Anything that has an id. Ids are opaque and survive restarts.")
class Node:
    id: strawberry.ID


@strawberry.type
@presents(clinics.Address)
class Address:
    lines: list[str]
    city: str
    region: str | None
    postal_code: str | None
    country: str = strawberry.field(description="ISO 3166-1 alpha-2.")


@strawberry.type(description="A place on WGS 84, in degrees.")
@presents(clinics.GeoPoint)
class GeoPoint:
    latitude: float
    longitude: float


@strawberry.type(description="A place of care. All its times are in its own zone.")
@presents(clinics.Clinic)
class Clinic(Node):
    version: int = strawberry.field(description="Rises by one with every save.")
    active: bool = strawberry.field(
        description="An inactive one is still found by id, offers no time and keeps its appointments."
    )
    name: str
    time_zone: str = strawberry.field(description="IANA name.")
    address: Address
    location: GeoPoint | None
    phone: str | None = strawberry.field(description="E.164.")
    providers = strawberry.field(
        resolver=resolvers.providers_at,
        graphql_type="ProviderConnection",
        description="Active ones by name; `first` 1 to 100.",
    )
    visit_types = strawberry.field(
        resolver=resolvers.visit_types_at,
        graphql_type=list["VisitType"],
        description="The active ones that its active providers offer, by name.",
    )
    allowed_origins = strawberry.field(
        resolver=resolvers.allowed_origins_of,
        graphql_type=list[str],
        description="Web sites that may embed its calendar; empty for all but admin.",
    )


@strawberry.type(description="A person who gives care, or a pool: a place's shared line of published openings.")
@presents(clinics.Provider)
class Provider(Node):
    version: int
    active: bool
    kind: ProviderKind
    npi: str | None = strawberry.field(description="National Provider Identifier, ten digits.")
    name: str
    specialties: list[str] = strawberry.field(description="NUCC display names.")
    languages: list[str] = strawberry.field(description="BCP 47.")
    accepting_new_patients: bool
    clinics = strawberry.field(resolver=resolvers.clinics_of, graphql_type=list[Clinic])
    visit_types = strawberry.field(
        resolver=resolvers.visit_types_of,
        graphql_type=list["VisitType"],
        description="The active ones offered; with `clinicId` none where the provider does not work there.",
    )
    slots = strawberry.field(
        resolver=resolvers.slots_of,
        graphql_type=list["Slot"] | None,
        description="Free times by start, within the viewer's limits; clinic dates, at most 31 days; `first` 1 to 200. "
        "BAD_USER_INPUT for an unknown clinic or visit type.",
    )
    next_slot = strawberry.field(
        resolver=resolvers.next_slot_of,
        graphql_type="Slot | None",
        description="The earliest free time within the viewer's limits.",
    )


@strawberry.type(description="A kind of visit. Minutes throughout.")
@presents(clinics.VisitType)
class VisitType(Node):
    version: int
    active: bool
    name: str
    duration_minutes: int | None = strawberry.field(description="Null: published openings, each with its own length.")
    buffer_before_minutes: int = strawberry.field(description="Kept free before the visit.")
    buffer_after_minutes: int = strawberry.field(description="Kept free after the visit.")
    start_every_minutes: int | None = strawberry.field(description="The grid of start times; null: the duration.")
    minimum_notice_minutes: int = strawberry.field(description="Patients book at least so long before the start.")
    bookable_days_ahead: int = strawberry.field(
        description="Patients book up to so many days ahead, today being day 0."
    )
    cancel_until_minutes: int = strawberry.field(
        description="Patients may cancel or move until so long before the start."
    )
    modality: Modality


@strawberry.type(description="A time of a provider at a clinic for a kind of visit: computed, not stored.")
@presents(appointments.Slot)
class Slot(Node):
    provider = strawberry.field(resolver=resolvers.provider_of, graphql_type=Provider)
    clinic = strawberry.field(resolver=resolvers.clinic_of, graphql_type=Clinic)
    visit_type = strawberry.field(resolver=resolvers.visit_type_of, graphql_type=VisitType)
    starts_at: datetime = strawberry.field(description="With the offset of the clinic's zone at that instant.")
    ends_at: datetime = strawberry.field(description="End of the visit itself, buffers excluded.")
    local_date: date = strawberry.field(description="The clinic's date of the start.")
    status: SlotStatus
    left: int = strawberry.field(description="How many may still book it: 0 or 1, more only for published openings.")


@strawberry.interface(description="One frame of a live calendar.")
class AvailabilityFrame:
    cursor: StreamCursor
    server_time: datetime


@strawberry.type(description="A free time: no patient, no reason, no state but open.")
@presents(appointments.OpenSlot)
class OpenSlot:
    id: strawberry.ID
    provider_id: strawberry.ID
    starts_at: datetime = strawberry.field(description="With the offset of the clinic's zone at that instant.")
    ends_at: datetime
    local_date: date
    left: int
    bookable_until: datetime = strawberry.field(
        description="Start less minimum notice: from then on clients hide it by themselves, no frame is sent."
    )


@strawberry.type(description="All open times asked for, as they were at one moment, by the patients' limits.")
@presents(frames.Snapshot)
class AvailabilitySnapshot(AvailabilityFrame):
    reason: SnapshotReason
    time_zone: str = strawberry.field(description="The clinic's, IANA name.")
    through: date = strawberry.field(
        description="The last date covered: `to`, or less where there would be more than 5,000 times."
    )
    slots: list[OpenSlot]


@strawberry.type
class ClinicEdge:
    cursor: str
    node: Clinic


@strawberry.type
class ClinicConnection:
    edges: list[ClinicEdge]
    page_info: PageInfo


@strawberry.type
class ProviderEdge:
    cursor: str
    node: Provider


@strawberry.type
class ProviderConnection:
    edges: list[ProviderEdge]
    page_info: PageInfo

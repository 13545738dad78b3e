"""Query and Mutation: where every operation begins."""

import strawberry
from strawberry.schema.config import StrawberryConfig

from resolvers import appointments as visits
from resolvers import clinics as places
from resolvers import nodes as things
from resolvers.values import SCALARS
from schema.appointments import (
    Appointment,
    BookAppointmentResult,
    CancelAppointmentResult,
    HoldSlotResult,
    Patient,
    PatientConnection,
    ReleaseHoldResult,
    RescheduleAppointmentResult,
    SetAppointmentStatusResult,
    Viewer,
)
from schema.clinics import (
    AvailabilitySnapshot,
    ClinicConnection,
    Node,
    ProviderConnection,
    VisitType,
)
from schema.executor import PlainLeafExecutor
from schema.operations import Operation


def _viewer() -> Viewer:
    return Viewer()


@strawberry.type
class Query:
    node = strawberry.field(
        resolver=things.node,
        graphql_type=Node | None,
        description="Null for what the viewer may not see, as for what does not exist.",
    )
    nodes = strawberry.field(
        resolver=things.nodes, graphql_type=list[Node | None], description="At most 100, in the order asked."
    )
    viewer = strawberry.field(resolver=_viewer)
    clinics = strawberry.field(
        resolver=places.clinics,
        graphql_type=ClinicConnection,
        description="Active ones by name, with `near` by distance; `name` is found anywhere in theirs; `first` 1 to 100.",
    )
    providers = strawberry.field(
        resolver=places.providers,
        graphql_type=ProviderConnection,
        description="Active ones by name; `specialty` and `language` as they are written there; `first` 1 to 100.",
    )
    visit_types = strawberry.field(
        resolver=places.visit_types, graphql_type=list[VisitType], description="The active ones, by name."
    )
    specialties = strawberry.field(
        resolver=places.specialties, graphql_type=list[str], description="Those that active providers have."
    )
    availability = strawberry.field(
        resolver=places.snapshot,
        graphql_type=AvailabilitySnapshot | None,
        description="What a live calendar starts with; `atLeast`: at least as new as that cursor.",
    )
    appointment = strawberry.field(resolver=visits.appointment, graphql_type=Appointment | None)
    patient = strawberry.field(resolver=visits.patient, graphql_type=Patient | None)
    patients = strawberry.field(
        resolver=visits.patients,
        graphql_type=PatientConnection,
        description="Staff: by name prefix, birth date (2026-01-31), phone or e-mail; of their own clinics, by name.",
    )


@strawberry.type(description="Every expected refusal is a value. Every input has an idempotency key.")
class Mutation:
    hold_slot = strawberry.field(
        resolver=visits.hold_slot,
        graphql_type=HoldSlotResult,
        description="Keeps a time for five minutes. The same slot again is the same hold.",
    )
    release_hold = strawberry.field(
        resolver=visits.release_hold, graphql_type=ReleaseHoldResult, description="Gives a held time back."
    )
    book_appointment = strawberry.field(
        resolver=visits.book_appointment,
        graphql_type=BookAppointmentResult,
        description="Books a free time or the caller's own hold.",
    )
    reschedule_appointment = strawberry.field(
        resolver=visits.reschedule_appointment,
        graphql_type=RescheduleAppointmentResult,
        description="Moves an appointment to another time, provider or clinic for the same kind of visit.",
    )
    cancel_appointment = strawberry.field(resolver=visits.cancel_appointment, graphql_type=CancelAppointmentResult)
    set_appointment_status = strawberry.field(
        resolver=visits.set_appointment_status,
        graphql_type=SetAppointmentStatusResult,
        description="Staff: arrived, checked in, fulfilled, no-show, entered in error; undo within 24 hours.",
    )


class _ProductionOperation(Operation):
    """Introspection is for staff and admin only (rule 39)."""

    introspection_for_all = False


def build(*, production: bool = False) -> strawberry.Schema:
    """The schema with its executor, limits and error codes."""
    return strawberry.Schema(
        Query,
        Mutation,
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=production),
        extensions=[_ProductionOperation if production else Operation],
        execution_context_class=PlainLeafExecutor,
    )


schema = build()

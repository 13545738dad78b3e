"""Query, Mutation and Subscription: where every operation begins."""

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from resolvers import appointments as visits
from resolvers import clinics as places
from resolvers import nodes as things
from resolvers import search as finding
from resolvers import staff as desk
from resolvers import waitlist as queue
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
    SetNotificationPreferencesResult,
    Viewer,
    WaitlistOffer,
)
from schema.clinics import (
    AvailabilitySnapshot,
    ClinicConnection,
    Node,
    ProviderConnection,
    VisitType,
)
from schema.executor import BreadthFirstExecutor
from schema.live import AvailabilityEvent, ClinicDayEvent, PatientEvent
from schema.operations import Operation, Steps
from schema.search import SearchConnection, Suggestion
from schema.staff import (
    ClinicDay,
    RegisterPatientResult,
    SaveClinicResult,
    SaveProviderResult,
    SaveVisitTypeResult,
    Schedule,
    ScheduleExceptionResult,
    SetClinicOriginsResult,
    SetWeeklyHoursResult,
    UpdatePatientResult,
)
from schema.waitlist import (
    AcceptOfferResult,
    DeclineOfferResult,
    JoinWaitlistResult,
    LeaveWaitlistResult,
    UpdateWaitlistEntryResult,
    WaitlistEntryConnection,
)
from subscriptions import appointments as live_visits
from subscriptions import availability as live_times


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
    search = strawberry.field(
        resolver=finding.search,
        graphql_type=SearchConnection,
        description="Providers at clinics, with their next open times, the same for every viewer; `first` 1 to 100.",
    )
    suggest = strawberry.field(
        resolver=finding.suggest,
        graphql_type=list[Suggestion],
        description="As one types: specialties, providers and clinics with words that begin so; `first` 1 to 100. With `near` "
        "the nearest ones first.",
    )
    appointment = strawberry.field(resolver=visits.appointment, graphql_type=Appointment | None)
    patient = strawberry.field(resolver=visits.patient, graphql_type=Patient | None)
    patients = strawberry.field(
        resolver=visits.patients,
        graphql_type=PatientConnection,
        description="Staff: by name prefix, birth date (2026-01-31), phone or e-mail; of their own clinics, by name.",
    )
    schedule = strawberry.field(
        resolver=desk.schedule,
        graphql_type=Schedule | None,
        description="Staff of the clinic; version 0 and no hours where none is set yet. FORBIDDEN elsewhere.",
    )
    clinic_day = strawberry.field(
        resolver=desk.clinic_day,
        graphql_type=ClinicDay | None,
        description="Staff of the clinic: the day sheet of a clinic date. FORBIDDEN elsewhere.",
    )
    waitlist = strawberry.field(
        resolver=queue.waitlist,
        graphql_type=WaitlistEntryConnection | None,
        description="Staff of the clinic, in rank order; without `status`: active, offered, suspended. FORBIDDEN elsewhere.",
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
    cancel_appointment = strawberry.field(
        resolver=visits.cancel_appointment,
        graphql_type=CancelAppointmentResult,
        description="Frees the time. Patients until `changeableUntil`; staff also after it.",
    )
    set_appointment_status = strawberry.field(
        resolver=visits.set_appointment_status,
        graphql_type=SetAppointmentStatusResult,
        description="Staff: arrived, checked in, fulfilled, no-show, entered in error; undo within 24 hours.",
    )
    register_patient = strawberry.field(
        resolver=desk.register_patient,
        graphql_type=RegisterPatientResult,
        description="Staff of the clinic.",
    )
    update_patient = strawberry.field(
        resolver=desk.update_patient,
        graphql_type=UpdatePatientResult,
        description="Staff of the patient's clinics; patients their own e-mail and phone.",
    )
    save_clinic = strawberry.field(resolver=desk.save_clinic, graphql_type=SaveClinicResult, description="Admin.")
    save_provider = strawberry.field(resolver=desk.save_provider, graphql_type=SaveProviderResult, description="Admin.")
    save_visit_type = strawberry.field(
        resolver=desk.save_visit_type, graphql_type=SaveVisitTypeResult, description="Admin."
    )
    set_weekly_hours = strawberry.field(
        resolver=desk.set_weekly_hours,
        graphql_type=SetWeeklyHoursResult,
        description="Staff of the clinic, admin; replaces the whole set.",
    )
    add_schedule_exception = strawberry.field(
        resolver=desk.add_schedule_exception,
        graphql_type=ScheduleExceptionResult,
        description="Staff of the clinic, admin.",
    )
    remove_schedule_exception = strawberry.field(
        resolver=desk.remove_schedule_exception,
        graphql_type=ScheduleExceptionResult,
        description="Staff of the clinic, admin.",
    )
    set_clinic_origins = strawberry.field(
        resolver=desk.set_clinic_origins,
        graphql_type=SetClinicOriginsResult,
        description="Admin: web sites that may embed the clinic's calendar.",
    )
    join_waitlist = strawberry.field(
        resolver=queue.join_waitlist,
        graphql_type=JoinWaitlistResult,
        description="Waits for a time that is given up; times that are open already are not looked at.",
    )
    update_waitlist_entry = strawberry.field(
        resolver=queue.update_waitlist_entry,
        graphql_type=UpdateWaitlistEntryResult,
        description="Changes what is waited for; also takes a suspended entry up again.",
    )
    leave_waitlist = strawberry.field(
        resolver=queue.leave_waitlist,
        graphql_type=LeaveWaitlistResult,
        description="Waits no more; a live offer goes to the next.",
    )
    accept_offer = strawberry.field(
        resolver=queue.accept_offer,
        graphql_type=AcceptOfferResult,
        description="Books the offered time, or moves the appointment that was to go earlier to it.",
    )
    decline_offer = strawberry.field(
        resolver=queue.decline_offer,
        graphql_type=DeclineOfferResult,
        description="The time goes to the next; the entry waits on.",
    )
    set_notification_preferences = strawberry.field(
        resolver=visits.set_notification_preferences,
        graphql_type=SetNotificationPreferencesResult,
        description="Patients their own; staff of the patient's clinics.",
    )


@strawberry.type(description="Over graphql-transport-ws and graphql-sse, both on /graphql.")
class Subscription:
    availability = strawberry.subscription(
        resolver=live_times.availability,
        graphql_type=AvailabilityEvent,
        description="Public. `after`: the newest cursor one has; what can't be resumed begins with a snapshot again.",
    )
    my_appointments = strawberry.subscription(
        resolver=live_visits.my_appointments,
        graphql_type=PatientEvent,
        description="Patients: their own appointments as they change.",
    )
    clinic_day = strawberry.subscription(
        resolver=live_visits.clinic_day,
        graphql_type=ClinicDayEvent,
        description="Staff of the clinic: appointments that come to, change on, or leave a clinic date. FORBIDDEN elsewhere.",
    )


class _ProductionOperation(Operation):
    """Introspection is for staff and admin only (rule 39)."""

    introspection_for_all = False


class _Schema(strawberry.Schema):
    def create_extensions_runner(
        self, execution_context: ExecutionContext, extensions: list[SchemaExtension]
    ) -> SchemaExtensionsRunner:
        return Steps(execution_context, extensions)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: refusals are no news for the log, and faults of our own are logged where errors are coded."""


def build(*, production: bool = False) -> strawberry.Schema:
    """The schema with its executor, limits and error codes."""
    return _Schema(
        Query,
        Mutation,
        Subscription,
        types=[WaitlistOffer],
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=production),
        extensions=[_ProductionOperation if production else Operation],
        execution_context_class=BreadthFirstExecutor,
    )


schema = build()

"""Patients, their appointments, holds and places on waitlists, and what each mutation of the first three may answer."""

from datetime import date, datetime
from typing import Annotated

import strawberry

from domain import appointments, outcomes, waitlist
from domain.access import Role
from domain.appointments import AppointmentChange, AppointmentStatus
from domain.outcomes import PolicyRule
from domain.waitlist import AllocationOutcome, EntryStatus, OfferStatus
from resolvers import appointments as resolvers
from resolvers import waitlist as waits
from resolvers.values import LocalTime, StreamCursor, Weekday
from schema.clinics import Clinic, Node, Provider, Slot, VisitType
from schema.messages import NotificationPreferences, Reminder
from schema.pages import PageInfo
from schema.presenting import presents


@strawberry.type(description="Seen by the patient, and by staff of the clinics they are registered at or have visited.")
@presents(appointments.Patient)
class Patient(Node):
    version: int
    name: str
    birth_date: date | None
    email: str | None
    phone: str | None = strawberry.field(description="E.164.")
    appointments = strawberry.field(
        resolver=resolvers.appointments_of,
        graphql_type="AppointmentConnection",
        description="Upcoming: soonest first; past and all: latest first. Staff see those at their own clinics.",
    )
    waitlist_entries = strawberry.field(
        resolver=waits.entries_of,
        graphql_type=list["WaitlistEntry"],
        description="Who joined last first, at most 100; staff see those at their own clinics.",
    )
    notification_preferences = strawberry.field(resolver=resolvers.preferences_of, graphql_type=NotificationPreferences)


@strawberry.type(description="One change; append-only. Instants are in the clinic's zone.")
@presents(appointments.AppointmentEvent)
class AppointmentEvent:
    at: datetime
    by: Role
    change: AppointmentChange
    version: int
    status: AppointmentStatus
    starts_at_before: datetime | None
    starts_at: datetime
    reason: str | None


@strawberry.type(description="A booked visit. It keeps its id when it is moved.")
@presents(appointments.Appointment)
class Appointment(Node):
    status: AppointmentStatus
    version: int = strawberry.field(description="Rises by one with every change.")
    starts_at: datetime = strawberry.field(description="With the offset of the clinic's zone at that instant.")
    ends_at: datetime = strawberry.field(description="End of the visit itself, buffers excluded.")
    provider = strawberry.field(resolver=resolvers.provider_of, graphql_type=Provider)
    clinic = strawberry.field(resolver=resolvers.clinic_of, graphql_type=Clinic)
    visit_type = strawberry.field(resolver=resolvers.visit_type_of, graphql_type=VisitType)
    patient = strawberry.field(resolver=resolvers.patient_of, graphql_type=Patient)
    reason: str | None
    changeable_until = strawberry.field(
        resolver=resolvers.changeable_until_of,
        graphql_type=datetime | None,
        description="Until then a patient may move or cancel it; null: no more.",
    )
    history = strawberry.field(
        resolver=resolvers.history_of, graphql_type=list[AppointmentEvent], description="Oldest first."
    )
    reminders = strawberry.field(
        resolver=resolvers.reminders_of,
        graphql_type=list[Reminder],
        description="What will go or went, when, through what, and why not; by the time it is due. Also about "
        "offers of the waitlist that would move it, or that it came of.",
    )


@strawberry.type(description="A time kept for its caller for five minutes; extended once, in its last minute.")
@presents(appointments.Hold)
class Hold(Node):
    slot = strawberry.field(resolver=resolvers.slot_of_hold, graphql_type=Slot)
    expires_at: datetime = strawberry.field(description="By the database's clock.")


@strawberry.type(description="Hours of the clinic's wall clock; without weekday: every day.")
@presents(waitlist.Window)
class WaitlistWindow:
    weekday = strawberry.field(resolver=waits.weekday_of, graphql_type=Weekday | None)
    opens: LocalTime
    closes: LocalTime


@strawberry.type(description="Why a freed time did or did not go to an entry. Kept 90 days.")
@presents(waitlist.Receipt)
class AllocationReceipt:
    at: datetime
    slot = strawberry.field(
        resolver=waits.slot_of_receipt,
        graphql_type=Slot,
        description="What the entry got or would have got; else what was freed.",
    )
    rank: int | None = strawberry.field(description="From 1; null: not eligible.")
    outcome: AllocationOutcome
    reasons: list[str]
    rule_version: str


@strawberry.type(
    description="A patient who waits for a time to be given up. Seen by the patient and by staff of the clinic."
)
@presents(waitlist.Entry)
class WaitlistEntry(Node):
    status: EntryStatus
    version: int = strawberry.field(description="Rises by one with every change of what is waited for.")
    patient = strawberry.field(resolver=waits.patient_of, graphql_type=Patient)
    clinic = strawberry.field(resolver=waits.clinic_of, graphql_type=Clinic)
    visit_type = strawberry.field(resolver=waits.visit_type_of, graphql_type=VisitType)
    providers = strawberry.field(
        resolver=waits.providers_of,
        graphql_type=list[Provider],
        description="None named: any provider of the clinic.",
    )
    windows: list[WaitlistWindow] = strawberry.field(description="None: any time.")
    from_: date = strawberry.field(name="from", description="First clinic date, included.")
    to: date = strawberry.field(description="Last clinic date, included.")
    minimum_notice_minutes: int = strawberry.field(description="Minutes: sooner times are not offered.")
    urgency: int = strawberry.field(description="0 routine to 3 urgent.")
    auto_book: bool = strawberry.field(description="The patient agreed to be booked without being asked.")
    appointment = strawberry.field(
        resolver=waits.appointment_of,
        graphql_type=Appointment | None,
        description="The one to be moved earlier, or the one that fulfilled it.",
    )
    joined_at: datetime
    offer = strawberry.field(resolver=waits.offer_of, graphql_type="WaitlistOffer | None", description="The live one.")
    receipts = strawberry.field(
        resolver=waits.receipts_of,
        graphql_type=list[AllocationReceipt],
        description="Staff (else empty): each time that was given out while this entry waited, the newest first.",
    )


@strawberry.type(description="A time kept for a patient until they answer or it runs out.")
@presents(waitlist.Offer)
class WaitlistOffer(Node):
    entry = strawberry.field(resolver=waits.entry_of, graphql_type=WaitlistEntry)
    slot = strawberry.field(resolver=waits.slot_of, graphql_type=Slot)
    expires_at: datetime = strawberry.field(description="By the database's clock; then it goes to the next.")
    status: OfferStatus


@strawberry.type
class AppointmentEdge:
    cursor: str
    node: Appointment


@strawberry.type
class AppointmentConnection:
    edges: list[AppointmentEdge]
    page_info: PageInfo


@strawberry.type
class PatientEdge:
    cursor: str
    node: Patient


@strawberry.type
class PatientConnection:
    edges: list[PatientEdge]
    page_info: PageInfo


@strawberry.type(description="Who the token says is asking.")
class Viewer:
    role = strawberry.field(resolver=resolvers.viewer_role, graphql_type=Role)
    patient = strawberry.field(resolver=resolvers.viewer_patient, graphql_type=Patient | None)
    clinics = strawberry.field(
        resolver=resolvers.viewer_clinics,
        graphql_type=list[Clinic],
        description="Those that staff act for; empty for those who act for all, and for patients.",
    )
    holds = strawberry.field(resolver=resolvers.viewer_holds, graphql_type=list[Hold])


@strawberry.interface(description="Why something was not done. Nothing has changed.")
class Refusal:
    message: str


@strawberry.type(description="Somebody else has that time.")
@presents(outcomes.SlotTaken)
class SlotTaken(Refusal):
    alternatives: list[Slot] = strawberry.field(
        description="Up to 3 free slots at the same clinic, nearest in time first."
    )


@strawberry.type(description="A rule forbids it; the first that applies is named.")
@presents(outcomes.PolicyViolation)
class PolicyViolation(Refusal):
    rule: PolicyRule


@strawberry.type(description="The patient is booked at that time already.")
@presents(outcomes.PatientConflict)
class PatientConflict(Refusal):
    appointment: Appointment | None = strawberry.field(description="Null where the viewer may not see it.")


@strawberry.type(description="The appointment has changed since it was read.")
@presents(outcomes.VersionConflict)
class VersionConflict(Refusal):
    current: Appointment


@strawberry.type(description="The record has changed since it was read.")
@presents(outcomes.StaleVersion)
class StaleVersion(Refusal):
    current_version: int


@strawberry.type(description="The key came with another request before.")
@presents(outcomes.IdempotencyMismatch)
class IdempotencyMismatch(Refusal):
    pass


@strawberry.type(description="An appointment in that state cannot become what was asked.")
@presents(outcomes.InvalidTransition)
class InvalidTransition(Refusal):
    from_: AppointmentStatus = strawberry.field(name="from")
    to: AppointmentStatus


@strawberry.type(description="A field breaks a rule.")
@presents(outcomes.InvalidInput)
class InvalidInput(Refusal):
    field: str = strawberry.field(description='The first field that breaks a rule, dotted: "hours.2.closes".')


@strawberry.type(description="There is no such thing, or the viewer may not touch it.")
@presents(outcomes.NotFound)
class NotFound(Refusal):
    pass


@strawberry.type
@presents(outcomes.SlotHeld)
class SlotHeld:
    hold: Hold
    cursor: StreamCursor


@strawberry.type
@presents(outcomes.HoldReleased)
class HoldReleased:
    slot: Slot
    cursor: StreamCursor


@strawberry.type
@presents(outcomes.AppointmentBooked)
class AppointmentBooked:
    appointment: Appointment
    cursor: StreamCursor


@strawberry.type
@presents(outcomes.AppointmentRescheduled)
class AppointmentRescheduled:
    appointment: Appointment
    cursor: StreamCursor = strawberry.field(description="The new clinic's, where it moved between clinics.")


@strawberry.type
@presents(outcomes.AppointmentCancelled)
class AppointmentCancelled:
    appointment: Appointment
    cursor: StreamCursor


@strawberry.type
@presents(outcomes.AppointmentStatusSet)
class AppointmentStatusSet:
    appointment: Appointment


@strawberry.type
@presents(outcomes.NotificationPreferencesSet)
class NotificationPreferencesSet:
    preferences: NotificationPreferences


HoldSlotResult = Annotated[
    SlotHeld | SlotTaken | PolicyViolation | IdempotencyMismatch | NotFound, strawberry.union("HoldSlotResult")
]
ReleaseHoldResult = Annotated[
    HoldReleased | IdempotencyMismatch | NotFound,
    strawberry.union("ReleaseHoldResult", description="NotFound: also expired or used."),
]
BookAppointmentResult = Annotated[
    AppointmentBooked | SlotTaken | PolicyViolation | PatientConflict | IdempotencyMismatch | NotFound,
    strawberry.union("BookAppointmentResult"),
]
RescheduleAppointmentResult = Annotated[
    AppointmentRescheduled
    | SlotTaken
    | PolicyViolation
    | PatientConflict
    | VersionConflict
    | InvalidTransition
    | IdempotencyMismatch
    | NotFound,
    strawberry.union("RescheduleAppointmentResult"),
]
CancelAppointmentResult = Annotated[
    AppointmentCancelled | PolicyViolation | VersionConflict | InvalidTransition | IdempotencyMismatch | NotFound,
    strawberry.union("CancelAppointmentResult"),
]
SetAppointmentStatusResult = Annotated[
    AppointmentStatusSet | PolicyViolation | VersionConflict | InvalidTransition | IdempotencyMismatch | NotFound,
    strawberry.union("SetAppointmentStatusResult"),
]
SetNotificationPreferencesResult = Annotated[
    NotificationPreferencesSet | InvalidInput | IdempotencyMismatch | NotFound,
    strawberry.union("SetNotificationPreferencesResult"),
]

"""What staff and admin work with: hours, the day sheet, and what each of their edits may answer."""

import datetime
from typing import Annotated

import strawberry

from dataloaders import staff
from domain import outcomes, schedules
from domain.schedules import ExceptionKind
from resolvers import staff as resolvers
from resolvers.values import LocalTime, Weekday
from schema.appointments import (
    Appointment,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    Patient,
    Refusal,
    StaleVersion,
)
from schema.clinics import Clinic, Node, Provider, VisitType
from schema.presenting import presents


@strawberry.type(description="Hours of one weekday, by the clinic's wall clock. No visit type named: all.")
@presents(schedules.WeeklyHours)
class WeeklyHours:
    weekday = strawberry.field(resolver=resolvers.weekday_of, graphql_type=Weekday)
    opens: LocalTime
    closes: LocalTime
    valid_from: datetime.date | None
    valid_to: datetime.date | None
    visit_types = strawberry.field(resolver=resolvers.visit_types_of, graphql_type=list[VisitType])


@strawberry.type(description="A date on which the weekly hours do not hold. No hours: the whole day.")
@presents(schedules.ScheduleException)
class ScheduleException(Node):
    kind: ExceptionKind
    date: datetime.date
    opens = strawberry.field(resolver=resolvers.opens_of, graphql_type=LocalTime | None)
    closes = strawberry.field(resolver=resolvers.closes_of, graphql_type=LocalTime | None)
    reason: str | None


@strawberry.type(description="The hours of a provider at a clinic, as one versioned whole.")
@presents(schedules.Schedule)
class Schedule:
    provider = strawberry.field(resolver=resolvers.provider_of, graphql_type=Provider)
    clinic = strawberry.field(resolver=resolvers.clinic_of, graphql_type=Clinic)
    version: int = strawberry.field(description="0 where no hours are set yet.")
    hours: list[WeeklyHours]
    exceptions = strawberry.field(
        resolver=resolvers.exceptions_of,
        graphql_type=list[ScheduleException],
        description="Clinic dates, both included; at most 800 days.",
    )


@strawberry.type(description="One provider's day at one clinic.")
@presents(staff.ProviderDay)
class ProviderDay:
    provider = strawberry.field(resolver=resolvers.provider_of_day, graphql_type=Provider)
    schedule: Schedule
    appointments: list[Appointment] = strawberry.field(description="By start; all but those entered in error.")
    open_minutes: int = strawberry.field(description="Open time of the day, without published openings.")
    booked_minutes: int = strawberry.field(description="Visits of live appointments, without published openings.")


@strawberry.type(description="The day sheet: providers with hours or appointments that day, by name.")
@presents(staff.ClinicDay)
class ClinicDay:
    clinic: Clinic
    date: datetime.date
    providers: list[ProviderDay]


@strawberry.type(description="There is a patient like this: same name and birth date, or same phone or e-mail.")
@presents(outcomes.PossibleDuplicate)
class PossibleDuplicate(Refusal):
    candidates: list[Patient] = strawberry.field(description="Only those whom the viewer may see.")


@strawberry.type
@presents(outcomes.PatientRegistered)
class PatientRegistered:
    patient: Patient


@strawberry.type
@presents(outcomes.PatientUpdated)
class PatientUpdated:
    patient: Patient


@strawberry.type
@presents(outcomes.ClinicSaved)
class ClinicSaved:
    clinic: Clinic


@strawberry.type
@presents(outcomes.ClinicOriginsSet)
class ClinicOriginsSet:
    clinic: Clinic


@strawberry.type
@presents(outcomes.ProviderSaved)
class ProviderSaved:
    provider: Provider


@strawberry.type
@presents(outcomes.VisitTypeSaved)
class VisitTypeSaved:
    visit_type: VisitType


@strawberry.type
@presents(outcomes.ScheduleSaved)
class ScheduleSaved:
    schedule: Schedule
    orphaned: list[Appointment] = strawberry.field(
        description="Booked appointments that now lie outside the hours; they stay booked."
    )


RegisterPatientResult = Annotated[
    PatientRegistered | PossibleDuplicate | InvalidInput | IdempotencyMismatch | NotFound,
    strawberry.union("RegisterPatientResult"),
]
UpdatePatientResult = Annotated[
    PatientUpdated | StaleVersion | InvalidInput | IdempotencyMismatch | NotFound,
    strawberry.union("UpdatePatientResult"),
]
SaveClinicResult = Annotated[
    ClinicSaved | StaleVersion | InvalidInput | IdempotencyMismatch | NotFound, strawberry.union("SaveClinicResult")
]
SetClinicOriginsResult = Annotated[
    ClinicOriginsSet | InvalidInput | IdempotencyMismatch | NotFound, strawberry.union("SetClinicOriginsResult")
]
SaveProviderResult = Annotated[
    ProviderSaved | StaleVersion | InvalidInput | IdempotencyMismatch | NotFound,
    strawberry.union("SaveProviderResult"),
]
SaveVisitTypeResult = Annotated[
    VisitTypeSaved | StaleVersion | InvalidInput | IdempotencyMismatch | NotFound,
    strawberry.union("SaveVisitTypeResult"),
]
SetWeeklyHoursResult = Annotated[
    ScheduleSaved | StaleVersion | InvalidInput | IdempotencyMismatch | NotFound,
    strawberry.union("SetWeeklyHoursResult"),
]
ScheduleExceptionResult = Annotated[
    ScheduleSaved | InvalidInput | IdempotencyMismatch | NotFound, strawberry.union("ScheduleExceptionResult")
]

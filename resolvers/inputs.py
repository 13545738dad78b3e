"""What clients send. Every input has an idempotency key: 1 to 255 printable characters, chosen by the client, kept 48 hours."""

from datetime import date

import strawberry
from strawberry import UNSET

from domain.appointments import AppointmentStatus
from domain.clinics import Modality
from domain.recipients import Channel
from domain.schedules import ExceptionKind
from resolvers.values import LocalTime, Weekday

KEY = "1 to 255 printable characters, chosen by the client, kept 48 hours: the same key with the same input answers the same."
ID = strawberry.ID


@strawberry.input(description="A place on WGS 84, in degrees.")
class GeoPointInput:
    latitude: float
    longitude: float


@strawberry.input(
    description="At most 31 days where 1 to 5 providers are named, else 7. Dates are the clinic's, both included."
)
class AvailabilityFilter:
    clinic_id: ID
    visit_type_id: ID
    from_: date = strawberry.field(name="from")
    to: date
    provider_ids: list[ID] | None = None


@strawberry.input(description="Fields: all of them; lists: any of their values, exactly. Without any: everybody.")
class SearchFilter:
    text: str | None = strawberry.field(
        default=None,
        description='At most 200 characters: "heart doctor", "Dr Osei", "back pain physio"; spelling mistakes allowed.',
    )
    visit_type_id: ID | None = None
    specialties: list[str] | None = None
    languages: list[str] | None = strawberry.field(default=None, description="BCP 47.")
    clinic_ids: list[ID] | None = None
    near: GeoPointInput | None = strawberry.field(default=None, description="Filters nothing by itself.")
    within_km: float | None = strawberry.field(default=None, description="Needs `near`.")
    accepting_new_patients: bool | None = strawberry.field(default=None, description="True filters, false does not.")
    modality: Modality | None = strawberry.field(default=None, description="Has an active visit type of it.")
    open_from: date | None = strawberry.field(
        default=None,
        description="Only who has an open time between these clinic dates, both included; at most 31 days.",
    )
    open_to: date | None = None


@strawberry.input
class HoldSlotInput:
    slot_id: ID
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input
class ReleaseHoldInput:
    hold_id: ID
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input
class BookAppointmentInput:
    slot_id: ID
    idempotency_key: str = strawberry.field(description=KEY)
    patient_id: ID | None = strawberry.field(
        default=None, description="Staff name the patient; a patient books for themself."
    )
    reason: str | None = strawberry.field(default=None, description="At most 255 characters.")


@strawberry.input
class RescheduleAppointmentInput:
    appointment_id: ID
    slot_id: ID
    version: int
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input
class CancelAppointmentInput:
    appointment_id: ID
    version: int
    idempotency_key: str = strawberry.field(description=KEY)
    reason: str | None = strawberry.field(default=None, description="At most 255 characters.")


@strawberry.input
class SetAppointmentStatusInput:
    appointment_id: ID
    version: int
    status: AppointmentStatus
    idempotency_key: str = strawberry.field(description=KEY)
    reason: str | None = strawberry.field(default=None, description="At most 255 characters.")


@strawberry.input
class RegisterPatientInput:
    name: str
    clinic_id: ID
    idempotency_key: str = strawberry.field(description=KEY)
    birth_date: date | None = None
    email: str | None = None
    phone: str | None = None
    confirmed_new: bool = strawberry.field(
        default=False, description="True: the caller looked at the candidates and it is another person."
    )


@strawberry.input(description="A field that is absent stays as it is; null removes it.")
class UpdatePatientInput:
    id: ID
    version: int
    idempotency_key: str = strawberry.field(description=KEY)
    name: str | None = UNSET
    birth_date: date | None = UNSET
    email: str | None = UNSET
    phone: str | None = UNSET


@strawberry.input
class AddressInput:
    lines: list[str]
    city: str
    country: str = strawberry.field(description="ISO 3166-1 alpha-2.")
    region: str | None = None
    postal_code: str | None = None


@strawberry.input(description="Without id it creates; with id and version it replaces the whole record.")
class SaveClinicInput:
    name: str
    time_zone: str = strawberry.field(description="IANA name.")
    address: AddressInput
    idempotency_key: str = strawberry.field(description=KEY)
    id: ID | None = None
    version: int | None = None
    location: GeoPointInput | None = None
    phone: str | None = None
    active: bool = True


@strawberry.input(description="Replaces the whole set; an empty one lets nobody.")
class SetClinicOriginsInput:
    clinic_id: ID
    origins: list[str] = strawberry.field(
        description='At most 50, as browsers write them: "https://clinic.example"; http for localhost alone.'
    )
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input(description="Without id it creates; with id and version it replaces the whole record.")
class SaveProviderInput:
    name: str
    specialties: list[str]
    clinic_ids: list[ID]
    visit_type_ids: list[ID]
    idempotency_key: str = strawberry.field(description=KEY)
    id: ID | None = None
    version: int | None = None
    npi: str | None = strawberry.field(default=None, description="Ten digits, checked by their Luhn digit.")
    languages: list[str] | None = strawberry.field(default=None, description="BCP 47.")
    accepting_new_patients: bool = True
    active: bool = True


@strawberry.input(
    description="Without id it creates; with id and version it replaces the whole record. Minutes throughout."
)
class SaveVisitTypeInput:
    name: str
    duration_minutes: int = strawberry.field(description="5 to 720, a multiple of 5.")
    idempotency_key: str = strawberry.field(description=KEY)
    id: ID | None = None
    version: int | None = None
    buffer_before_minutes: int = strawberry.field(default=0, description="0 to 240, a multiple of 5.")
    buffer_after_minutes: int = strawberry.field(default=0, description="0 to 240, a multiple of 5.")
    start_every_minutes: int | None = strawberry.field(
        default=None, description="A multiple of 5; the duration if not given."
    )
    minimum_notice_minutes: int = strawberry.field(default=60, description="0 to a year, in minutes.")
    bookable_days_ahead: int = strawberry.field(default=90, description="0 to 730.")
    cancel_until_minutes: int = strawberry.field(default=1440, description="0 to a year, in minutes.")
    modality: Modality = Modality.IN_PERSON
    active: bool = True


@strawberry.input
class WeeklyHoursInput:
    weekday: Weekday
    opens: LocalTime
    closes: LocalTime
    valid_from: date | None = None
    valid_to: date | None = None
    visit_type_ids: list[ID] | None = strawberry.field(default=None, description="None named: all.")


@strawberry.input
class SetWeeklyHoursInput:
    provider_id: ID
    clinic_id: ID
    version: int
    hours: list[WeeklyHoursInput]
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input(description="Without `opens` and `closes`: the whole day.")
class AddScheduleExceptionInput:
    provider_id: ID
    clinic_id: ID
    kind: ExceptionKind
    date: date
    idempotency_key: str = strawberry.field(description=KEY)
    opens: LocalTime | None = None
    closes: LocalTime | None = None
    reason: str | None = None


@strawberry.input
class RemoveScheduleExceptionInput:
    id: ID
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input(
    description="Wall-clock hours of the clinic; without weekday: every day. The whole visit lies in one window."
)
class WaitlistWindowInput:
    opens: LocalTime
    closes: LocalTime
    weekday: Weekday | None = None


@strawberry.input(
    description="No provider named: any of the clinic. No window: any time. Dates are the clinic's, both included."
)
class JoinWaitlistInput:
    clinic_id: ID
    visit_type_id: ID
    from_: date = strawberry.field(name="from")
    to: date
    idempotency_key: str = strawberry.field(description=KEY)
    provider_ids: list[ID] | None = None
    windows: list[WaitlistWindowInput] | None = None
    minimum_notice_minutes: int = strawberry.field(
        default=180, description="Minutes: times that are sooner than that from now are not offered."
    )
    auto_book: bool = strawberry.field(default=False, description="True: book me without asking.")
    appointment_id: ID | None = strawberry.field(
        default=None, description="Move me earlier: this one is given up only when an offer is accepted."
    )
    patient_id: ID | None = strawberry.field(default=None, description="Staff name the patient.")
    urgency: int | None = strawberry.field(default=None, description="Staff: 0 routine to 3 urgent.")


@strawberry.input(description="What is absent stays as it is. A suspended entry is taken up again.")
class UpdateWaitlistEntryInput:
    entry_id: ID
    version: int
    idempotency_key: str = strawberry.field(description=KEY)
    provider_ids: list[ID] | None = strawberry.field(default=UNSET, description="Null or empty: any provider.")
    windows: list[WaitlistWindowInput] | None = strawberry.field(default=UNSET, description="Null or empty: any time.")
    from_: date | None = strawberry.field(name="from", default=UNSET)
    to: date | None = UNSET
    minimum_notice_minutes: int | None = strawberry.field(default=UNSET, description="Minutes.")
    auto_book: bool | None = UNSET
    urgency: int | None = strawberry.field(default=UNSET, description="Staff: 0 routine to 3 urgent.")


@strawberry.input
class LeaveWaitlistInput:
    entry_id: ID
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input
class AcceptOfferInput:
    offer_id: ID
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input
class DeclineOfferInput:
    offer_id: ID
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input(description="What is absent stays as it is. Staff name the patient; patients set their own.")
class NotificationPreferencesInput:
    channels: list[Channel] = strawberry.field(description="First choice first, each once, at least one.")
    idempotency_key: str = strawberry.field(description=KEY)
    patient_id: ID | None = None
    time_zone: str | None = strawberry.field(default=None, description="IANA name.")
    quiet_from: LocalTime | None = strawberry.field(default=UNSET, description="Null: no quiet hours.")
    quiet_to: LocalTime | None = strawberry.field(default=UNSET, description="Wall clock of the time zone.")
    language: str | None = strawberry.field(default=None, description="BCP 47.")

"""What a booking or an edit may answer. Every expected refusal is a value, not an exception."""

from dataclasses import dataclass, field
from enum import Enum

from domain.appointments import Appointment, AppointmentStatus, Hold, Patient, Slot
from domain.clinics import Clinic, Provider, VisitType
from domain.recipients import NotificationPreferences
from domain.schedules import Schedule
from domain.waitlist import Entry, OfferStatus


class PolicyRule(Enum):
    """In the order in which they are told where several apply (rule 10)."""

    PAST = "past"
    NOT_OFFERED = "not-offered"
    MINIMUM_NOTICE = "minimum-notice"
    BOOKING_WINDOW = "booking-window"
    CANCEL_DEADLINE = "cancel-deadline"
    HOLD_LIMIT = "hold-limit"
    NOT_ACCEPTING_NEW_PATIENTS = "not-accepting-new-patients"
    TOO_EARLY = "too-early"
    ALREADY_WAITING = "already-waiting"


POLICY_MESSAGES = {
    PolicyRule.PAST: "That time has passed.",
    PolicyRule.NOT_OFFERED: "That time is not offered for this kind of visit.",
    PolicyRule.MINIMUM_NOTICE: "That time is too soon to be booked online.",
    PolicyRule.BOOKING_WINDOW: "That time is further ahead than can be booked.",
    PolicyRule.CANCEL_DEADLINE: "It is too late to change this appointment online. Please call the clinic.",
    PolicyRule.HOLD_LIMIT: "Too many times are being held. Release or book one of them first.",
    PolicyRule.NOT_ACCEPTING_NEW_PATIENTS: "This provider is not taking new patients.",
    PolicyRule.TOO_EARLY: "The appointment has not begun yet.",
    PolicyRule.ALREADY_WAITING: "The patient is on this waitlist already.",
}


@dataclass(frozen=True, slots=True)
class PolicyViolation:
    rule: PolicyRule

    @property
    def message(self) -> str:
        return POLICY_MESSAGES[self.rule]


@dataclass(frozen=True, slots=True)
class SlotTaken:
    alternatives: list[Slot] = field(default_factory=list)
    message: str = "That time has just been taken."


@dataclass(frozen=True, slots=True)
class PatientConflict:
    """`appointment` is None where the viewer may not see it (rule 19)."""

    appointment: Appointment | None
    message: str = "The patient has another appointment at that time."


@dataclass(frozen=True, slots=True)
class VersionConflict:
    current: Appointment
    message: str = "The appointment has changed since you read it."


@dataclass(frozen=True, slots=True)
class StaleVersion:
    current_version: int
    message: str = "It has changed since you read it."


@dataclass(frozen=True, slots=True)
class IdempotencyMismatch:
    message: str = "This idempotency key was used for another request."


@dataclass(frozen=True, slots=True)
class InvalidTransition:
    from_: AppointmentStatus
    to: AppointmentStatus

    @property
    def message(self) -> str:
        return f"An appointment that is {self.from_.value} cannot become {self.to.value}."


@dataclass(frozen=True, slots=True)
class InvalidInput:
    """`field` is dotted, in the client's spelling: "hours.2.closes"."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class NotFound:
    message: str = "There is no such thing, or it is not yours to touch."


@dataclass(frozen=True, slots=True)
class PossibleDuplicate:
    candidates: list[Patient]
    message: str = "There is a patient like this already. Confirm that this is another person."


@dataclass(frozen=True, slots=True)
class SlotHeld:
    hold: Hold
    cursor: str


@dataclass(frozen=True, slots=True)
class HoldReleased:
    slot: Slot
    cursor: str


@dataclass(frozen=True, slots=True)
class AppointmentBooked:
    appointment: Appointment
    cursor: str


@dataclass(frozen=True, slots=True)
class AppointmentRescheduled:
    appointment: Appointment
    cursor: str


@dataclass(frozen=True, slots=True)
class AppointmentCancelled:
    appointment: Appointment
    cursor: str


@dataclass(frozen=True, slots=True)
class AppointmentStatusSet:
    appointment: Appointment


@dataclass(frozen=True, slots=True)
class PatientRegistered:
    patient: Patient


@dataclass(frozen=True, slots=True)
class PatientUpdated:
    patient: Patient


@dataclass(frozen=True, slots=True)
class ClinicSaved:
    clinic: Clinic


@dataclass(frozen=True, slots=True)
class ProviderSaved:
    provider: Provider


@dataclass(frozen=True, slots=True)
class VisitTypeSaved:
    visit_type: VisitType


@dataclass(frozen=True, slots=True)
class ClinicOriginsSet:
    clinic: Clinic


@dataclass(frozen=True, slots=True)
class NotificationPreferencesSet:
    patient_key: int
    preferences: NotificationPreferences


@dataclass(frozen=True, slots=True)
class ScheduleSaved:
    schedule: Schedule
    orphaned: list[Appointment]


@dataclass(frozen=True, slots=True)
class WaitlistJoined:
    entry: Entry


@dataclass(frozen=True, slots=True)
class WaitlistEntryUpdated:
    entry: Entry


@dataclass(frozen=True, slots=True)
class WaitlistLeft:
    entry: Entry


@dataclass(frozen=True, slots=True)
class OfferAccepted:
    appointment: Appointment
    entry: Entry


@dataclass(frozen=True, slots=True)
class OfferDeclined:
    entry: Entry


@dataclass(frozen=True, slots=True)
class OfferGone:
    """The offer was answered, ran out, or went to another."""

    status: OfferStatus
    message: str = "This offer is no longer open."


def patients_in(outcome: object) -> set[int]:
    """Keys of the patients whose data an outcome shows: a refusal or a replay shows some that nothing was written about."""
    shown: list[Appointment | Patient | Entry | None]
    match outcome:
        case PossibleDuplicate(candidates=candidates):
            shown = [*candidates]
        case ScheduleSaved(orphaned=orphaned):
            shown = [*orphaned]
        case VersionConflict(current=one) | PatientRegistered(patient=one) | PatientUpdated(patient=one):
            shown = [one]
        case PatientConflict(appointment=one) | AppointmentBooked(appointment=one):
            shown = [one]
        case AppointmentRescheduled(appointment=one) | AppointmentCancelled(appointment=one):
            shown = [one]
        case AppointmentStatusSet(appointment=one) | OfferAccepted(appointment=one):
            shown = [one]
        case WaitlistJoined(entry=entry) | WaitlistEntryUpdated(entry=entry) | WaitlistLeft(entry=entry):
            shown = [entry]
        case OfferDeclined(entry=entry):
            shown = [entry]
        case NotificationPreferencesSet(patient_key=key):
            return {key}
        case _:
            shown = []
    return {one.key if isinstance(one, Patient) else one.patient_key for one in shown if one is not None}

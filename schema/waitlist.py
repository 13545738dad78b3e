"""The waitlist's lists, and what each mutation of it may answer. Entries and offers stand beside patients and appointments."""

from typing import Annotated

import strawberry

from domain import outcomes
from domain.waitlist import OfferStatus
from schema.appointments import (
    Appointment,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    PatientConflict,
    PolicyViolation,
    Refusal,
    StaleVersion,
    WaitlistEntry,
)
from schema.pages import PageInfo
from schema.presenting import presents


@strawberry.type
class WaitlistEntryEdge:
    cursor: str
    node: WaitlistEntry


@strawberry.type
class WaitlistEntryConnection:
    edges: list[WaitlistEntryEdge]
    page_info: PageInfo


@strawberry.type(description="The offer was answered, ran out, or was withdrawn.")
@presents(outcomes.OfferGone)
class OfferGone(Refusal):
    status: OfferStatus


@strawberry.type
@presents(outcomes.WaitlistJoined)
class WaitlistJoined:
    entry: WaitlistEntry


@strawberry.type
@presents(outcomes.WaitlistEntryUpdated)
class WaitlistEntryUpdated:
    entry: WaitlistEntry


@strawberry.type
@presents(outcomes.WaitlistLeft)
class WaitlistLeft:
    entry: WaitlistEntry


@strawberry.type
@presents(outcomes.OfferAccepted)
class OfferAccepted:
    appointment: Appointment
    entry: WaitlistEntry


@strawberry.type
@presents(outcomes.OfferDeclined)
class OfferDeclined:
    entry: WaitlistEntry


JoinWaitlistResult = Annotated[
    WaitlistJoined | PolicyViolation | InvalidInput | IdempotencyMismatch | NotFound,
    strawberry.union("JoinWaitlistResult"),
]
UpdateWaitlistEntryResult = Annotated[
    WaitlistEntryUpdated | StaleVersion | InvalidInput | IdempotencyMismatch | NotFound,
    strawberry.union("UpdateWaitlistEntryResult"),
]
LeaveWaitlistResult = Annotated[
    WaitlistLeft | IdempotencyMismatch | NotFound,
    strawberry.union("LeaveWaitlistResult", description="NotFound: also for an entry that is over."),
]
AcceptOfferResult = Annotated[
    OfferAccepted | OfferGone | PatientConflict | IdempotencyMismatch | NotFound, strawberry.union("AcceptOfferResult")
]
DeclineOfferResult = Annotated[
    OfferDeclined | OfferGone | IdempotencyMismatch | NotFound, strawberry.union("DeclineOfferResult")
]

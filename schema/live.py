"""What subscriptions tell: the open times of a clinic, and appointments as they change."""

from datetime import datetime
from typing import Annotated

import strawberry

from domain import frames
from domain.frames import SnapshotReason
from resolvers.values import StreamCursor
from schema.appointments import Appointment, WaitlistOffer
from schema.clinics import AvailabilityFrame, AvailabilitySnapshot, OpenSlot
from schema.presenting import presents

PREVIOUS = (
    "The cursor of the frame before it on this subscription; if it is not yours, subscribe again without `after`."
)


@strawberry.type(
    description="What has changed since the frame before. Sets, so that telling a change twice does no harm."
)
@presents(frames.Delta)
class AvailabilityDelta(AvailabilityFrame):
    previous_cursor: StreamCursor = strawberry.field(description=PREVIOUS)
    opened: list[OpenSlot] = strawberry.field(description="Open now; you may have some of them.")
    removed: list[strawberry.ID] = strawberry.field(
        description="Slot ids, open no more; you may not have had some of them."
    )


@strawberry.type(description="Nothing has changed: after 15 seconds of silence.")
@presents(frames.Heartbeat)
class AvailabilityHeartbeat(AvailabilityFrame):
    previous_cursor: StreamCursor = strawberry.field(description=PREVIOUS)


@strawberry.type(description="An appointment was booked, moved or cancelled, or has another status.")
@presents(frames.AppointmentChanged)
class AppointmentChanged:
    appointment: Appointment = strawberry.field(description="As it is now.")


@strawberry.type(description="You were offered a time of the waitlist, or an offer of yours has ended.")
@presents(frames.OfferChanged)
class OfferChanged:
    offer: WaitlistOffer = strawberry.field(description="As it is now.")


@strawberry.type(description="The first frame, and after any doubt: read the state again, then go on.")
@presents(frames.StreamReset)
class StreamReset:
    reason: SnapshotReason


@strawberry.type(description="Nothing has changed.")
@presents(frames.StreamHeartbeat)
class StreamHeartbeat:
    server_time: datetime


AvailabilityEvent = Annotated[
    AvailabilitySnapshot | AvailabilityDelta | AvailabilityHeartbeat,
    strawberry.union(
        "AvailabilityEvent", description="A snapshot first, then what is later; each frame names the one before."
    ),
]
PatientEvent = Annotated[
    AppointmentChanged | OfferChanged | StreamReset | StreamHeartbeat, strawberry.union("PatientEvent")
]
ClinicDayEvent = Annotated[AppointmentChanged | StreamReset | StreamHeartbeat, strawberry.union("ClinicDayEvent")]

"""What patients are told about their appointments, and how they want to be told."""

from datetime import datetime

import strawberry

from domain import messages, recipients
from domain.messages import MessageRule, MessageStatus
from domain.recipients import Channel
from resolvers.values import LocalTime
from schema.presenting import presents


@strawberry.type(description="A message about an appointment: one that will go, that went, or that does not go.")
@presents(messages.Reminder)
class Reminder:
    rule: MessageRule
    channel: Channel
    due_at: datetime = strawberry.field(description="When it may go, quiet hours considered; in the clinic's zone.")
    status: MessageStatus
    why: str | None = strawberry.field(description="Why it waits, moved, or does not go.")


@strawberry.type(
    description="How a patient is reached. Where nothing was chosen: e-mail if there is an address, else SMS."
)
@presents(recipients.NotificationPreferences)
class NotificationPreferences:
    channels: list[Channel] = strawberry.field(
        description="First choice first; the next is used only where the one before can't be."
    )
    time_zone: str = strawberry.field(description="IANA name; of the clinic of registration until one is chosen.")
    quiet_from: LocalTime | None = strawberry.field(
        description="Wall clock of `timeZone`: no SMS from then until `quietTo`; e-mail goes at once. Null: no quiet hours."
    )
    quiet_to: LocalTime | None = strawberry.field(description="Wall clock of `timeZone`.")
    language: str = strawberry.field(description="BCP 47. Messages are written in English so far.")

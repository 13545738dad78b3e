"""What a message says: no reason, no kind of visit, no specialty; in an SMS no provider either, and one segment."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from domain import ids
from domain.messages import MessageRule
from domain.recipients import Channel

SEGMENT: Final = 160
CLINIC_ROOM: Final = 11
_GSM: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_TWICE: Final = frozenset("^{}\\[~]|€")  # after an escape: two of the 160
_PLAIN: Final = str.maketrans("‘’‚“”„–—−…\u00a0", "'''\"\"\"---. ")
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
# {when}, {before} and what of the clinic's name still fits.
_SMS: Final = {
    MessageRule.CONFIRMATION: "{clinic}: your appointment is booked for {when}.",
    MessageRule.DAY_BEFORE: "{clinic}: reminder of your appointment on {when}.",
    MessageRule.TWO_HOURS_BEFORE: "{clinic}: reminder of your appointment on {when}.",
    MessageRule.MOVED: "{clinic}: your appointment was moved to {when}. The earlier time no longer counts.",
    MessageRule.CANCELLED: "{clinic}: your appointment on {when} was cancelled.",
    MessageRule.OFFER: "{clinic}: a time is free for you, {when}. Take it by {until}: {link}",
}
_SUBJECTS: Final = {
    MessageRule.CONFIRMATION: "Your appointment is booked: {when}",
    MessageRule.DAY_BEFORE: "Reminder: your appointment on {when}",
    MessageRule.TWO_HOURS_BEFORE: "Reminder: your appointment on {when}",
    MessageRule.MOVED: "Your appointment was moved to {when}",
    MessageRule.CANCELLED: "Your appointment on {when} was cancelled",
    MessageRule.OFFER: "A time is free for you: {when}",
}
_SMS_SHORT: Final = "{clinic}: a free time, {when}: {link}"
_STOP: Final = " Reply STOP to end texts."


@dataclass(frozen=True, slots=True)
class Letter:
    """All that a message may tell. Instants in the clinic's zone; `sequence` of the calendar file rises with each move;
    `written_at` is the moment of the change, a reminder's when it was due, and the same for every try.

    About an offer: `offer_key`, `answer_by` and `link`, no appointment; `starts_at_before` is the one it would move.
    """

    message_key: int
    rule: MessageRule
    channel: Channel
    to: str
    appointment_key: int
    version: int
    sequence: int
    clinic_name: str
    clinic_address: str
    clinic_phone: str | None
    provider_name: str | None
    starts_at: datetime
    ends_at: datetime
    starts_at_before: datetime | None
    written_at: datetime
    stop_token: str | None = None
    offer_key: int | None = None
    answer_by: datetime | None = None
    link: str = ""

    @property
    def key_id(self) -> str:
        """What callbacks name it by."""
        return ids.node(ids.MESSAGE, self.message_key)

    @property
    def id(self) -> str:
        """The same for every try."""
        if self.offer_key is not None:
            return f"{self.rule.value}.{self.offer_id}"
        return f"{self.rule.value}.{self.version}.{ids.node(ids.APPOINTMENT, self.appointment_key)}"

    @property
    def offer_id(self) -> str:
        return ids.node(ids.OFFER, self.offer_key or 0)

    @property
    def calendar_uid(self) -> str:
        return ids.node(ids.APPOINTMENT, self.appointment_key)

    @property
    def subject(self) -> str:
        return _SUBJECTS[self.rule].format(when=day_and_time(self.starts_at))

    @property
    def until(self) -> str:
        """When an offer ends; with its day where that is not the one on which it was made."""
        if self.answer_by is None:
            return ""
        same = self.answer_by.date() == self.written_at.date()
        return time_of_day(self.answer_by) if same else short_time(self.answer_by)

    @property
    def sms(self) -> str:
        """One segment of the GSM alphabet; the clinic's name is cut where it has to be."""
        texts = [_SMS[self.rule] + _STOP]
        when = short_time(self.starts_at)
        if self.rule is MessageRule.OFFER:  # Beside a long link there is room for less.
            texts += [_SMS[self.rule], _SMS_SHORT]
            when += _zone(self.starts_at)
        some = [one.format(clinic="{clinic}", when=when, until=self.until, link=self.link) for one in texts]
        fitting = (one for one in some if septets(one.replace("{clinic}", "")) <= SEGMENT - CLINIC_ROOM)
        text = next(fitting, some[-1])
        room = SEGMENT - septets(text.replace("{clinic}", ""))
        return text.replace("{clinic}", _cut(gsm(self.clinic_name), room))


def day_and_time(at: datetime) -> str:
    """Monday, March 1 at 9:00 AM"""
    return f"{_DAYS[at.weekday()]}, {_MONTHS[at.month - 1]} {at.day} at {time_of_day(at)}"


def date_in_full(at: datetime) -> str:
    """Monday, March 1, 2027"""
    return f"{_DAYS[at.weekday()]}, {_MONTHS[at.month - 1]} {at.day}, {at.year}"


def short_time(at: datetime) -> str:
    """Mon, Mar 1 at 9:00 AM"""
    return f"{_DAYS[at.weekday()][:3]}, {_MONTHS[at.month - 1][:3]} {at.day} at {time_of_day(at)}"


def time_of_day(at: datetime) -> str:
    return f"{(at.hour + 11) % 12 + 1}:{at.minute:02d} {'PM' if at.hour >= 12 else 'AM'}"


def _zone(at: datetime) -> str:
    """As a clinic's neighbours call it, where there is such a name."""
    name = at.strftime("%Z")
    return f" {name}" if name.isalpha() else ""


def gsm(text: str) -> str:
    """In letters that an SMS takes without becoming shorter: accents that it lacks go, what is left over too."""
    found = []
    for letter in text.translate(_PLAIN):
        if letter in _GSM or letter in _TWICE:
            found.append(letter)
        else:
            found += [one for one in unicodedata.normalize("NFKD", letter) if one in _GSM]
    return " ".join("".join(found).split())


def septets(text: str) -> int:
    """How much of a segment the text takes."""
    return sum(2 if letter in _TWICE else 1 for letter in text)


def _cut(text: str, room: int) -> str:
    if septets(text) <= room:
        return text or "Your clinic"
    while text and septets(text) > room - 3:
        text = text[:-1]
    return text.rstrip() + "..."


class NotSent(Exception):
    """It surely did not go; another try may do. The text names no person and no address."""


class AddressRefused(Exception):
    """It will never go there. `stopped`: its owner told the provider to stop."""

    def __init__(self, reason: str, *, stopped: bool = False) -> None:
        super().__init__(reason)
        self.stopped = stopped


class OutcomeUnknown(Exception):
    """It may have gone: nobody answered in time."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the provider said when it took the message, where it says anything."""

    provider_id: str | None = None
    delivery: str | None = None

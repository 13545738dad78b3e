"""Which messages a version of an appointment asks for, when each is due, and whether it may still go (rules 49 to 51)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

from domain import zones
from domain.appointments import AppointmentChange, AppointmentStatus
from domain.recipients import Channel, Recipient

LATE_DAY_BEFORE: Final = timedelta(hours=6)
LATE_TWO_HOURS: Final = timedelta(minutes=30)  # before the start
LATE_TOLD: Final = timedelta(hours=24)  # that a visit is booked or was moved (decision 0015)
SAYING_PAUSE: Final = timedelta(seconds=15)
FIRST_RETRY_SECONDS: Final = 5
LAST_RETRY_SECONDS: Final = 300


class MessageRule(Enum):
    CONFIRMATION = "confirmation"
    DAY_BEFORE = "day-before"
    TWO_HOURS_BEFORE = "two-hours-before"
    MOVED = "moved"
    CANCELLED = "cancelled"
    OFFER = "offer"

    @property
    def reminds(self) -> bool:
        return self in (MessageRule.DAY_BEFORE, MessageRule.TWO_HOURS_BEFORE)


class MessageStatus(Enum):
    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"


class Why(Enum):
    """Why a message waits or does not go. Stored by name, so texts may change."""

    NO_EMAIL = "There is no e-mail address."
    NO_PHONE = "There is no telephone number."
    EMAIL_STOPPED = "E-mails to this address were stopped."
    SMS_STOPPED = "Text messages to this number were stopped."
    NOT_CHOSEN = "Another channel was chosen."
    PAST = "Its time had passed when the visit was booked or changed."
    REPLACED = "The appointment has changed since."
    OVER = "The visit has begun."
    LATE = "It could not go in time."
    SAID = "It was said already."
    BEFORE_QUIET = "Goes before the quiet hours begin."
    AFTER_QUIET = "Waits for the end of the quiet hours."
    RETRYING = "A try failed; it is tried again."
    UNKNOWN = "The last try was not answered; it is looked into."
    SAYING = "It may have been said already; that is looked into."
    REFUSED = "The address was refused."
    UNDELIVERED = "It could not be delivered."
    UNREACHED = "No try succeeded in time."
    OFFER_OVER = "The offer is over."
    OFFER_SHORT = "The offer is over before the quiet hours are."


# What another preference or address may take back: planned anew, such a message may go after all.
OF_CHANNEL: Final = frozenset({Why.NO_EMAIL, Why.NO_PHONE, Why.EMAIL_STOPPED, Why.SMS_STOPPED, Why.NOT_CHOSEN})
_MISSING: Final = {Channel.EMAIL: Why.NO_EMAIL, Channel.SMS: Why.NO_PHONE}
_STOPPED: Final = {Channel.EMAIL: Why.EMAIL_STOPPED, Channel.SMS: Why.SMS_STOPPED}
_REMINDERS: Final = (MessageRule.DAY_BEFORE, MessageRule.TWO_HOURS_BEFORE)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an appointment. `zone` is the clinic's; what was due before `since` is not sent any more."""

    appointment_key: int
    version: int
    present_version: int
    change: AppointmentChange
    status: AppointmentStatus
    at: datetime
    starts_at: datetime
    zone: ZoneInfo
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """One message. `why` with SCHEDULED: what moved `due_at` away from `rule_at`."""

    rule: MessageRule
    channel: Channel
    rule_at: datetime
    due_at: datetime
    status: MessageStatus
    why: Why | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A message as it stands."""

    version: int
    present_version: int
    planned: Planned
    tries: int
    zone: ZoneInfo

    @property
    def settled(self) -> bool:
        """It went, is going or is tried again."""
        status = self.planned.status
        return status in (MessageStatus.SENDING, MessageStatus.SENT) or (
            status is MessageStatus.SCHEDULED and self.tries > 0
        )


@dataclass(frozen=True, slots=True)
class Reminder:
    """A line of the timeline; `due_at` in the clinic's zone."""

    rule: MessageRule
    channel: Channel
    due_at: datetime
    status: MessageStatus
    why: str | None


@dataclass(frozen=True, slots=True)
class Due:
    """A message that is looked at because its time has come. `live` and `expires_at` are an offer's.

    `said`: by another message, of an older version or on another channel; `saying`: perhaps, that is being found out.
    """

    rule: MessageRule
    channel: Channel
    version: int
    rule_at: datetime
    starts_at: datetime
    tries: int
    present_version: int
    said: bool
    live: bool = True
    expires_at: datetime | None = None
    saying: bool = False


class Verdict(Enum):
    SEND = "send"
    WAIT = "wait"  # until `at`
    SKIP = "skip"
    FAIL = "fail"
    PASS = "pass"  # this channel can't; the next may


@dataclass(frozen=True, slots=True)
class Judged:
    verdict: Verdict
    why: Why | None = None
    at: datetime | None = None


def rules(change: AppointmentChange, status: AppointmentStatus) -> tuple[MessageRule, ...]:
    """What a change asks for. Marked as arrived or as a no-show it asks for nothing; undone, for its reminders again."""
    if change is AppointmentChange.BOOKED:
        return (MessageRule.CONFIRMATION, *_REMINDERS)
    if change is AppointmentChange.MOVED:
        return (MessageRule.MOVED, *_REMINDERS)
    if not status.live:
        return (MessageRule.CANCELLED,)
    return _REMINDERS if status is AppointmentStatus.BOOKED else ()


def rule_at(rule: MessageRule, version: Version) -> datetime:
    """The moment that the rule names, quiet hours aside, in UTC: between two times of one zone Python counts by its wall clock."""
    if rule is MessageRule.DAY_BEFORE:
        wall = version.starts_at.astimezone(version.zone)
        minute = zones.instant(version.zone, wall.date() - timedelta(days=1), wall.hour * 60 + wall.minute)
        return datetime.fromtimestamp(minute * 60, UTC)
    if rule is MessageRule.TWO_HOURS_BEFORE:
        return version.starts_at.astimezone(UTC) - timedelta(hours=2)
    return version.at.astimezone(UTC)


def until(rule: MessageRule, named: datetime, starts_at: datetime) -> datetime:
    """After this the message is of no use, in UTC. `named` is the moment that the rule names."""
    named, starts_at = named.astimezone(UTC), starts_at.astimezone(UTC)
    if rule is MessageRule.DAY_BEFORE:
        return min(named + LATE_DAY_BEFORE, starts_at)
    if rule is MessageRule.TWO_HOURS_BEFORE:
        return starts_at - LATE_TWO_HOURS
    if rule in (MessageRule.CONFIRMATION, MessageRule.MOVED):
        return min(named + LATE_TOLD, starts_at)
    return starts_at


def due_at(rule: MessageRule, channel: Channel, named: datetime, recipient: Recipient) -> tuple[datetime, Why | None]:
    """When it may go, and why that is not the moment that the rule names."""
    around = recipient.quiet_around(named) if channel is Channel.SMS else None
    if around is None:
        return named, None
    if rule.reminds:
        return recipient.before_quiet(named), Why.BEFORE_QUIET
    return around[1], Why.AFTER_QUIET


def cannot(channel: Channel, recipient: Recipient) -> Why | None:
    if channel not in recipient.order:
        return Why.NOT_CHOSEN
    if recipient.address(channel) is None:
        return _MISSING[channel]
    return _STOPPED[channel] if channel in recipient.stopped else None


def plan(version: Version, recipient: Recipient, failed: frozenset[tuple[MessageRule, Channel]]) -> list[Planned]:
    """All that this version asks for: the first channel that can be used, and before it those that can't, with why.

    `failed` names what has finally failed: the next channel is used for it.
    """
    found = []
    for rule in rules(version.change, version.status):
        named = rule_at(rule, version)
        for channel in recipient.order:
            if (rule, channel) in failed:
                continue
            due, moved = due_at(rule, channel, named, recipient)
            blocked = cannot(channel, recipient)
            why = _void(rule, version, named, due) or blocked
            status = MessageStatus.SKIPPED if why else MessageStatus.SCHEDULED
            found.append(Planned(rule, channel, named, due, status, why or moved))
            if why is None or why is not blocked:
                break
    return found


def plan_again(version: Version, recipient: Recipient, kept: Sequence[Kept]) -> list[Planned]:
    """What is to be written down beside what stands there already: nothing for what went, is going or is tried again."""
    own = [one for one in kept if one.version == version.version]
    settled = {one.planned.rule for one in own if one.settled}
    failed = frozenset(
        (one.planned.rule, one.planned.channel) for one in own if one.planned.status is MessageStatus.FAILED
    )
    found = [one for one in plan(version, recipient, failed) if one.rule not in settled]
    named = {(one.rule, one.channel) for one in found}
    for old in (one.planned for one in own):
        if old.status is MessageStatus.SCHEDULED and old.rule not in settled and (old.rule, old.channel) not in named:
            found.append(replace(old, status=MessageStatus.SKIPPED, why=Why.NOT_CHOSEN))
    return found


def timeline(
    kept: Sequence[Kept], unplanned: Sequence[tuple[Version, Recipient]], offered: Sequence[Kept] = ()
) -> list[Reminder]:
    """What goes or went for an appointment, those due first come first; also what no worker has written down yet.

    `offered`: about offers of the waitlist that concern it.
    """
    lines = [(one.version, _as_it_counts(one), one.zone) for one in (*kept, *offered)]
    written = {one.version for one in kept}
    for version, recipient in unplanned:
        if version.version not in written:
            lines += [(version.version, one, version.zone) for one in plan(version, recipient, frozenset())]
    lines.sort(key=lambda line: (line[1].due_at, line[0]))
    return [
        Reminder(one.rule, one.channel, one.due_at.astimezone(zone), one.status, one.why.value if one.why else None)
        for _, one, zone in lines
    ]


def _as_it_counts(one: Kept) -> Planned:
    """A version that is no longer the present one sends nothing, whether or not a worker has seen that."""
    if one.version < one.present_version and one.planned.status is MessageStatus.SCHEDULED:
        return replace(one.planned, status=MessageStatus.SKIPPED, why=Why.REPLACED)
    return one.planned


def _void(rule: MessageRule, version: Version, named: datetime, due: datetime) -> Why | None:
    if version.version < version.present_version:
        return Why.REPLACED
    if version.at.astimezone(UTC) >= version.starts_at:
        return Why.OVER
    if due < (version.since or version.at):
        return Why.PAST
    return Why.LATE if due >= until(rule, named, version.starts_at) else None


def judge(due: Due, recipient: Recipient, now: datetime) -> Judged:
    """Whether a message whose time has come goes now."""
    if due.version != due.present_version:
        return Judged(Verdict.SKIP, Why.REPLACED)
    if not due.live:
        return Judged(Verdict.SKIP, Why.OFFER_OVER)
    if due.said:
        return Judged(Verdict.SKIP, Why.SAID)
    last = due.expires_at or until(due.rule, due.rule_at, due.starts_at)
    if now > last or now == due.expires_at:
        return _too_late(due, Why.OFFER_OVER)
    if due.saying:
        return Judged(Verdict.WAIT, Why.SAYING, now + SAYING_PAUSE)
    blocked = cannot(due.channel, recipient)
    if blocked is not None:
        return Judged(Verdict.PASS, blocked)
    around = recipient.quiet_around(now) if due.channel is Channel.SMS else None
    if around is None:
        return Judged(Verdict.SEND)
    return _too_late(due, Why.OFFER_SHORT) if around[1] >= last else Judged(Verdict.WAIT, Why.AFTER_QUIET, around[1])


def _too_late(due: Due, offer: Why) -> Judged:
    """`offer`: why, where it is about an offer."""
    if due.tries:
        return Judged(Verdict.FAIL, Why.UNREACHED)
    return Judged(Verdict.SKIP, Why.LATE if due.expires_at is None else offer)


def pause_seconds(tries: int) -> int:
    """How long after so many tries the next one comes."""
    return min(FIRST_RETRY_SECONDS << min(tries - 1, 10), LAST_RETRY_SECONDS)


# The SMS provider's words for how far a message came. They arrive out of order and more than once; what is final stays.
DELIVERY: Final = {
    "accepted": 1, "scheduled": 1, "queued": 1, "sending": 2, "sent": 3,
    "delivered": 4, "undelivered": 4, "failed": 4, "canceled": 4, "read": 5,
}  # fmt: skip
NOT_DELIVERED: Final = frozenset({"undelivered", "failed", "canceled"})


def further(before: str | None, now: str) -> bool:
    """Whether `now` says more than what is known."""
    if now not in DELIVERY or before in NOT_DELIVERED:
        return False
    return before is None or DELIVERY[now] > DELIVERY[before]


STOP_WORDS: Final = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT-OUT", "STOP ALL"}
)
START_WORDS: Final = frozenset({"START", "YES", "UNSTOP"})


def stops(text: str) -> bool | None:
    """What an answer to an SMS asks for: True to stop, False to go on; None for anything else."""
    word = " ".join(text.upper().split()).strip(" .!\"'")
    if word in STOP_WORDS:
        return True
    return False if word in START_WORDS else None

"""When messages are due, over zones, changes of the clock and quiet hours (rules 49 and 51)."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import messages, zones
from domain.appointments import AppointmentChange, AppointmentStatus
from domain.faults import BadInput
from domain.messages import Due, Kept, MessageRule, MessageStatus, Planned, Verdict, Version, Why
from domain.recipients import Channel, NotificationPreferences, Recipient

NEW_YORK = zones.named("America/New_York")
ZONES = st.sampled_from(
    ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "Africa/Cairo",
     "Pacific/Apia", "America/Santiago", "Asia/Tokyo", "Atlantic/Azores", "UTC"]
).map(zones.named)  # fmt: skip
INSTANTS = st.integers(0, 3 * 365 * 288).map(
    lambda tick: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=5 * tick)
)
MINUTES = st.integers(0, 287).map(lambda tick: tick * 5)
BOOKED, MOVED, CANCELLED = AppointmentChange.BOOKED, AppointmentChange.MOVED, AppointmentChange.CANCELLED


def version(
    starts_at: datetime,
    at: datetime | None = None,
    *,
    change: AppointmentChange = BOOKED,
    status: AppointmentStatus = AppointmentStatus.BOOKED,
    number: int = 1,
    present: int | None = None,
    since: datetime | None = None,
    zone: str = "America/New_York",
) -> Version:
    at = at or starts_at - timedelta(days=7)
    return Version(1, number, present or number, change, status, at, starts_at, zones.named(zone), since)


def recipient(
    *channels: Channel,
    email: str | None = "pat@example.org",
    phone: str | None = "+12025550100",
    quiet: tuple[int, int] | None = (21 * 60, 8 * 60),
    stopped: Channel | None = None,
    zone: str = "America/New_York",
) -> Recipient:
    return Recipient(
        1, email, phone, channels or None, zones.named(zone), quiet, "en", frozenset({stopped} if stopped else ())
    )


def plan(found: Version, to: Recipient) -> list[tuple[str, str, str, Why | None]]:
    return [
        (one.rule.name, one.channel.name, one.status.name, one.why) for one in messages.plan(found, to, frozenset())
    ]


def wall(at: datetime, zone: str = "America/New_York") -> str:
    return f"{at.astimezone(zones.named(zone)):%m-%d %H:%M}"


def at(text: str, zone: str = "America/New_York") -> datetime:
    """Wall time of 2027."""
    found = datetime.strptime(f"2027-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    return zones.at(zones.instant(zones.named(zone), found.date(), found.hour * 60 + found.minute), zones.named(zone))


# --- which rules


def test_each_change_has_its_messages() -> None:
    starts = at("06-10 14:00")
    reminders = [("DAY_BEFORE", "EMAIL", "SCHEDULED", None), ("TWO_HOURS_BEFORE", "EMAIL", "SCHEDULED", None)]
    assert plan(version(starts), recipient()) == [("CONFIRMATION", "EMAIL", "SCHEDULED", None), *reminders]
    assert plan(version(starts, change=MOVED), recipient()) == [("MOVED", "EMAIL", "SCHEDULED", None), *reminders]
    cancelled = version(starts, change=CANCELLED, status=AppointmentStatus.CANCELLED)
    assert plan(cancelled, recipient()) == [("CANCELLED", "EMAIL", "SCHEDULED", None)]
    marked = {
        status: plan(version(starts, change=AppointmentChange.STATUS_SET, status=status), recipient())
        for status in AppointmentStatus
    }
    assert marked[AppointmentStatus.ARRIVED] == marked[AppointmentStatus.NOSHOW] == []
    assert marked[AppointmentStatus.BOOKED] == reminders
    assert marked[AppointmentStatus.ENTERED_IN_ERROR] == [("CANCELLED", "EMAIL", "SCHEDULED", None)]


def test_a_rule_that_is_past_at_booking_is_skipped_not_fired() -> None:
    starts = at("06-10 14:00")
    found = plan(version(starts, starts - timedelta(hours=3)), recipient())
    assert found == [
        ("CONFIRMATION", "EMAIL", "SCHEDULED", None),
        ("DAY_BEFORE", "EMAIL", "SKIPPED", Why.PAST),
        ("TWO_HOURS_BEFORE", "EMAIL", "SCHEDULED", None),
    ]
    assert plan(version(starts, starts - timedelta(hours=24)), recipient())[1][2] == "SCHEDULED"
    assert plan(version(starts, starts - timedelta(minutes=119)), recipient())[2][2:] == ("SKIPPED", Why.PAST)


def test_visits_booked_before_there_were_messages_get_their_reminders_only() -> None:
    starts = at("06-10 14:00")
    found = plan(version(starts, since=starts - timedelta(hours=5)), recipient())
    assert [one[2] for one in found] == ["SKIPPED", "SKIPPED", "SCHEDULED"]


def test_an_older_version_plans_nothing_but_says_so() -> None:
    found = plan(version(at("06-10 14:00"), number=1, present=2), recipient())
    assert {one[2:] for one in found} == {("SKIPPED", Why.REPLACED)}


def test_a_visit_that_has_begun_is_not_announced() -> None:
    starts = at("06-10 14:00")
    late = version(starts, starts, change=CANCELLED, status=AppointmentStatus.CANCELLED)
    assert plan(late, recipient()) == [("CANCELLED", "EMAIL", "SKIPPED", Why.OVER)]


# --- when


def test_a_day_before_is_the_same_wall_time_over_both_changes_of_the_clock() -> None:
    for starts, due in (("03-14 14:00", "03-13 14:00"), ("03-15 02:30", "03-14 03:00"), ("11-07 14:00", "11-06 14:00")):
        found = messages.rule_at(MessageRule.DAY_BEFORE, version(at(starts)))
        assert wall(found) == due
    spring, autumn = at("03-14 14:00").astimezone(UTC), at("11-07 14:00").astimezone(UTC)
    assert spring - messages.rule_at(MessageRule.DAY_BEFORE, version(spring)) == timedelta(hours=23)
    assert autumn - messages.rule_at(MessageRule.DAY_BEFORE, version(autumn)) == timedelta(hours=25)


def test_two_hours_before_is_elapsed_time() -> None:
    starts = at("03-14 03:30")
    assert wall(messages.rule_at(MessageRule.TWO_HOURS_BEFORE, version(starts))) == "03-14 00:30"


def test_quiet_hours_move_sms_and_leave_email() -> None:
    early, to = version(at("06-10 07:30"), at("06-01 22:00")), recipient(Channel.SMS)
    found = {one.rule: (wall(one.due_at), one.why) for one in messages.plan(early, to, frozenset())}
    assert found == {
        MessageRule.CONFIRMATION: ("06-02 08:00", Why.AFTER_QUIET),
        MessageRule.DAY_BEFORE: ("06-08 20:00", Why.BEFORE_QUIET),
        MessageRule.TWO_HOURS_BEFORE: ("06-09 20:00", Why.BEFORE_QUIET),
    }
    by_email = {one.rule: wall(one.due_at) for one in messages.plan(early, recipient(), frozenset())}
    assert by_email[MessageRule.TWO_HOURS_BEFORE] == "06-10 05:30"
    assert by_email[MessageRule.CONFIRMATION] == "06-01 22:00"


def test_quiet_hours_are_the_recipients_not_the_clinics() -> None:
    early = version(at("06-10 10:30"))
    found = messages.plan(early, recipient(Channel.SMS, zone="America/Los_Angeles"), frozenset())
    assert wall(found[2].due_at, "America/Los_Angeles") == "06-09 20:00"


def test_what_waits_past_the_visit_does_not_go() -> None:
    found = plan(version(at("06-10 07:30"), at("06-09 22:00")), recipient(Channel.SMS))
    assert found == [
        ("CONFIRMATION", "SMS", "SKIPPED", Why.LATE),
        ("DAY_BEFORE", "SMS", "SKIPPED", Why.PAST),
        ("TWO_HOURS_BEFORE", "SMS", "SKIPPED", Why.PAST),
    ]


@given(starts=INSTANTS, clinic=ZONES, home=ZONES, begins=MINUTES, ends=MINUTES, days=st.integers(0, 40))
def test_nothing_is_due_in_quiet_hours_or_too_late(
    starts: datetime, clinic: object, home: object, begins: int, ends: int, days: int
) -> None:
    quiet = (begins, ends) if begins != ends else None
    to = recipient(Channel.SMS, quiet=quiet, zone=str(home))
    booked = version(starts, starts - timedelta(days=days, minutes=5), zone=str(clinic))
    for one in messages.plan(booked, to, frozenset()):
        assert to.quiet_around(one.due_at) is None, one
        if one.status is MessageStatus.SCHEDULED:
            assert booked.at <= one.due_at < messages.until(one.rule, one.rule_at, starts)
        if one.rule.reminds:
            assert one.due_at <= one.rule_at
        else:
            assert one.due_at >= one.rule_at


@given(starts=INSTANTS, clinic=ZONES)
def test_the_day_before_has_the_same_wall_time_where_it_exists(starts: datetime, clinic: object) -> None:
    zone = zones.named(str(clinic))
    local = starts.astimezone(zone)
    due = messages.rule_at(MessageRule.DAY_BEFORE, version(starts, zone=zone.key)).astimezone(zone)
    wanted = (local.replace(tzinfo=None) - timedelta(days=1)).replace(tzinfo=zone)
    if wanted.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wanted.replace(tzinfo=None):
        assert due.replace(tzinfo=None) == wanted.replace(tzinfo=None)


# --- through what


def test_the_next_channel_is_used_only_where_the_first_cannot_be() -> None:
    both, visit = (Channel.SMS, Channel.EMAIL), version(at("06-10 14:00"))
    assert {one[1] for one in plan(visit, recipient(*both))} == {"SMS"}
    for why, to in (
        (Why.NO_PHONE, recipient(*both, phone=None)),
        (Why.SMS_STOPPED, recipient(*both, stopped=Channel.SMS)),
    ):
        assert plan(visit, to)[:2] == [
            ("CONFIRMATION", "SMS", "SKIPPED", why),
            ("CONFIRMATION", "EMAIL", "SCHEDULED", None),
        ]
    failed = frozenset({(MessageRule.CONFIRMATION, Channel.SMS)})
    found = messages.plan(visit, recipient(*both), failed)
    assert [(one.rule.name, one.channel.name) for one in found][:2] == [
        ("CONFIRMATION", "EMAIL"),
        ("DAY_BEFORE", "SMS"),
    ]


def test_who_chose_nothing_gets_email_if_there_is_an_address_else_sms() -> None:
    assert recipient().order == (Channel.EMAIL,)
    assert recipient(email=None).order == (Channel.SMS,)
    nobody = plan(version(at("06-10 14:00")), recipient(email=None, phone=None))
    assert {one[1:] for one in nobody} == {("SMS", "SKIPPED", Why.NO_PHONE)}


# --- judged again when its time has come


def due(rule: MessageRule, starts: datetime, **other: object) -> Due:
    visit = version(starts)
    fields = {"channel": Channel.EMAIL, "version": 1, "tries": 0, "present_version": 1, "said": False} | other
    return Due(rule=rule, rule_at=messages.rule_at(rule, visit), starts_at=starts, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "late", "verdict"),
    [
        (MessageRule.DAY_BEFORE, timedelta(hours=6), Verdict.SEND),
        (MessageRule.DAY_BEFORE, timedelta(hours=6, seconds=1), Verdict.SKIP),
        (MessageRule.TWO_HOURS_BEFORE, timedelta(minutes=90), Verdict.SEND),
        (MessageRule.TWO_HOURS_BEFORE, timedelta(minutes=90, seconds=1), Verdict.SKIP),
        (MessageRule.CONFIRMATION, timedelta(hours=24), Verdict.SEND),
        (MessageRule.CONFIRMATION, timedelta(hours=24, seconds=1), Verdict.SKIP),
        (MessageRule.MOVED, timedelta(hours=24), Verdict.SEND),
        (MessageRule.MOVED, timedelta(hours=24, seconds=1), Verdict.SKIP),
        (MessageRule.CANCELLED, timedelta(days=7), Verdict.SEND),
        (MessageRule.CANCELLED, timedelta(days=7, seconds=1), Verdict.SKIP),
    ],
)
def test_what_is_too_late_is_skipped(rule: MessageRule, late: timedelta, verdict: Verdict) -> None:
    one = due(rule, at("06-10 14:00"))
    assert messages.judge(one, recipient(), one.rule_at + late).verdict is verdict


def test_a_message_is_looked_at_again_before_it_goes() -> None:
    starts = at("06-10 14:00")
    now = starts - timedelta(hours=2)
    rule = MessageRule.TWO_HOURS_BEFORE
    judged = messages.judge(due(rule, starts, present_version=2), recipient(), now)
    assert (judged.verdict, judged.why) == (Verdict.SKIP, Why.REPLACED)
    judged = messages.judge(due(rule, starts, said=True), recipient(), now)
    assert (judged.verdict, judged.why) == (Verdict.SKIP, Why.SAID)
    judged = messages.judge(due(rule, starts, saying=True), recipient(), now)
    assert (judged.verdict, judged.why) == (Verdict.WAIT, Why.SAYING)
    judged = messages.judge(due(rule, starts), recipient(stopped=Channel.EMAIL), now)
    assert (judged.verdict, judged.why) == (Verdict.PASS, Why.EMAIL_STOPPED)
    judged = messages.judge(due(rule, starts, tries=3), recipient(), now + timedelta(hours=2))
    assert (judged.verdict, judged.why) == (Verdict.FAIL, Why.UNREACHED)


def test_an_sms_that_was_kept_up_into_quiet_hours_waits_or_goes_no_more() -> None:
    to = recipient(Channel.SMS)
    waiting = due(MessageRule.CONFIRMATION, at("06-10 14:00"), channel=Channel.SMS, tries=2)
    judged = messages.judge(waiting, to, at("06-03 23:10"))
    assert judged.verdict is Verdict.WAIT
    assert judged.at is not None
    assert wall(judged.at) == "06-04 08:00"
    too_late = due(MessageRule.DAY_BEFORE, at("06-10 20:30"), channel=Channel.SMS, tries=2)
    assert messages.judge(too_late, to, at("06-09 21:30")).verdict is Verdict.FAIL


def test_pauses_double_up_to_five_minutes() -> None:
    pauses = [messages.pause_seconds(tries) for tries in range(1, 12)]
    assert pauses[:7] == [5, 10, 20, 40, 80, 160, 300]
    assert set(pauses[6:]) == {300}


# --- planned again


def kept(one: Planned, tries: int = 0) -> Kept:
    return Kept(1, 1, one, tries, NEW_YORK)


def test_another_choice_takes_back_what_has_not_gone_and_only_that() -> None:
    visit = version(at("06-10 14:00"))
    confirmation, day, hours = messages.plan(visit, recipient(Channel.EMAIL), frozenset())
    sent = Planned(confirmation.rule, Channel.EMAIL, confirmation.rule_at, confirmation.due_at, MessageStatus.SENT)
    again = messages.plan_again(visit, recipient(Channel.SMS), [kept(sent), kept(day), kept(hours, tries=1)])
    assert [(one.rule.name, one.channel.name, one.status.name, one.why) for one in again] == [
        ("DAY_BEFORE", "SMS", "SCHEDULED", None),
        ("DAY_BEFORE", "EMAIL", "SKIPPED", Why.NOT_CHOSEN),
    ]


# --- how far an SMS came


def test_statuses_never_go_backwards() -> None:
    order = [None, "queued", "sending", "sent", "delivered", "read"]
    for before, after in pairwise(order):
        assert after is not None
        assert messages.further(before, after)
        assert before is None or not messages.further(after, before)
    assert not messages.further("delivered", "undelivered")
    assert not messages.further("undelivered", "delivered")
    assert not messages.further(None, "invented")


@pytest.mark.parametrize("text", ["STOP", "stop", " Stop. ", "Unsubscribe", "QUIT", "end", "STOP ALL"])
def test_stop_words_stop(text: str) -> None:
    assert messages.stops(text) is True


@pytest.mark.parametrize(("text", "wish"), [("START", False), ("unstop", False), ("please stop by", None), ("", None)])
def test_other_words_do_not(text: str, wish: bool | None) -> None:
    assert messages.stops(text) is wish


# --- preferences

BEFORE = NotificationPreferences((Channel.EMAIL,), "America/New_York", 1260, 480, "en")


def test_preferences_change_what_is_named() -> None:
    assert BEFORE.changed({"channels": (Channel.SMS,)}).quiet_from == 1260
    none = BEFORE.changed({"quiet_from": None})
    assert (none.quiet_from, none.quiet_to) == (None, None)
    midnight = BEFORE.changed({"quiet_from": 1440})
    assert (midnight.quiet_from, midnight.quiet_to) == (0, 480)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"channels": ()}, "channels"),
        ({"channels": (Channel.SMS, Channel.SMS)}, "channels"),
        ({"time_zone": "Mars/Olympus"}, "timeZone"),
        ({"time_zone": ""}, "timeZone"),
        ({"quiet_to": None}, "quietTo"),
        ({"quiet_from": 480}, "quietTo"),
        ({"quiet_from": 0, "quiet_to": 1440}, "quietTo"),
        ({"language": "not a language"}, "language"),
    ],
)
def test_what_cannot_be_chosen(asked: dict[str, object], field: str) -> None:
    with pytest.raises(BadInput) as refused:
        BEFORE.changed(asked)
    assert refused.value.field == field

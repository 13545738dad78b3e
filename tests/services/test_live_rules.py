"""The rules of the live calendar, one by one, on clinics in memory."""

import asyncio
import gc
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain import streams
from domain.calendars import Taken
from domain.faults import BadInput, Unavailable
from domain.frames import Delta, Heartbeat, Snapshot, SnapshotReason
from domain.streams import CalendarEvent, Cursor, Pulse, Resumed
from services.live.clock import Clock
from services.live.member import TooSlow
from tests.services.live_town import (
    MONDAY,
    TODAY,
    NoCalendars,
    Server,
    Town,
    View,
    frame,
    kind,
    settled,
    silent,
    truth,
    week,
)

DAY = TODAY + timedelta(days=2)
FAST = {"frame_seconds": 0.0, "patience_seconds": 0.05}


@pytest.fixture
def town() -> Town:
    found = Town([kind(1), kind(2, 30, before=10, after=15)])
    found.provider(kinds=(1, 2))
    found.provider(kinds=(1, 2))
    return found


def in_new_york(hour: int) -> int:
    return hour * 60


async def test_23_a_snapshot_comes_first_and_then_only_what_is_later(town: Town) -> None:
    _, before = town.take(1, DAY, in_new_york(9))
    server = Server.on(town, **FAST)
    server.hear(*before)
    member = await server.live.availability(week(), None)
    first = await frame(member)
    assert isinstance(first, Snapshot)
    assert first.reason is SnapshotReason.INITIAL
    assert first.slots == (await truth(town, week())).slots
    found = streams.read(first.cursor)
    assert isinstance(found, Cursor)
    assert found.seq == 1
    server.hear(*before)  # again
    assert await silent(member)


async def test_24_each_frame_names_the_cursor_before_it(town: Town) -> None:
    server = Server.on(town, **FAST)
    member = await server.live.availability(week(), None)
    view = View()
    view.apply(await frame(member))
    for hour in (9, 10, 11):
        number, events = town.take(1, DAY, in_new_york(hour))
        server.hear(*events)
        taken = await frame(member)
        assert isinstance(taken, Delta)
        assert len(taken.removed) == 1
        view.apply(taken)
        server.hear(*town.give(1, number))
        given = await frame(member)
        assert [one.id for one in given.opened] == taken.removed
        view.apply(given)
    assert view.shown(town.now) == {one.id: 1 for one in (await truth(town, week())).slots}


async def test_25_what_lies_between_comes_as_one_delta_or_as_a_heartbeat(town: Town) -> None:
    server = Server.on(town, **FAST)
    other = Server.on(town, **FAST)  # has heard the same, and nobody watched there
    member = await server.live.availability(week(), None)
    view = View()
    view.apply(await frame(member))
    member.close()

    for hour in (9, 10, 11):
        _, events = town.take(1, DAY, in_new_york(hour))
        server.hear(*events)
        other.hear(*events)
    for one in (server, other):
        one.hear(*town.log)
        again = await one.live.availability(week(), view.cursor)
        delta = await frame(again)
        assert isinstance(delta, Delta)
        assert delta.previous_cursor == view.cursor
        assert len(delta.removed) == (3 if one is server else 4)
        copy = View(view.cursor, dict(view.times))
        copy.apply(delta)
        assert copy.shown(town.now) == {one.id: 1 for one in (await truth(town, week())).slots}

        nothing = await one.live.availability(week(), delta.cursor)
        beat = await frame(nothing)
        assert isinstance(beat, Heartbeat)
        assert beat.previous_cursor == delta.cursor
        _, events = town.take(2, DAY, in_new_york(14))
        one.hear(*events)
        assert (await frame(again)).previous_cursor == (await frame(nothing)).previous_cursor == beat.cursor


async def test_25_a_process_that_just_started_asks_how_far_a_quiet_clinic_is(town: Town) -> None:
    server = Server.on(town, **FAST)
    member = await server.live.availability(week(), None)
    for hour in (9, 10):
        server.hear(*town.take(1, DAY, in_new_york(hour))[1])
    cursor = (await frame(member)).cursor
    fresh = Server.on(town, **FAST)
    again = await fresh.live.availability(week(), cursor)
    assert isinstance(await frame(again), Heartbeat)


async def test_25_more_than_512_changes_or_two_minutes_are_a_gap(town: Town) -> None:
    clock = [100.0]
    server = Server.on(town, **FAST, monotonic=lambda: clock[0], resume_events=4)
    member = await server.live.availability(week(), None)
    old = (await frame(member)).cursor
    member.close()
    for hour in range(9, 13):
        server.hear(*town.take(1, DAY, in_new_york(hour))[1])
    assert isinstance(await frame(await server.live.availability(week(), old)), Delta)
    server.hear(*town.take(1, DAY, in_new_york(13))[1])
    gap = await frame(await server.live.availability(week(), old))
    assert gap.reason is SnapshotReason.GAP

    server.hear(*town.take(1, DAY, in_new_york(14))[1])
    clock[0] += 119
    assert isinstance(await frame(await server.live.availability(week(), gap.cursor)), Delta)
    clock[0] += 2
    late = await frame(await server.live.availability(week(), gap.cursor))
    assert late.reason is SnapshotReason.GAP


async def test_26_what_can_not_be_honoured_gives_a_snapshot_and_never_an_error(town: Town) -> None:
    server = Server.on(town, **FAST)
    server.hear(*town.take(1, DAY, in_new_york(9))[1])
    through = TODAY.toordinal()
    for after, reason in {
        "": SnapshotReason.GAP,
        "garbage": SnapshotReason.GAP,
        "ä" * 40: SnapshotReason.GAP,
        str(Cursor("epoch-1", 2, 1, through)): SnapshotReason.GAP,
        str(Cursor("epoch-0", 1, 1, through)): SnapshotReason.EPOCH_CHANGED,
        str(streams.Position("epoch-0", 1, 1, 1)): SnapshotReason.EPOCH_CHANGED,
        str(Cursor("epoch-1", 1, 99, through)): SnapshotReason.GAP,
        str(Cursor("epoch-1", 1, 1, through)): SnapshotReason.INVALIDATED,
    }.items():
        first = await frame(await server.live.availability(week(), after))
        assert isinstance(first, Snapshot), after
        assert first.reason is reason, after


async def test_26_a_process_that_is_behind_waits_for_the_log(town: Town) -> None:
    ahead, behind = Server.on(town, **FAST), Server.on(town, frame_seconds=0.0, patience_seconds=2.0)
    first = town.take(1, DAY, in_new_york(9))[1]
    ahead.hear(*first)
    behind.hear(*first)
    there = await ahead.live.availability(week(), None)
    await frame(there)
    late = town.take(1, DAY, in_new_york(10))[1]
    ahead.hear(*late)
    cursor = (await frame(there)).cursor
    member = await behind.live.availability(week(), cursor)
    waiting = asyncio.create_task(frame(member))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    behind.hear(*late)
    assert isinstance(await waiting, Heartbeat)
    assert not behind.snapshots.asked


async def test_26_after_three_seconds_the_snapshot_is_from_the_primary(town: Town) -> None:
    server = Server.on(town, process=True, **FAST)
    server.hear(*town.take(1, DAY, in_new_york(9))[1])
    await frame(await server.live.availability(week(), None))
    missing = town.take(1, DAY, in_new_york(10))[1]
    first = await frame(await server.live.availability(week(), str(Cursor("epoch-1", 1, 2, DAY.toordinal()))))
    assert first.reason is SnapshotReason.GAP
    assert server.snapshots.asked == [True]
    assert [one.id for one in first.slots] == [one.id for one in (await truth(town, week())).slots]
    assert streams.read(first.cursor).seq == 1  # type: ignore[union-attr]
    server.hear(*missing)


async def test_27_a_mutation_s_cursor_starts_with_a_snapshot_that_contains_the_change(town: Town) -> None:
    server = Server.on(town, process=True, frame_seconds=0.0, patience_seconds=2.0)
    server.hear(*town.take(1, DAY, in_new_york(9))[1])
    await frame(await server.live.availability(week(), None))
    [event] = town.take(1, DAY, in_new_york(10))[1]
    member = await server.live.availability(week(), town.position(event))
    waiting = asyncio.create_task(frame(member))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    server.hear(event)
    first = await waiting
    assert first.reason is SnapshotReason.INITIAL
    assert len(first.slots) == len((await truth(town, week())).slots)
    assert not server.snapshots.asked


async def test_27_behind_for_too_long_the_snapshot_is_from_the_primary(town: Town) -> None:
    server = Server.on(town, process=True, **FAST)
    server.hear(*town.take(1, DAY, in_new_york(9))[1])
    watcher = await server.live.availability(week(), None)
    view = View()
    view.apply(await frame(watcher))
    [event] = town.take(1, DAY, in_new_york(10))[1]
    member = await server.live.availability(week(), town.position(event))
    late = View()
    late.apply(await frame(member))
    assert server.snapshots.asked == [True]
    assert len(late.times) == len((await truth(town, week())).slots)
    server.hear(event)
    late.apply(await frame(member))
    view.apply(await frame(watcher))
    assert late.cursor == view.cursor
    assert late.times.keys() == view.times.keys()


async def test_27_a_query_is_as_new_as_its_cursor(town: Town) -> None:
    server = Server.on(town, process=True, **FAST)
    server.hear(town.pulse(), *town.take(1, DAY, in_new_york(9))[1])
    watcher = await server.live.availability(week(), None)
    await frame(watcher)
    [heard] = town.take(1, DAY, in_new_york(10))[1]
    server.hear(heard)
    shared = await server.live.snapshot(week(), town.position(heard))
    assert not server.snapshots.asked
    assert len(shared.slots) == len((await truth(town, week())).slots)
    [event] = town.take(1, DAY, in_new_york(11))[1]
    for at_least in (town.position(event), "garbage", str(Cursor("epoch-1", 2, 1))):
        found = await server.live.snapshot(week(), at_least)
        assert server.snapshots.asked.pop() is True
        assert len(found.slots) == len((await truth(town, week())).slots)
    await server.live.snapshot(week(kind_key=2), None)
    assert server.snapshots.asked == [False]  # nobody watches it


async def test_28_the_first_change_goes_out_at_once_and_then_one_frame_in_50_ms(town: Town) -> None:
    server = Server.on(town)
    member = await server.live.availability(week(), None)
    await frame(member)
    loop = asyncio.get_running_loop()
    began = loop.time()
    numbers = []
    for hour in (9, 10, 11, 12):
        number, events = town.take(1, DAY, in_new_york(hour))
        numbers.append(number)
        server.hear(*events)
        if hour == 9:
            first = await frame(member)
            assert loop.time() - began < 0.02
    second = await frame(member)
    assert 0.045 < loop.time() - began < 0.2
    assert (len(first.removed), len(second.removed)) == (1, 3)
    for number in numbers:
        server.hear(*town.give(1, number))
        await asyncio.sleep(0.01)
    third = await frame(member)
    assert 0.095 < loop.time() - began < 0.3
    assert third.opened


async def test_29_who_joins_while_something_is_pending_joins_with_the_next_frame(town: Town) -> None:
    server = Server.on(town)
    first = await server.live.availability(week(), None)
    await frame(first)
    server.hear(*town.take(1, DAY, in_new_york(9))[1])
    await frame(first)
    server.hear(*town.take(1, DAY, in_new_york(10))[1])  # waits for its 50 ms
    second = await server.live.availability(week(), None)
    joined = await frame(second)
    delta = await frame(first)
    assert joined.cursor == delta.cursor
    assert len(joined.slots) == len((await truth(town, week())).slots)
    server.hear(*town.take(1, DAY, in_new_york(11))[1])
    one, other = await frame(first), await frame(second)
    assert one is other


async def test_30_a_full_mailbox_becomes_one_snapshot_computed_once(town: Town) -> None:
    server = Server.on(town, **FAST)
    slow = [await server.live.availability(week(), None) for _ in range(5)]
    quick = await server.live.availability(week(), None)
    for one in (*slow, quick):
        await frame(one)
    asked = server.reading.asked.count("everything")
    numbers = []
    for turn in range(33):
        number, events = town.take(1, DAY + timedelta(days=turn // 16), 540 + turn % 16 * 30)
        numbers.append(number)
        server.hear(*events)
        last = await frame(quick)
    frames = [await frame(one) for one in slow]
    assert {one.reason for one in frames} == {SnapshotReason.SLOW_CONSUMER}
    assert len({id(one) for one in frames}) == 1
    assert frames[0].cursor == last.cursor
    assert server.reading.asked.count("everything") == asked + 1
    server.hear(*town.give(1, numbers[0]))
    assert [(await frame(one)).previous_cursor for one in (*slow, quick)] == [last.cursor] * 6


async def test_30_twice_within_a_minute_ends_it(town: Town) -> None:
    clock = [0.0]
    server = Server.on(town, **FAST, monotonic=lambda: clock[0], mailbox=2)
    member = await server.live.availability(week(), None)
    view = View()
    view.apply(await frame(member))

    async def overflow() -> None:
        for minute in range(0, 180, 60):
            server.hear(*town.take(1, DAY, 540 + minute)[1])
            await asyncio.sleep(0.005)

    await overflow()
    first = await frame(member)
    assert first.reason is SnapshotReason.SLOW_CONSUMER
    view.apply(first)
    clock[0] += 61
    await overflow()
    view.apply(await frame(member))
    clock[0] += 30
    await overflow()
    with pytest.raises(TooSlow):
        await frame(member)
    assert member.closed
    assert server.hub.counts()["members"] == 0


async def test_32_a_heartbeat_after_silence_goes_to_everybody_and_moves_the_cursor(town: Town) -> None:
    clock = [0.0]
    server = Server.on(town, **FAST, monotonic=lambda: clock[0])
    members = [await server.live.availability(week(), None) for _ in range(3)]
    before = [(await frame(one)).cursor for one in members]
    far = TODAY + timedelta(days=60)
    server.hear(*town.take(1, far, in_new_york(9))[1])
    clock[0] = 14
    server.hub.sweep()
    assert await silent(members[0])
    clock[0] = 15.1
    server.hub.sweep()
    beats = [await frame(one) for one in members]
    assert beats[0] is beats[1] is beats[2]
    assert [one.previous_cursor for one in beats] == before
    assert streams.read(beats[0].cursor).seq == 1  # type: ignore[union-attr]
    server.hub.sweep()
    assert await silent(members[0])


async def test_34_the_snapshots_of_a_mass_reconnect_are_computed_once(town: Town) -> None:
    server = Server.on(town, **FAST)
    members = [await server.live.availability(week(), "lost") for _ in range(1000)]
    frames = await asyncio.gather(*(frame(one) for one in members))
    assert server.reading.asked.count("everything") <= 3
    assert server.reading.asked.count("facts") == 1
    assert len({id(one) for one in frames}) == 1

    server.hear(*town.take(1, DAY, in_new_york(9))[1])
    for one in members:
        one.close()
    again = [await server.live.availability(week(), frames[0].cursor) for _ in range(1000)]
    resumed = await asyncio.gather(*(frame(one) for one in again))
    assert server.reading.asked.count("changed") <= 3
    assert len({id(one) for one in resumed}) <= 2


async def test_37_and_38_a_change_that_touches_nothing_here_costs_no_execution(town: Town) -> None:
    town.provider(kinds=(2,))
    server = Server.on(town, **FAST)
    member = await server.live.availability(week(), None)
    named = await server.live.availability(week(providers=(1,)), None)
    await frame(member)
    await frame(named)
    asked = list(server.reading.asked)
    server.hear(*town.take(1, TODAY + timedelta(days=30), in_new_york(9))[1])  # other dates
    server.hear(*town.take(3, DAY, in_new_york(9))[1])  # a provider who does not offer the type
    assert await silent(member)
    assert server.reading.asked == asked
    server.hear(*town.take(2, DAY, in_new_york(9))[1])
    await frame(member)
    assert await silent(named)
    assert server.reading.asked == [*asked, "changed"]
    server.hear(*town.take(1, DAY, in_new_york(20))[1])  # outside the hours: nothing on the grid
    assert await silent(member)


async def test_what_buffers_reach_is_touched(town: Town) -> None:
    server = Server.on(town, **FAST)
    member = await server.live.availability(week(kind_key=2), None)
    view = View()
    view.apply(await frame(member))
    number, events = town.take(1, DAY, 12 * 60 + 10, 5)
    server.hear(*events)
    taken = await frame(member)
    assert len(taken.removed) == 2  # 11:30 with its 15 minutes after, and 12:00
    server.hear(*town.give(1, number))
    assert len((await frame(member)).opened) == 2


async def test_an_invalidated_event_is_one_snapshot_for_everybody(town: Town) -> None:
    server = Server.on(town, **FAST)
    members = [await server.live.availability(week(), None) for _ in range(3)]
    for one in members:
        await frame(one)
    asked = server.reading.asked.count("everything")
    server.hear(*town.hours(1, 1, 600, 900))
    frames = [await frame(one) for one in members]
    assert {one.reason for one in frames} == {SnapshotReason.INVALIDATED}
    assert frames[0] is frames[1] is frames[2]
    assert frames[0].slots == (await truth(town, week())).slots
    assert server.reading.asked.count("everything") == asked + 1
    key = town.provider(kinds=(1,))
    server.hear(*town.hours(key, 1, 600, 660))
    shown = await frame(members[0])
    assert shown.slots == (await truth(town, week())).slots
    server.hear(*town.take(key, DAY, 600)[1])
    await frame(members[1])
    await frame(members[1])
    assert len((await frame(members[0])).removed) == 1


async def test_more_than_500_ids_are_a_snapshot(town: Town) -> None:
    server = Server.on(town, **FAST, ids=10)
    member = await server.live.availability(week(), None)
    await frame(member)
    town_events = town.take(1, DAY, 540, 480)[1]
    server.hear(*town_events)
    assert (await frame(member)).reason is SnapshotReason.INVALIDATED


async def test_the_clinic_s_midnight_lets_a_new_day_in() -> None:
    town = Town([kind(1, days=3)])
    town.provider()
    server = Server.on(town, **FAST)
    server.hear(town.pulse())
    members = [await server.live.availability(week(days=5), None) for _ in range(2)]
    gone = await server.live.availability(week(days=5, after=2), None)
    view = View()
    view.apply(await frame(members[0]))
    await frame(members[1])
    left = (await frame(gone)).cursor
    gone.close()
    other = await server.live.availability(week(days=2), None)  # wholly inside the window
    await frame(other)
    town.clock(datetime(2027, 3, 2, 4, 59, 50, tzinfo=town.now.tzinfo))
    server.hear(town.pulse())
    server.hub.sweep()
    assert await silent(members[0])
    town.clock(datetime(2027, 3, 2, 5, 0, 5, tzinfo=town.now.tzinfo))
    server.hear(town.pulse())
    server.hub.sweep()
    frames = [await frame(one) for one in members]
    assert frames[0].reason is SnapshotReason.INVALIDATED
    assert frames[0] is frames[1]
    view.apply(frames[0])
    assert view.shown(town.now) == {one.id: 1 for one in (await truth(town, week(days=5))).slots}
    assert await silent(other)
    # Who was away meanwhile lacks the new day, though no event tells of it.
    back = await frame(await server.live.availability(week(days=5, after=2), left))
    assert back.reason is SnapshotReason.INVALIDATED


async def test_a_snapshot_ends_at_a_whole_day_and_changes_stay_within(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.live.reading.TIMES_MAX", 20)
    town = Town()
    for _ in range(1):
        town.provider()
    server = Server.on(town, **FAST)
    member = await server.live.availability(week(), None)
    view = View()
    first = await frame(member)
    view.apply(first)
    assert first.through == TODAY + timedelta(days=1)
    server.hear(*town.take(1, DAY, in_new_york(9))[1])
    assert await silent(member)
    server.hear(*town.take(1, TODAY + timedelta(days=1), in_new_york(9))[1])
    assert len((await frame(member)).removed) == 1
    joined = await frame(await server.live.availability(week(), None))
    assert joined.through == first.through
    server.hear(*town.touch_everything())
    assert (await frame(member)).through == first.through
    again = await server.live.availability(week(), first.cursor)
    assert isinstance(await frame(again), Snapshot)


async def test_missing_events_are_a_gap_and_nothing_before_it_is_resumed(town: Town) -> None:
    server = Server.on(town, process=True, **FAST)
    member = await server.live.availability(week(), None)
    view = View()
    view.apply(await frame(member))
    old = view.cursor
    server.hear(*town.take(1, DAY, in_new_york(9))[1])
    view.apply(await frame(member))
    town.take(1, DAY, in_new_york(10))
    server.hear(*town.take(1, DAY, in_new_york(11))[1])
    gap = await frame(member)
    assert gap.reason is SnapshotReason.GAP
    view.apply(gap)
    assert view.shown(town.now) == {one.id: 1 for one in (await truth(town, week())).slots}
    assert (await frame(await server.live.availability(week(), old))).reason is SnapshotReason.GAP


async def test_another_epoch_begins_everything_anew(town: Town) -> None:
    server = Server.on(town, process=True, **FAST)
    member = await server.live.availability(week(), None)
    view = View()
    view.apply(await frame(member))
    stale = town.take(1, DAY, in_new_york(9))[1]
    server.hear(*stale)
    view.apply(await frame(member))
    old = view.cursor
    town.restore()
    server.hear(*town.take(1, DAY, in_new_york(10))[1])
    first = await frame(member)
    assert first.reason is SnapshotReason.EPOCH_CHANGED
    view.apply(first)
    server.hear(*stale)  # what is left of the life before
    assert await silent(member)
    server.hear(*town.take(1, DAY, in_new_york(11))[1])
    view.apply(await frame(member))
    assert view.shown(town.now) == {one.id: 1 for one in (await truth(town, week())).slots}
    assert (await frame(await server.live.availability(week(), old))).reason is SnapshotReason.EPOCH_CHANGED


async def test_after_the_log_was_lost_clinics_that_do_not_catch_up_are_read_again(town: Town) -> None:
    server = Server.on(town, process=True, **FAST)
    member = await server.live.availability(week(), None)
    view = View()
    view.apply(await frame(member))
    server.hear(*town.take(1, DAY, in_new_york(9))[1])
    view.apply(await frame(member))
    server.hear(Resumed())
    assert await silent(member, 0.1)  # nothing is missing
    events = town.take(1, DAY, in_new_york(10))[1]
    server.hear(Resumed())
    gap = await frame(member)
    assert gap.reason is SnapshotReason.GAP
    view.apply(gap)
    server.hear(*events)
    assert await silent(member)
    server.hear(*town.take(1, DAY, in_new_york(11))[1])
    view.apply(await frame(member))
    assert view.shown(town.now) == {one.id: 1 for one in (await truth(town, week())).slots}


async def test_a_database_that_is_away_loses_no_event(town: Town) -> None:
    server = Server.on(town, **FAST, backoff_seconds=0.01)
    member = await server.live.availability(week(), None)
    view = View()
    view.apply(await frame(member))
    server.reading.down = True
    server.hear(*town.take(1, DAY, in_new_york(9))[1])
    await asyncio.sleep(0.03)
    server.hear(*town.take(1, DAY, in_new_york(10))[1])
    with pytest.raises(Unavailable):
        await server.live.availability(week(kind_key=2), None)
    joined = await server.live.availability(week(), None)
    waiting = asyncio.create_task(frame(joined))
    await asyncio.sleep(0.03)
    server.reading.down = False
    delta = await frame(member)
    assert len(delta.removed) == 2
    assert (await waiting).cursor == delta.cursor


async def test_ids_that_name_nothing_are_refused_and_leave_nothing(town: Town) -> None:
    server = Server.on(town, **FAST)
    with pytest.raises(BadInput):
        await server.live.availability(week(clinic=99), None)
    assert server.hub.counts()["shapes"] == 0


async def test_too_many_shapes_are_refused_while_they_are_watched(town: Town) -> None:
    server = Server.on(town, **FAST, shapes=2)
    members = [await server.live.availability(week(days=days), None) for days in (1, 2)]
    for one in members:
        await frame(one)
    with pytest.raises(Unavailable):
        await server.live.availability(week(days=3), None)
    members[0].close()
    await settled(lambda: server.hub.counts()["tasks"] == 0)
    assert await frame(await server.live.availability(week(days=3), None))


async def test_nothing_is_left_of_those_who_go(town: Town) -> None:
    clock = [0.0]
    server = Server.on(town, **FAST, monotonic=lambda: clock[0])
    cursor = str(Cursor("epoch-1", 1, 5, DAY.toordinal()))
    for turn in range(1000):
        member = await server.live.availability(week(days=1 + turn % 7), (None, "lost", cursor)[turn % 3])
        match turn % 4:
            case 0:  # before it was read at all
                member.close()
            case 1:
                task = asyncio.create_task(anext(member))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                member.close()
            case 2:
                task = asyncio.create_task(anext(member))
                await asyncio.sleep(0.001)
                member.close()
                await asyncio.gather(task, return_exceptions=True)
            case _:
                if turn % 3 < 2:
                    await frame(member)
                member.close()
        member.close()
        visits = server.live.clinic_day(1)
        visits.close()
    await settled(lambda: server.hub.counts()["tasks"] == 0)
    clock[0] = 61
    server.hub.sweep()
    counts = server.hub.counts()
    assert counts == {"clinics": 1, "shapes": 0, "members": 0, "visit_members": 0, "tasks": 0, "waiting": 0}
    del member, task, visits
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one).__name__ == "Mailbox"]


async def test_a_hold_closes_a_time_and_its_end_opens_it(town: Town) -> None:
    server = Server.on(town, process=True, **FAST)
    member = await server.live.availability(week(), None)
    view = View()
    view.apply(await frame(member))
    number, events = town.take(1, DAY, in_new_york(9), held=300)
    server.hear(*events)
    held = await frame(member)
    taken = town.providers[1].taken[number]
    server.hear(*town.move(1, number, replace(taken, expires_at=0)))  # booked
    booked = await frame(member)
    assert booked.removed == held.removed
    assert not booked.opened
    moved = Taken(taken.start + 12, taken.end + 12)
    server.hear(*town.move(1, number, moved))
    both = await frame(member)
    assert [one.id for one in both.opened] == held.removed
    assert len(both.removed) == 1


async def test_what_changed_while_nobody_watched_is_in_the_next_snapshot(town: Town) -> None:
    server = Server.on(town, **FAST)
    member = await server.live.availability(week(), None)
    before = await frame(member)
    member.close()
    await settled(lambda: server.hub.counts()["tasks"] == 0)
    server.hear(*town.take(1, DAY, in_new_york(9))[1])
    assert server.reading.asked.count("changed") == 0
    after = await frame(await server.live.availability(week(), None))
    assert len(after.slots) == len(before.slots) - 1


async def test_what_changes_while_it_is_read_is_not_missed(town: Town) -> None:
    server = Server.on(town, process=True, **FAST)
    members = [await server.live.availability(week(), None) for _ in range(2)]
    views = [View(), View()]
    for view, member in zip(views, members, strict=True):
        view.apply(await frame(member))

    async def held(*events: CalendarEvent, asked: str) -> None:
        count = server.reading.asked.count(asked)
        server.reading.gate = asyncio.Event()
        server.hear(*events)
        await settled(lambda: server.reading.asked.count(asked) > count)
        await asyncio.sleep(0.005)

    def release() -> None:
        assert server.reading.gate is not None
        server.reading.gate.set()

    async def equal() -> None:
        wanted = {one.id: 1 for one in (await truth(town, week())).slots}
        for view, member in zip(views, members, strict=True):
            while view.shown(town.now) != wanted:
                view.apply(await frame(member))

    await held(*town.hours(1, 1, 600, 900), asked="everything")
    server.hear(*town.hours(1, 1, 660, 960), *town.take(2, DAY, in_new_york(9))[1])
    release()
    await equal()
    _, events = town.take(1, DAY, in_new_york(12))
    await held(*events, asked="changed")
    server.hear(*town.give(1, max(town.providers[1].taken)), *town.take(2, DAY, in_new_york(10))[1])
    cursor_then = streams.read(views[0].cursor)
    release()
    views[0].apply(await frame(members[0]))
    cursor_now = streams.read(views[0].cursor)
    assert isinstance(cursor_then, Cursor)
    assert isinstance(cursor_now, Cursor)
    assert cursor_now.seq == cursor_then.seq + 1  # what came meanwhile is in the next frame
    await equal()
    await held(*town.take(1, DAY, in_new_york(13))[1], asked="changed")
    town.restore()
    server.hear(town.pulse())
    release()
    await equal()


async def test_who_resumes_while_the_epoch_changes_gets_a_snapshot(town: Town) -> None:
    server = Server.on(town, process=True, **FAST)
    member = await server.live.availability(week(), None)
    cursor = (await frame(member)).cursor
    member.close()
    server.hear(*town.take(1, DAY, in_new_york(9))[1])
    server.reading.gate = asyncio.Event()
    again = await server.live.availability(week(), cursor)
    waiting = asyncio.create_task(frame(again))
    await settled(lambda: "changed" in server.reading.asked or server.reading.asked.count("everything") > 1)
    town.restore()
    server.hear(town.pulse())
    server.reading.gate.set()
    first = await waiting
    assert isinstance(first, Snapshot)
    assert first.reason is SnapshotReason.EPOCH_CHANGED


async def test_the_process_s_calendars_are_told_before_anybody_reads(town: Town) -> None:
    told: list[str] = []

    class Told(NoCalendars):
        def apply(self, event: CalendarEvent) -> None:
            told.append(f"apply {event.seq}")

        def drop(self, clinic_key: int) -> None:
            told.append(f"drop {clinic_key}")

        def forget(self) -> None:
            told.append("forget")

        def heard(self, pulse: Pulse) -> None:
            super().heard(pulse)
            told.append("heard")

        def doubt(self) -> None:
            super().doubt()
            told.append("doubt")

        def settle(self) -> None:
            super().settle()
            told.append("settle")

    server = Server.on(town, calendars=Told(), **FAST)
    member = await server.live.availability(week(), None)
    await frame(member)
    events = [town.take(1, DAY, in_new_york(hour))[1][0] for hour in (9, 10, 11)]
    server.hear(events[0], events[0], events[2])
    assert told == ["apply 1", "drop 1", "apply 3"]
    town.restore()
    server.hear(town.pulse(), *town.take(1, DAY, in_new_york(12))[1])
    assert told[3:] == ["forget", "heard", "apply 1"]
    server.hear(Resumed())
    assert (told[6:], server.hub.trusted) == (["doubt"], False)  # though a pulse came just now
    server.reading.down = True
    await asyncio.sleep(0.02)
    assert told[6:] == ["doubt"]
    server.reading.down = False
    await settled(lambda: told[6:] == ["doubt", "settle"])
    assert server.hub.trusted


def test_the_clock_follows_pulses_but_not_those_of_a_backlog() -> None:
    here = [100.0]
    clock = Clock(lambda: here[0])
    assert not clock.known
    assert clock.hear(MONDAY)
    here[0] += 2
    assert clock.now() == MONDAY + timedelta(seconds=2)
    for second in range(60):  # a backlog comes all at once
        assert not clock.hear(MONDAY - timedelta(seconds=60 - second) + timedelta(seconds=0.5))
    assert clock.now() == MONDAY + timedelta(seconds=2)
    earlier = MONDAY - timedelta(hours=1)
    assert not clock.hear(earlier)
    here[0] += 1
    assert clock.hear(earlier + timedelta(seconds=1))  # it was set back
    assert clock.now() == earlier + timedelta(seconds=1)
    here[0] += 1
    assert clock.hear(MONDAY)

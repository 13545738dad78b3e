"""The live calendar where something is missing, late, too much or made up: nobody misses a change and nothing grows."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from domain import streams
from domain.faults import BadInput, Unavailable
from domain.frames import Heartbeat, Snapshot, SnapshotReason, StreamReset
from domain.streams import Cursor, VisitEvent
from tests.services.live_town import TODAY, NoCalendars, Server, Town, View, frame, settled, truth, week

DAY = TODAY + timedelta(days=1)
FAST: dict[str, Any] = {"frame_seconds": 0.0, "patience_seconds": 0.05, "backoff_seconds": 0.001}


@pytest.fixture
def town() -> Town:
    found = Town()
    found.provider()
    return found


async def heads_are_asked(server: Server) -> None:
    """As by anybody who comes with a cursor of another life."""
    other = await server.live.availability(week(days=2), str(Cursor("nonsense", 1, 1, 1)))
    await frame(other)
    other.close()


async def resumed(server: Server, view: View) -> Any:
    member = await server.live.availability(week(), view.cursor)
    first = await frame(member)
    view.apply(first)
    return first


def place(cursor: str) -> int:
    found = streams.read(cursor)
    assert isinstance(found, Cursor)
    return found.seq


@pytest.mark.parametrize("process", [False, True])
@pytest.mark.parametrize("quiet", [False, True])
async def test_25_what_is_still_on_its_way_is_not_behind_a_heartbeat_s_cursor(
    town: Town, process: bool, quiet: bool
) -> None:
    clock = [0.0]
    server, view = Server.on(town, process=process, **FAST, monotonic=lambda: clock[0]), View()
    server.hear(town.pulse(), *([] if quiet else town.take(1, DAY, 540)[1]))
    member = await server.live.availability(week(), None)
    view.apply(await frame(member))
    late = town.take(1, DAY, 600)[1]
    await heads_are_asked(server)
    clock[0] = 16
    server.hub.sweep()
    beat = await frame(member)
    assert isinstance(beat, Heartbeat)
    assert place(beat.cursor) == late[0].seq - 1
    view.apply(beat)
    member.close()
    server.hear(*late)
    await asyncio.sleep(0.02)
    await resumed(server, view)
    assert view.shown(town.now) == {one.id: 1 for one in (await truth(town, week())).slots}


async def test_25_nor_behind_a_delta_s(town: Town) -> None:
    server, view = Server.on(town, process=True, **{**FAST, "frame_seconds": 0.05}), View()
    server.hear(town.pulse(), *town.take(1, DAY, 540)[1])
    member = await server.live.availability(week(), None)
    view.apply(await frame(member))
    server.hear(*town.take(1, DAY, 600)[1])
    view.apply(await frame(member))
    waits, late = town.take(1, DAY, 660)[1], town.take(1, DAY, 720)[1]
    server.hear(*waits)
    await heads_are_asked(server)
    delta = await frame(member)
    assert place(delta.cursor) == waits[0].seq
    view.apply(delta)
    member.close()
    server.hear(*late)
    await asyncio.sleep(0.1)
    await resumed(server, view)
    assert view.shown(town.now) == {one.id: 1 for one in (await truth(town, week())).slots}


async def test_a_first_event_that_leaves_one_out_is_a_gap_whoever_asked_meanwhile(town: Town) -> None:
    server, view = Server.on(town, process=True, **FAST), View()
    server.hear(town.pulse())
    member = await server.live.availability(week(), None)
    view.apply(await frame(member))
    town.take(1, DAY, 540)
    later = town.take(1, DAY, 600)[1]
    await heads_are_asked(server)
    server.hear(*later)
    view.apply(await frame(member))
    assert view.shown(town.now) == {one.id: 1 for one in (await truth(town, week())).slots}


async def test_34_all_who_are_ahead_of_this_process_share_one_read(town: Town) -> None:
    server = Server.on(town, process=True, **FAST)
    server.hear(*town.take(1, DAY, 540)[1])
    await frame(await server.live.availability(week(), None))
    server.snapshots.seconds = 0.1
    missing = [town.take(1, DAY, minute)[1][0] for minute in (600, 630, 660)]
    ahead = str(Cursor("epoch-1", 1, 4, week().last.toordinal()))
    afters = [ahead if turn % 2 else town.position(missing[0]) for turn in range(1000)]
    members = [await server.live.availability(week(), after) for after in afters]
    frames = await asyncio.gather(*(frame(one, 5) for one in members))
    assert 1 <= len(server.snapshots.asked) <= 4  # as time passes, not as they are many
    assert {one.reason for one in frames} == {SnapshotReason.GAP, SnapshotReason.INITIAL}
    assert len({id(one) for one in frames}) <= 8
    assert frames[0].slots == (await truth(town, week())).slots


async def test_made_up_ids_leave_nothing_behind(town: Town) -> None:
    server = Server.on(town, **FAST, shapes=2)
    for number in range(1000, 1100):
        with pytest.raises(BadInput):
            await server.live.availability(week(clinic=number), None)
    server.reading.down = True
    with pytest.raises(Unavailable):
        await server.live.availability(week(clinic=1100), None)
    server.reading.down = False
    assert (server.hub.counts()["clinics"], server.hub.counts()["shapes"]) == (0, 0)
    members = [await server.live.availability(week(days=days), None) for days in (1, 2)]
    for one in members:
        await frame(one)
    for number in range(1000, 1100):
        with pytest.raises(Unavailable):
            await server.live.availability(week(clinic=number), None)
    assert server.hub.counts()["clinics"] == 1
    assert server.hub._watched.keys() == server.hub._streams.keys() == {1}


async def test_a_quiet_shape_keeps_no_times(town: Town) -> None:
    clock = [0.0]
    server = Server.on(town, **FAST, monotonic=lambda: clock[0])
    member, view = await server.live.availability(week(), None), View()
    view.apply(await frame(member))
    server.hear(*town.take(1, DAY, 540)[1])
    await frame(member)
    await resumed(server, view)
    await frame(await server.live.availability(week(), None))
    watched = server.hub.watched(week())
    assert watched is not None
    assert len(watched.recent) == 3
    clock[0] = 1.0
    server.hub.sweep()
    assert len(watched.recent) == 0


async def test_26_a_cursor_has_one_spelling(town: Town) -> None:
    server = Server.on(town, **FAST)
    first = await frame(await server.live.availability(week(), None))
    for padded in (
        first.cursor + "!",
        first.cursor + "=",
        first.cursor + "!" * 60_000,
        " " + first.cursor,
        "A" * 60_000,
    ):
        again = await frame(await server.live.availability(week(), padded))
        assert isinstance(again, Snapshot)
        assert again.reason is SnapshotReason.GAP
    assert isinstance(await frame(await server.live.availability(week(), first.cursor)), Heartbeat)


async def test_a_shape_whose_ids_name_nothing_any_more_ends_with_that(town: Town) -> None:
    server = Server.on(town, **FAST)
    member = await server.live.availability(week(), None)
    await frame(member)
    town.restore()
    town.clinics.pop(1)
    server.hear(town.pulse())
    with pytest.raises(BadInput):
        await frame(member)
    await settled(lambda: server.hub.counts()["tasks"] == 0)
    assert (member.closed, server.hub.counts()["members"]) == (True, 0)


async def test_an_event_that_can_not_be_taken_in_is_a_gap(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    server, view = Server.on(town, process=True, **FAST), View()
    server.hear(town.pulse(), *town.take(1, DAY, 540)[1])
    member, day = await server.live.availability(week(), None), server.live.clinic_day(1)
    view.apply(await frame(member))
    await frame(day)

    def fails(*_: Any) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as patched:
        patched.setattr(server.times, "apply", fails)
        patched.setattr(server.hub.visits, "receive", fails)
        with pytest.raises(RuntimeError):
            server.hear(*town.take(1, DAY, 600)[1])
        with pytest.raises(RuntimeError):
            server.hear(VisitEvent("epoch-1", (1,), 7, 70, 1, town.now, 1, 1))
    assert await frame(day) == StreamReset(SnapshotReason.GAP)
    gap = await frame(member)
    assert gap.reason is SnapshotReason.GAP
    view.apply(gap)
    server.hear(*town.take(1, DAY, 660)[1])
    view.apply(await frame(member))
    assert view.shown(town.now) == {one.id: 1 for one in (await truth(town, week())).slots}


async def test_a_failure_of_one_shape_takes_no_heartbeat_from_the_others(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server.on(town, **FAST, heartbeat_seconds=0.02, sweep_seconds=0.01)
    members = [await server.live.availability(week(days=days), None) for days in (1, 2)]
    for one in members:
        await frame(one)
    broken, failed = server.hub.watched(week(days=1)), []

    def fails(*_: Any) -> None:
        failed.append(1)
        raise RuntimeError("no")

    monkeypatch.setattr(broken, "beat", fails)
    running = asyncio.create_task(server.hub.run())
    assert isinstance(await frame(members[1]), Heartbeat)
    with monkeypatch.context() as patched:
        patched.setattr(server.hub.visits, "beat", fails)
        await asyncio.sleep(0.03)
    await frame(members[1])
    assert isinstance(await frame(members[1]), Heartbeat)
    assert len(failed) > 2
    running.cancel()


async def test_27_who_wrote_here_finds_it_before_the_log_tells(town: Town) -> None:
    behind: list[bool] = []

    class Own(NoCalendars):
        def is_behind(self, clinic_key: int, provider_keys: Iterable[int]) -> bool:
            return (clinic_key, set(provider_keys)) == (1, {1}) and bool(behind)

    server = Server.on(town, calendars=Own(), **FAST)
    server.hear(town.pulse(), *town.take(1, DAY, 540)[1])
    await frame(await server.live.availability(week(), None))
    [event] = town.take(1, DAY, 600)[1]
    behind.append(True)
    assert (await server.live.snapshot(week(), None)).slots == (await truth(town, week())).slots
    assert server.snapshots.asked == [True]
    behind.clear()
    server.hear(event)
    assert (await server.live.snapshot(week(), None)).slots == (await truth(town, week())).slots
    assert server.snapshots.asked == [True]

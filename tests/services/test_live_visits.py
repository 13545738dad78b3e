"""Changes of appointments for staff and patients: once each, never silently missing."""

import pytest

from domain.frames import SnapshotReason, StreamHeartbeat, StreamReset
from domain.streams import OfferEvent, Resumed, VisitEvent
from services.live.member import TooSlow
from tests.services.live_town import MONDAY, Server, Town, frame, silent


def visit(number: int, clinics: tuple[int, ...] = (1,), patient: int = 7, epoch: str = "epoch-1") -> VisitEvent:
    return VisitEvent(epoch, clinics, patient, 70, number, MONDAY, number, number)


async def test_35_it_begins_with_a_reset_and_then_every_event_comes_once() -> None:
    server = Server.on(Town())
    day, other, mine = server.live.clinic_day(1), server.live.clinic_day(2), server.live.patient(7)
    for one in (day, other, mine):
        assert await frame(one) == StreamReset(SnapshotReason.INITIAL)
    booked, moved = visit(1), visit(2, (1, 2))
    server.hear(booked, booked, visit(9, (3,), 8), moved, booked, moved)
    assert [await frame(day), await frame(day)] == [booked, moved]
    assert [await frame(mine), await frame(mine)] == [booked, moved]
    assert await frame(other) == moved
    for one in (day, other, mine):
        assert await silent(one, 0.005)


async def test_36_an_offer_is_told_to_its_patient_alone() -> None:
    server = Server.on(Town())
    day, mine, theirs = server.live.clinic_day(1), server.live.patient(7), server.live.patient(8)
    for one in (day, mine, theirs):
        await frame(one)
    offered = OfferEvent("epoch-1", 7, 50, MONDAY, 3, 3)
    server.hear(offered, offered)
    assert await frame(mine) == offered
    for one in (day, mine, theirs):
        assert await silent(one, 0.005)


async def test_32_a_heartbeat_after_silence() -> None:
    clock = [0.0]
    server = Server.on(Town(), monotonic=lambda: clock[0])
    day = server.live.clinic_day(1)
    await frame(day)
    clock[0] = 10
    server.hear(visit(1))
    await frame(day)
    clock[0] = 16
    server.hub.sweep()
    clock[0] = 25
    server.hub.sweep()
    assert isinstance(await frame(day), StreamHeartbeat)
    assert await silent(day, 0.005)


async def test_30_who_is_too_slow_reads_again_and_then_is_let_go() -> None:
    clock = [0.0]
    server = Server.on(Town(), monotonic=lambda: clock[0])
    day = server.live.clinic_day(1)
    await frame(day)
    for number in range(33):
        server.hear(visit(number))
    assert await frame(day) == StreamReset(SnapshotReason.SLOW_CONSUMER)
    server.hear(visit(100))
    assert await frame(day) == visit(100)
    clock[0] = 59
    for number in range(200, 233):
        server.hear(visit(number))
    with pytest.raises(TooSlow):
        await frame(day)
    assert server.hub.counts()["visit_members"] == 0


async def test_who_never_reads_is_let_go() -> None:
    clock = [0.0]
    server = Server.on(Town(), monotonic=lambda: clock[0])
    day = server.live.clinic_day(1)
    for turn in range(1, 100):
        clock[0] = turn * 15.0
        server.hub.sweep()
    assert day.closed


async def test_after_any_doubt_the_state_is_read_again() -> None:
    server = Server.on(Town())
    day = server.live.clinic_day(1)
    server.hear(visit(1))
    await frame(day)
    await frame(day)
    server.hear(Resumed())
    assert await frame(day) == StreamReset(SnapshotReason.GAP)
    server.hear(visit(1, epoch="epoch-2"))
    assert await frame(day) == StreamReset(SnapshotReason.EPOCH_CHANGED)
    assert await frame(day) == visit(1, epoch="epoch-2")
    server.hear(visit(2))  # of the life before
    assert await silent(day, 0.005)


async def test_closing_ends_it_and_frees_everything() -> None:
    server = Server.on(Town())
    members = [server.live.clinic_day(1) for _ in range(500)] + [server.live.patient(1) for _ in range(500)]
    for one in members:
        one.close()
        one.close()
    with pytest.raises(StopAsyncIteration):
        await anext(members[0])
    assert server.hub.counts()["visit_members"] == 0

"""Appointments as they change: for whom, of which day, and what is written down of it (rules 18, 22 and 35)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.embedded import Addresses
from app.settings import Settings
from domain import ids
from domain.streams import OfferEvent, VisitEvent
from tests import builders
from tests.api.client import Client
from tests.api.scripted import Stage, now, staged
from tests.api.talker import Talker, talking
from tests.api.town import Place, Town, today

MINE = """subscription { myAppointments { __typename ... on StreamReset { reason }
    ... on OfferChanged { offer { id status expiresAt slot { startsAt } entry { status } } }
    ... on AppointmentChanged { appointment { id version startsAt status patient { name } clinic { name } } } } }"""
DAY = """subscription ($c: ID!, $d: Date!) { clinicDay(clinicId: $c, date: $d) { __typename ... on StreamReset { reason }
    ... on AppointmentChanged { appointment { id version startsAt status patient { name } history { version } } } } }"""
BOOK = """mutation ($i: BookAppointmentInput!) { bookAppointment(input: $i) { __typename
    ... on AppointmentBooked { appointment { id version } } } }"""
MOVE = """mutation ($i: RescheduleAppointmentInput!) { rescheduleAppointment(input: $i) { __typename
    ... on AppointmentRescheduled { appointment { id version } } } }"""


@pytest.fixture(scope="module")
async def stage(settings: Settings, embedded: Any, town: Town) -> AsyncIterator[Stage]:
    async with staged(settings, Addresses(str(settings.database_url), None, embedded.redis_url)) as there:
        yield there


@pytest.fixture
def tokens(settings: Settings) -> Client:
    return Client(None, settings)  # type: ignore[arg-type]


class Desk:
    """An admin who changes appointments and tells the live calendar of it, as the log would."""

    def __init__(self, stage: Stage, talker: Talker) -> None:
        self._stage, self._talker = stage, talker

    async def _change(self, mutation: str, name: str, fields: dict[str, Any]) -> tuple[str, int]:
        await self._talker.subscribe(mutation, {"i": fields | {"idempotencyKey": uuid4().hex}}, "desk")
        outcome = (await self._talker.next("desk"))[name]
        await self._talker.hear()
        return outcome["appointment"]["id"], outcome["appointment"]["version"]

    async def book(self, place: Place, days: int, minute: int) -> tuple[str, int]:
        fields = {"slotId": place.slot_in(days, minute), "patientId": place.patient_id}
        return await self._change(BOOK, "bookAppointment", fields)

    async def move(self, booked: tuple[str, int], slot_id: str) -> tuple[str, int]:
        fields = {"appointmentId": booked[0], "version": booked[1], "slotId": slot_id}
        return await self._change(MOVE, "rescheduleAppointment", fields)

    def tell(self, booked: tuple[str, int], patient: int, *clinics: int) -> None:
        key = ids.key(booked[0], ids.APPOINTMENT)
        assert key is not None
        event = VisitEvent("epoch", clinics, patient, key, booked[1], now(), 1, 1)
        for clinic in clinics:
            self._stage.live.tell(("clinic", clinic), event)
        self._stage.live.tell(("patient", patient), event)


@pytest.fixture
async def desk(stage: Stage, tokens: Client) -> AsyncIterator[Desk]:
    async with talking(stage.url) as talker:
        await talker.begin(tokens.admin("desk"))
        yield Desk(stage, talker)


def _on(place: Place, days: int) -> dict[str, str]:
    return {"c": place.clinic_id, "d": (today() + timedelta(days=days)).isoformat()}


async def test_a_patient_is_told_of_their_own(stage: Stage, tokens: Client, town: Town, desk: Desk) -> None:
    async with talking(stage.url) as talker:
        await talker.begin(tokens.patient(town.east.patient))
        await talker.subscribe(MINE)
        assert (await talker.next())["myAppointments"] == {"__typename": "StreamReset", "reason": "INITIAL"}
        booked = await desk.book(town.east, 6, 9 * 60)
        desk.tell(booked, town.east.patient, town.east.clinic)
        told = (await talker.next())["myAppointments"]["appointment"]
        assert (told["id"], told["version"], told["patient"]["name"]) == (*booked, "Pat East")
        moved = await desk.move(booked, town.east.slot_in(7, 9 * 60))
        desk.tell(moved, town.east.patient, town.east.clinic)
        assert (await talker.next())["myAppointments"]["appointment"]["version"] == moved[1]


async def test_a_patient_is_told_of_their_offers_and_of_nobody_elses(stage: Stage, tokens: Client, town: Town) -> None:
    mine = await _offered(town, town.east.patient)
    other = await _offered(town, town.west.patient)
    async with talking(stage.url) as talker:
        await talker.begin(tokens.patient(town.east.patient))
        await talker.subscribe(MINE)
        await talker.next()
        for key in (other, mine):  # The other one comes only if the log is wrong; it is not shown even then.
            stage.live.tell(("patient", town.east.patient), OfferEvent("e", town.east.patient, key, now(), 1, key))
        told = (await talker.next())["myAppointments"]
        assert (told["__typename"], told["offer"]["id"]) == ("OfferChanged", ids.node(ids.OFFER, mine))
        assert (told["offer"]["status"], told["offer"]["entry"]["status"]) == ("EXPIRED", "ACTIVE")


async def _offered(town: Town, patient: int) -> int:
    """An offer of that patient, as it is after it ran out."""
    world = builders.World(town.east.clinic, town.east.provider, town.east.visit_type, patient)
    return (await builders.offered(town.pool, world))[1]


async def test_only_patients_have_appointments_of_their_own(stage: Stage, tokens: Client) -> None:
    for token, code in ((None, "UNAUTHENTICATED"), (tokens.admin(), "FORBIDDEN")):
        async with talking(stage.url) as talker:
            await talker.begin(token)
            await talker.subscribe(MINE)
            assert await talker.codes() == [code]


async def test_a_day_is_for_staff_of_its_clinic(stage: Stage, tokens: Client, town: Town) -> None:
    unknown = ids.node(ids.CLINIC, 10**9)
    for token, clinic, code in (
        (None, town.east.clinic_id, "UNAUTHENTICATED"),
        (tokens.patient(town.east.patient), town.east.clinic_id, "FORBIDDEN"),
        (tokens.staff([town.west.clinic]), town.east.clinic_id, "FORBIDDEN"),
        (tokens.staff([town.west.clinic]), "nonsense", "FORBIDDEN"),
        (tokens.admin(), unknown, "FORBIDDEN"),
    ):
        async with talking(stage.url) as talker:
            await talker.begin(token)
            await talker.subscribe(DAY, {"c": clinic, "d": "2026-03-02"})
            assert await talker.codes() == [code]


async def test_a_day_tells_what_comes_changes_and_leaves(stage: Stage, tokens: Client, town: Town, desk: Desk) -> None:
    east, west = town.east, town.west
    before = len(await town.audits())
    async with talking(stage.url) as talker:
        await talker.begin(tokens.staff([east.clinic], "watcher"))
        await talker.subscribe(DAY, _on(east, 8), "day")
        assert (await talker.next("day"))["clinicDay"]["__typename"] == "StreamReset"
        elsewhere = await desk.book(east, 9, 11 * 60)
        desk.tell(elsewhere, east.patient, east.clinic)
        booked = await desk.book(east, 8, 10 * 60)
        desk.tell(booked, east.patient, east.clinic)
        told = (await talker.next("day"))["clinicDay"]["appointment"]
        assert (told["id"], told["version"], told["history"]) == (*booked, [{"version": 1}])
        moved = await desk.move(booked, east.slot_in(10, 10 * 60))
        desk.tell(moved, east.patient, east.clinic)
        told = (await talker.next("day"))["clinicDay"]["appointment"]
        assert told["startsAt"].startswith((today() + timedelta(days=10)).isoformat()), (
            "it left the day: that is told too"
        )
        back = await desk.move(moved, east.slot_in(8, 12 * 60))
        desk.tell(back, east.patient, east.clinic)
        assert (await talker.next("day"))["clinicDay"]["appointment"]["version"] == back[1]
        gone = await desk.move(back, west.slot_in(8, 12 * 60))
        desk.tell(gone, east.patient, east.clinic, west.clinic)
        assert (await talker.next("day"))["clinicDay"] == {"__typename": "StreamReset", "reason": "INVALIDATED"}
    rows = [row for row in (await town.audits())[before:] if row["subject"] == "watcher"]
    assert [(row["patient_id"], row["operation"]) for row in rows] == [(east.patient, "clinicDay")], "once a patient"

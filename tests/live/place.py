"""A clinic with several providers and many patients, what is booked there over HTTP, and what is open there in truth."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import asyncpg
import httpx2

from adapters.postgres.calendars import KnownSchedules
from adapters.postgres.database import Database
from adapters.postgres.open_times import OpenTimes
from app.auth import development_token
from app.settings import Settings
from domain import ids
from domain.shapes import Shape
from services.live.snapshots import Snapshots
from tests import builders
from tests.api.town import today
from tests.live.watcher import Watcher

BOOK: Final = """mutation B($i: BookAppointmentInput!) { bookAppointment(input: $i) { __typename
    ... on AppointmentBooked { cursor appointment { id version startsAt } } } }"""
CANCEL: Final = """mutation C($i: CancelAppointmentInput!) { cancelAppointment(input: $i) { __typename
    ... on AppointmentCancelled { cursor } } }"""
MUTATIONS: Final = {
    "bookAppointment": (BOOK, "AppointmentBooked"),
    "cancelAppointment": (CANCEL, "AppointmentCancelled"),
}
HALF_HOURS: Final = 16  # 09:00 to 17:00
DAYS: Final = 31
STRIDE: Final = 7919
MARKER: Final = (
    "Zqxmark"  # stands in every text of a patient, of a booking and of what is waited for; short enough for a language
)


@dataclass(frozen=True, slots=True)
class Place:
    """Everything from tomorrow on, 16 times a day and provider."""

    pool: asyncpg.Pool
    clinic: int
    kind: int
    providers: list[int]
    patients: list[int]
    admin: str

    @property
    def clinic_id(self) -> str:
        return ids.node(ids.CLINIC, self.clinic)

    @property
    def kind_id(self) -> str:
        return ids.node(ids.VISIT_TYPE, self.kind)

    def asked(self, first: int = 1, last: int = 7, providers: Sequence[int] | None = None) -> dict[str, Any]:
        """A filter, by days from the clinic's today."""
        days = {"from": str(today() + timedelta(days=first)), "to": str(today() + timedelta(days=last))}
        among = None if providers is None else [ids.node(ids.PROVIDER, one) for one in providers]
        return {"clinicId": self.clinic_id, "visitTypeId": self.kind_id, "providerIds": among, **days}

    def slot_id(self, number: int) -> str:
        """All different, up to the number of them all; spread over providers, times and days."""
        every = len(self.providers) * HALF_HOURS * DAYS
        assert number < every
        number, provider = divmod(number * STRIDE % every, len(self.providers))
        days, half_hour = divmod(number, HALF_HOURS)
        at = builders.World(self.clinic, self.providers[provider], self.kind, 0)
        return at.slot_id(today() + timedelta(days=1 + days), 540 + 30 * half_hour)

    def patient_of(self, slot_id: str) -> int:
        """Each provider has a patient of their own, so that nobody is wanted in two places."""
        slot = ids.slot(slot_id)
        assert slot is not None
        return self.patients[self.providers.index(slot.provider_id)]

    async def truth(self, asked: dict[str, Any]) -> dict[str, int]:
        """What is open by the database alone: no cache, no stream."""
        among = asked["providerIds"]
        keys = None if among is None else tuple(sorted(ids.key(one, ids.PROVIDER) or 0 for one in among))
        first, last = date.fromisoformat(asked["from"]), date.fromisoformat(asked["to"])
        shape = Shape(self.clinic, self.kind, keys, first, last)
        found = await Snapshots(Database(self.pool), OpenTimes(KnownSchedules())).read(shape, primary=True)
        return {one.id: one.left for one in found.slots}

    async def settled(self, watchers: Sequence[Watcher], seconds: float) -> float:
        """Seconds until every view is what the database holds; fails after so many."""
        began = time.monotonic()
        while True:
            shapes = {str(one.asked): one.asked for one in watchers}
            truths = {name: await self.truth(shape) for name, shape in shapes.items()}
            wrong = [one for one in watchers if one.view.slots != truths[str(one.asked)]]
            took = time.monotonic() - began
            if not wrong and took < seconds:
                return took
            assert took < seconds, [
                (
                    one.urls,
                    one.closes,
                    one.view.kinds()[-5:],
                    len(one.view.slots),
                    len(one.view.slots.keys() ^ truths[str(one.asked)].keys()),
                )
                for one in wrong
            ]
            await asyncio.sleep(0.05)


async def place(pool: asyncpg.Pool, settings: Settings, providers: int = 3, name: str = "Elm") -> Place:
    """At once: no stream tells of it, so a process that reads ahead must not have seen half of it."""
    async with pool.acquire() as tx, tx.transaction():
        clinic = await builders.clinic(tx, name=f"{name} Clinic")
        kind = await builders.visit_type(tx)
        found = [await builders.provider(tx, [clinic], [kind], name=f"Dr {number}") for number in range(providers)]
        for one in found:
            await builders.schedule(tx, one, clinic)
        rows = await tx.fetch(
            "INSERT INTO patients (name, email, phone) SELECT 'Pat ' || $2 || n, $2 || n || '@example.org', $2 || n"
            " FROM generate_series(1, $1::integer) AS n RETURNING id",
            providers, MARKER,
        )  # fmt: skip
    admin = development_token(settings, role="admin", subject="prover")
    return Place(pool, clinic, kind, found, [row["id"] for row in rows], admin)


@dataclass
class Booker:
    """Books one time after another at the servers in turn and cancels every third; what it does not know it asks again with
    the same key."""

    place: Place
    urls: list[str]
    pause: float = 0.02
    acknowledged: dict[str, str] = field(default_factory=dict)
    cancelled: int = 0
    slowest: float = 0.0
    retries: int = 0
    number: int = 0
    _stopping: bool = False
    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Booker":
        self._stopping = False
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends with an answer to the last one."""
        self._stopping = True
        assert self._task is not None
        await self._task

    async def _work(self) -> None:
        async with httpx2.AsyncClient(timeout=15) as http:
            while not self._stopping:
                booked = await self.book(http, self.number)
                if self.number % 3 == 0:
                    await self.cancel(http, booked)
                self.number += 1
                await asyncio.sleep(self.pause)

    async def book(self, http: httpx2.AsyncClient, number: int) -> dict[str, Any]:
        slot = self.place.slot_id(number)
        patient = ids.node(ids.PATIENT, self.place.patient_of(slot))
        given = {
            "slotId": slot,
            "patientId": patient,
            "idempotencyKey": f"{self.place.clinic}-{number}",
            "reason": MARKER,
        }
        booked = await self.surely(http, "bookAppointment", given)
        self.acknowledged[slot] = booked["appointment"]["id"]
        return booked

    async def cancel(self, http: httpx2.AsyncClient, booked: dict[str, Any]) -> dict[str, Any]:
        found = booked["appointment"]
        given = {
            "appointmentId": found["id"],
            "version": found["version"],
            "idempotencyKey": f"no {found['id']}",
            "reason": MARKER,
        }
        self.cancelled += 1
        return await self.surely(http, "cancelAppointment", given)

    async def surely(self, http: httpx2.AsyncClient, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Answers what was booked or cancelled."""
        mutation, wanted = MUTATIONS[name]
        began = time.monotonic()
        for url in self._in_turn():
            assert time.monotonic() - began < 30, f"no answer for 30 s at {url}"
            try:
                found = (await asked(http, url, mutation, {"i": given}, self.place.admin))[name]
            except httpx2.TransportError:
                self.retries += 1
                await asyncio.sleep(0.05)
                continue
            assert found["__typename"] == wanted, (found, given)
            self.slowest = max(self.slowest, time.monotonic() - began)
            answered: dict[str, Any] = found
            return answered
        raise AssertionError

    def _in_turn(self) -> Iterator[str]:
        number = self.number
        while True:
            yield self.urls[number % len(self.urls)]
            number += 1


async def asked(
    http: httpx2.AsyncClient, url: str, query: str, variables: dict[str, Any], token: str | None = None
) -> dict[str, Any]:
    """`data` of an answer without errors."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = await http.post(f"{url}/graphql", json={"query": query, "variables": variables}, headers=headers)
    body = answer.json()
    assert "errors" not in body, body
    data: dict[str, Any] = body["data"]
    return data

"""The two sides: how each is started, asked, and counted in its database."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx2
import psutil

from benchmarks import product
from benchmarks.load import request
from benchmarks.population import Population
from benchmarks.reference import filling
from domain.ids import PATIENT, node

START_SECONDS = 60.0
SETTLED_SECONDS_MAX = 60
SETTLED_PERCENT = 10.0
PAGE = 20

SLOTS = (
    "slots(clinicId: $clinic, visitTypeId: $type, from: $from, to: $to, first: $first) { id startsAt endsAt status }"
)
ARGUMENTS = "$clinic: ID!, $type: ID!, $from: Date!, $to: Date!, $first: Int!"
PAGE_DOCUMENT = f"""query Page({ARGUMENTS}) {{
  providers(clinicId: $clinic, first: {PAGE}) {{
    edges {{ node {{ id name clinics {{ id name }} {SLOTS} }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""
BOOK = """mutation Book($input: BookAppointmentInput!) {
  bookAppointment(input: $input) {
    __typename
    ... on AppointmentBooked { appointment { id status startsAt endsAt } }
    ... on SlotTaken { message }
    ... on NotFound { message }
  }
}"""


@dataclass(frozen=True)
class Bookable:
    slot_id: str
    starts_at: datetime


@dataclass
class Ids:
    """What the population's numbers are called here, and who may book."""

    clinics: dict[int, str]
    providers: dict[int, str]
    patients: dict[int, str]
    visit_type: str
    tokens: dict[int, str] = field(default_factory=dict)


class Rival:
    """One server process on a port of its own, with a database of its own."""

    name = ""
    page_document = PAGE_DOCUMENT
    day_document = ""
    appointments = ""

    def __init__(self, population: Population, database_url: str, redis_url: str, folder: Path) -> None:
        self.population = population
        self.server_url = database_url
        self.database_url = in_database(database_url, f"bench_{self.name}")
        self.redis_url = redis_url
        self.folder = folder
        self.log = folder / f"{self.name}.log"
        self.port = free_port()
        self.environment = {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": redis_url,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATA_DIR": str(folder / self.name),
        }
        self.url = f"http://127.0.0.1:{self.port}/graphql"
        self.http = httpx2.AsyncClient(timeout=30, trust_env=False, verify=False)
        self.process: subprocess.Popen[bytes] | None = None
        self.ids: Ids

    def command(self) -> list[str]:
        raise NotImplementedError

    async def fill(self) -> None:
        raise NotImplementedError

    async def find_ids(self) -> Ids:
        raise NotImplementedError

    def input(self, slot_id: str, patient: int, key: str) -> dict[str, Any]:
        raise NotImplementedError

    async def start(self) -> None:
        self.process = await self.serve()
        self.ids = await self.find_ids()

    async def serve(self) -> subprocess.Popen[bytes]:
        process = self._begin()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                await self.ask("{ __typename }")
                return process
            except httpx2.TransportError:
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    raise SystemExit(f"the {self.name} does not start:\n{self.last_words()}") from None
                await asyncio.sleep(0.1)

    def _begin(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(self.command(), env=self.environment, stdout=log, stderr=log)

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    async def stop(self) -> None:
        await self.http.aclose()
        if self.process:
            self.process.terminate()
            self.process.wait()

    async def ask(self, document: str, token: str | None = None, **variables: Any) -> dict[str, Any]:
        """For preparations; what is measured goes through benchmarks.load."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": document, "variables": variables}
        answer = (await self.http.post(self.url, json=body, headers=headers)).json()
        if "errors" in answer:
            raise SystemExit(f"the {self.name} answers with errors: {answer['errors'][:3]}\n{self.last_words()}")
        data: dict[str, Any] = answer["data"]
        return data

    def _slots(self, clinic: int, start: date, end: date, first: int) -> dict[str, Any]:
        window = {"from": start.isoformat(), "to": end.isoformat(), "first": first}
        return {"clinic": self.ids.clinics[clinic], "type": self.ids.visit_type, **window}

    def day_variables(self, provider: int, day: date) -> dict[str, Any]:
        clinic = self.population.place(provider, day)
        return {"provider": self.ids.providers[provider], **self._slots(clinic, day, day, 50)}

    def page_variables(self, clinic: int, start: date, end: date, first: int = 10) -> dict[str, Any]:
        return self._slots(clinic, start, end, first)

    def day(self, provider: int, day: date) -> bytes:
        return request({"query": self.day_document, "variables": self.day_variables(provider, day)})

    def page(self, clinic: int, start: date, end: date) -> bytes:
        return request({"query": self.page_document, "variables": self.page_variables(clinic, start, end)})

    def booking(self, slot: Bookable, patient: int, key: str) -> bytes:
        body = {"query": BOOK, "variables": {"input": self.input(slot.slot_id, patient, key)}}
        return request(body, self.ids.tokens.get(patient))

    async def bookable(self, clinics: Iterable[int], day: date, first: int) -> dict[int, list[Bookable]]:
        """Open times by provider number."""
        found = {}
        for clinic in clinics:
            data = await self.ask(self.page_document, **self.page_variables(clinic, day, day, first))
            for edge in data["providers"]["edges"]:
                slots = [Bookable(s["id"], instant(s["startsAt"])) for s in edge["node"]["slots"]]
                if slots:
                    found[number(edge["node"]["name"])] = slots
        return found

    async def settled(self) -> None:
        """Once it works for nobody but who asks."""

    async def booked(self) -> tuple[int, int]:
        """Live appointments, and distinct times among them: a double booking makes the second smaller."""
        connection = await asyncpg.connect(self.database_url)
        try:
            row = await connection.fetchrow(self.appointments)
        finally:
            await connection.close()
        assert row
        return row[0], row[1]


class Reference(Rival):
    name = "reference"
    day_document = f"query Day($provider: ID!, {ARGUMENTS}) {{ provider(id: $provider) {{ id name {SLOTS} }} }}"
    appointments = "select count(*), count(distinct slot_id) from appointments where status = 'BOOKED'"

    def command(self) -> list[str]:
        quiet = ["--log-level", "warning", "--no-access-log"]
        return [sys.executable, "-m", "uvicorn", "benchmarks.reference.app:app", "--port", str(self.port), *quiet]

    async def fill(self) -> None:
        await filling.fill(self.database_url, self.population)

    async def find_ids(self) -> Ids:
        counts = (self.population.clinics, self.population.providers, self.population.patients)
        clinics, providers, patients = ({n: str(n) for n in range(1, count + 1)} for count in counts)
        return Ids(clinics, providers, patients, "1")

    def input(self, slot_id: str, patient: int, key: str) -> dict[str, Any]:
        return {"slotId": slot_id, "patientId": self.ids.patients[patient]}


class Product(Rival):
    name = "product"
    day_document = (
        f"query Day($provider: ID!, {ARGUMENTS}) {{ node(id: $provider) {{ ... on Provider {{ id name {SLOTS} }} }} }}"
    )
    appointments = """
    select count(*), count(distinct (provider_id, starts_at)) from appointments
    where status not in ('cancelled', 'entered-in-error')
    """

    def appointments_command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("appointments")), *arguments]

    def command(self) -> list[str]:
        return self.appointments_command("serve")

    async def fill(self) -> None:
        await asyncio.to_thread(self.tell, "migrate")
        await product.fill(self.database_url, self.population)

    def tell(self, *arguments: str) -> str:
        answer = subprocess.run(
            self.appointments_command(*arguments), env=self.environment, capture_output=True, text=True, check=False
        )
        if answer.returncode:
            raise SystemExit(f"appointments {arguments[0]} failed:\n{answer.stderr[-2000:]}")
        return answer.stdout

    async def find_ids(self) -> Ids:
        types = (await self.ask("{ visitTypes { id name } }"))["visitTypes"]
        visit_type = next(t["id"] for t in types if t["name"] == "Visit 1")
        everything = "first: 100, after: $after) { edges { node { id name } } pageInfo { hasNextPage endCursor } } }"
        clinics = await self._connection("clinics", "query ($after: String) { clinics(" + everything)
        providers = await self._connection("providers", "query ($after: String) { providers(" + everything)
        patients = {n: node(PATIENT, n) for n in range(1, self.population.patients + 1)}
        arguments = [part for id in patients.values() for part in ("--patient", id)]
        printed = await asyncio.to_thread(self.tell, "token", "--role", "patient", *arguments)
        tokens = dict(zip(patients, printed.split(), strict=True))
        return Ids(clinics, providers, patients, visit_type, tokens)

    async def _connection(self, name: str, document: str) -> dict[int, str]:
        found: dict[int, str] = {}
        after = None
        while True:
            page = (await self.ask(document, after=after))[name]
            found |= {number(edge["node"]["name"]): edge["node"]["id"] for edge in page["edges"]}
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]

    def input(self, slot_id: str, patient: int, key: str) -> dict[str, Any]:
        return {"slotId": slot_id, "idempotencyKey": key}

    async def settled(self) -> None:
        """What it reads ahead for itself after the start is none of a round's work."""
        assert self.process
        await self.settle(self.process)

    async def settle(self, started: subprocess.Popen[bytes]) -> None:
        process = psutil.Process(started.pid)
        process.cpu_percent()
        for _ in range(SETTLED_SECONDS_MAX):
            await asyncio.sleep(1)
            if process.cpu_percent() < SETTLED_PERCENT:
                return


class Plain(Product):
    """The same product on the same database, with every layer that keeps calendars switched off."""

    def __init__(self, product: Product) -> None:
        super().__init__(product.population, product.server_url, product.redis_url, product.folder / "plain")
        self.folder.mkdir(exist_ok=True)
        self.environment |= {"PROCESS_CALENDARS": "off", "CACHE": "off"}
        self.ids = product.ids

    async def find_ids(self) -> Ids:
        return self.ids


def number(name: str) -> int:
    found = re.search(r"\d+$", name)
    if found is None:
        raise ValueError(f"{name!r} ends with no number")
    return int(found[0])


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def in_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def new_database(database_url: str, name: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"drop database if exists {name} with (force)")
        await connection.execute(f"create database {name}")
    finally:
        await connection.close()

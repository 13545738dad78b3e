"""Books through the API with many clients at once, then holds what they were told against the database."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random
from time import perf_counter
from typing import Final
from urllib.parse import urlsplit

from adapters.postgres import hammering, verify
from adapters.postgres.database import Database
from adapters.postgres.hammering import Booked
from app.auth import development_token
from app.hammer.clients import Answer, Server, connected
from app.hammer.groups import Wanted, groups
from app.refusal import Refused
from app.settings import Settings
from domain import ids, zones

BOOKED: Final = "AppointmentBooked"
BUSY: Final = "PatientConflict"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    looked_at: int
    wrong: list[str]


@dataclass(frozen=True, slots=True)
class Report:
    """`latencies` in seconds, ascending. `faults`: what made single tries unknown; they were asked again."""

    groups: int
    clients: int
    attempts: int
    seconds: float
    latencies: list[float]
    told: Counter[str]
    faults: dict[str, int]
    checks: list[Check]

    @property
    def holds(self) -> bool:
        return not any(check.wrong for check in self.checks)

    def percentile(self, share: float) -> float:
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def endpoint(url: str) -> str:
    """Where GraphQL is served under `url`. Raises Refused where that is not this machine: a hammer is no toy."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    if parts.scheme not in ("http", "https") or not local:
        raise Refused(f"{url} is not on this machine: the hammer only books at a loopback address")
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path if path.endswith('/graphql') else path + '/graphql'}"


async def hammer(
    database: Database, settings: Settings, url: str, *, slots: int, clients: int, attempts: int, seed: int = 1
) -> Report:
    """`slots` groups, fought over one after the other by all the clients. The bookings stay."""
    server = connected(endpoint(url), clients)
    try:
        await server.answers()
        chosen = await groups(database.primary, min(slots, attempts))
        tokens = await _clients(database, settings, server, clients)
        before = await hammering.newest_appointment(database.primary)
        began = perf_counter()
        answers = await _attempts(server, chosen, tokens, attempts, Random(seed))
        seconds = perf_counter() - began
        booked = await hammering.booked_since(database.primary, before, list(tokens))
        checks = [_winners(len(chosen), answers), _told(answers, booked), _known(answers), *await _overlaps(database)]
    finally:
        await server.client.aclose()
    return Report(
        len(chosen), clients, len(answers), seconds, sorted(one.seconds for one in answers),
        Counter(one.told for one in answers), server.faults, checks,
    )  # fmt: skip


async def _clients(database: Database, settings: Settings, server: Server, count: int) -> dict[int, str]:
    """Tokens by patient; where there are too few patients, more are registered through the API."""
    keys = await hammering.patients(database.primary, count)
    clinic = await hammering.first_clinic(database.primary)
    if len(keys) < count and clinic is not None:
        token = development_token(settings, role="admin")
        clinic_id = ids.node(ids.CLINIC, clinic)
        made = [await server.register(number, clinic_id, token) for number in range(len(keys), count)]
        keys += [key for key in (ids.key(one, ids.PATIENT) for one in made) if key is not None]
    return {key: development_token(settings, role="patient", patient=ids.node(ids.PATIENT, key)) for key in keys}


async def _attempts(
    server: Server, chosen: list[list[Wanted]], tokens: dict[int, str], attempts: int, random: Random
) -> list[Answer]:
    """Every client takes the next attempt as soon as it has the answer to its last one."""
    work = _work(chosen, attempts, random)
    answers: list[Answer] = []

    async def client(patient_key: int, token: str) -> None:
        for group, slot_id in work:
            answers.append(await server.book(group, slot_id, patient_key, token))

    async with asyncio.TaskGroup() as running:
        for patient_key, token in tokens.items():
            running.create_task(client(patient_key, token))
    return answers


def _work(chosen: list[list[Wanted]], attempts: int, random: Random) -> Iterator[tuple[int, str]]:
    for number in range(attempts):
        group = number * len(chosen) // attempts
        yield group, random.choice(chosen[group]).slot.id


def _winners(count: int, answers: list[Answer]) -> Check:
    """Groups that only patients with another appointment at that time tried for may stay free."""
    won = Counter(one.group for one in answers if one.told == BOOKED)
    tried = {one.group for one in answers if one.told not in (BUSY, UNKNOWN)}
    wrong = [f"group {group} has {won[group]} winners" for group in range(count) if won[group] > 1]
    wrong += [f"group {group} has no winner" for group in sorted(tried) if not won[group]]
    return Check("one winner for each group of slots", count, wrong)


def _told(answers: list[Answer], booked: list[Booked]) -> Check:
    """Both ways: who was told of a booking has it, at that time; who has one was told."""
    told = {
        (ids.key(one.appointment_id, ids.APPOINTMENT), one.patient_key, one.slot_id)
        for one in answers
        if one.appointment_id is not None
    }
    have = {(one.key, one.patient_key, _slot_id(one)) for one in booked}
    wrong = [f"appointment {key} was told and is not there" for key, _, _ in sorted(told - have, key=str)]
    wrong += [f"appointment {key} is there and was not told" for key, _, _ in sorted(have - told, key=str)]
    return Check("what each client was told agrees with the database", len(told | have), wrong)


def _slot_id(one: Booked) -> str:
    start = zones.minutes(one.starts_at)
    return str(ids.SlotKey(one.provider_key, one.clinic_key, one.visit_type_key, start))


def _known(answers: list[Answer]) -> Check:
    wrong = [f"group {one.group}: unknown after {one.tries} tries" for one in answers if one.told == UNKNOWN]
    return Check("every outcome is known at last", len(answers), wrong)


async def _overlaps(database: Database) -> list[Check]:
    """The first promises of `verify`, over the whole database."""
    wanted = {verify.OVERLAPS, verify.PATIENTS, verify.APPOINTMENTS_OWN}
    async with database.snapshot(primary=True) as tx:
        return [
            Check(finding.rule, finding.looked_at, finding.examples)
            async for finding in verify.findings(tx)
            if verify.RULES[finding.rule] in wanted
        ]

"""The hammer's clients: each a patient with a token, booking over HTTP. An unknown outcome is asked again with its key."""

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

import httpx2

from app.refusal import Refused

BOOK: Final = """
mutation Book($input: BookAppointmentInput!) {
  bookAppointment(input: $input) { __typename ... on AppointmentBooked { appointment { id } } }
}
"""
REGISTER: Final = """
mutation Register($input: RegisterPatientInput!) {
  registerPatient(input: $input) { __typename ... on PatientRegistered { patient { id } } }
}
"""
AGAIN: Final = frozenset({"REQUEST_IN_PROGRESS", "UNAVAILABLE", "TIMEOUT", "RATE_LIMITED", "INTERNAL"})
SECONDS: Final = 15.0
TRIES: Final = 12


@dataclass(slots=True)
class Answer:
    """What one attempt was told at last: a type of the schema, or `unknown`. `seconds`: with all the tries."""

    group: int
    slot_id: str
    patient_key: int
    told: str
    appointment_id: str | None
    seconds: float
    tries: int


@dataclass(slots=True)
class Server:
    """`faults`: what made tries unknown, and how often."""

    client: httpx2.AsyncClient
    url: str
    faults: dict[str, int] = field(default_factory=dict)

    async def answers(self) -> None:
        """Raises Refused where no server does."""
        try:
            response = await self.client.post(self.url, json={"query": "{ __typename }"})
            fine = response.status_code == 200
        except httpx2.HTTPError as error:
            raise Refused(f"no server answers at {self.url}: {type(error).__name__}") from error
        if not fine:
            raise Refused(f"{self.url} answers {response.status_code}")

    async def ask(
        self, query: str, given: dict[str, Any], token: str, field_name: str
    ) -> tuple[dict[str, Any] | None, int]:
        """The field's value and how many tries it took; None where the outcome stayed unknown."""
        headers = {"Authorization": f"Bearer {token}"}
        for attempt in range(1, TRIES + 1):
            try:
                response = await self.client.post(
                    self.url, json={"query": query, "variables": {"input": given}}, headers=headers
                )
                body = response.json()
                data, errors = body.get("data"), body.get("errors")
            except (httpx2.HTTPError, ValueError) as error:
                self._failed(type(error).__name__)
            else:
                if data and data.get(field_name) is not None:
                    return data[field_name], attempt
                code = (errors or [{}])[0].get("extensions", {}).get("code", f"HTTP {response.status_code}")
                if code not in AGAIN and response.status_code < 500:
                    raise Refused(f"the server refuses the request: {code} {(errors or [{}])[0].get('message', '')}")
                self._failed(code)
            await asyncio.sleep(min(2.0, 0.05 * 2**attempt))
        return None, TRIES

    def _failed(self, why: str) -> None:
        self.faults[why] = self.faults.get(why, 0) + 1

    async def book(self, group: int, slot_id: str, patient_key: int, token: str) -> Answer:
        given = {"slotId": slot_id, "idempotencyKey": f"hammer-{uuid4()}"}
        began = perf_counter()
        value, tries = await self.ask(BOOK, given, token, "bookAppointment")
        took = perf_counter() - began
        told = "unknown" if value is None else value["__typename"]
        appointment = value["appointment"]["id"] if value is not None and told == "AppointmentBooked" else None
        return Answer(group, slot_id, patient_key, told, appointment, took, tries)

    async def register(self, number: int, clinic_id: str, token: str) -> str:
        """A new patient's id, where there are fewer patients than clients."""
        given = {
            "name": f"Hammer Client {number}",
            "clinicId": clinic_id,
            "confirmedNew": True,
            "idempotencyKey": f"hammer-{uuid4()}",
        }
        value, _ = await self.ask(REGISTER, given, token, "registerPatient")
        if value is None or value["__typename"] != "PatientRegistered":
            raise Refused(f"patients for the clients can't be registered: {value and value['__typename']}")
        found: str = value["patient"]["id"]
        return found


def connected(url: str, clients: int) -> Server:
    limits = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)
    return Server(httpx2.AsyncClient(timeout=SECONDS, limits=limits, trust_env=False), url)

"""A process of its own that books through the services as fast as it can, and writes down what was acknowledged.

Run as `python -m tests.services.booker DATABASE_URL FILE PROVIDERS CLINIC TYPE PATIENTS FIRST`. FILE gets one JSON line before each
call and one after its acknowledgement, on disk before the next begins: what a caller knows when everything is killed.
"""

import asyncio
import json
import os
import sys
from datetime import timedelta
from typing import Any

from adapters.postgres.database import pool
from domain.access import Role, Viewer
from domain.faults import RequestInProgress, Unavailable
from domain.outcomes import AppointmentBooked
from tests.world import MONDAY, World, slot_id

AT_ONCE = 8
HALF_HOURS = 48


def slot_of(number: int, providers: list[int], clinic: int, kind: int) -> str:
    """The time that booking `number` asks for: each its own."""
    day, rest = divmod(number, HALF_HOURS * len(providers))
    provider, half_hour = divmod(rest, HALF_HOURS)
    at = MONDAY + timedelta(days=2 + day, minutes=30 * half_hour)
    return slot_id(providers[provider], clinic, kind, at)


def patient_of(number: int, patients: list[int]) -> Viewer:
    key = patients[number % len(patients)]
    return Viewer(Role.PATIENT, f"patient-{key}", key, frozenset(), "crash")


class Diary:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, **line: Any) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


async def book(
    url: str, diary: Diary, providers: list[int], clinic: int, kind: int, patients: list[int], first: int
) -> None:
    numbers = iter(range(first, first + 1_000_000))
    opened = None
    while opened is None:
        try:
            opened = await pool(url, size=AT_ONCE)
        except Exception:  # the server is being killed and started: any fault at all is possible here
            await asyncio.sleep(0.05)
    world = World.on(opened)

    async def one_after_another() -> None:
        for number in numbers:
            diary.write(asked=number)
            try:
                answer = await world.booking.book(
                    patient_of(number, patients),
                    slot_of(number, providers, clinic, kind),
                    None,
                    None,
                    f"crash-{number}",
                )
            except (Unavailable, RequestInProgress) as error:
                diary.write(unknown=number, why=str(error))
                await asyncio.sleep(0.1)
                continue
            assert isinstance(answer, AppointmentBooked), answer
            diary.write(acknowledged=number, appointment=answer.appointment.key)

    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))


def main() -> None:
    url, path, providers, clinic, kind, patients, first = sys.argv[1:]
    arguments = json.loads(providers), int(clinic), int(kind), json.loads(patients), int(first)
    asyncio.run(book(url, Diary(path), *arguments))


if __name__ == "__main__":
    main()

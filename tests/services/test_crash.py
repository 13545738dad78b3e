"""PostgreSQL and the booking process killed under load: nothing acknowledged is lost, nothing is half there, a key tells.

SIGKILL does not test a power cut: the system's page cache survives it. fsync, full_page_writes and synchronous_commit are on.
"""

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil  # type: ignore[import-untyped]
import pytest

from adapters.postgres.database import pool
from adapters.postgres.migrations import migrate
from app.embedded import postgres
from app.embedded.owner import find_owner
from app.embedded.processes import identity, marked
from domain.outcomes import AppointmentBooked
from tests import sizes
from tests.proofs import proof
from tests.services.booker import patient_of, slot_of
from tests.world import HALF_WRITTEN, MONDAY, OVERLAPS, World

ROOT = Path(__file__).parents[2]


class Scene:
    """A durable PostgreSQL of the test's own and a booking process beside it; both can be killed."""

    def __init__(self, folder: Path) -> None:
        program = postgres.programs() / "postgres"
        owner = find_owner(folder, [program])
        owner.give(folder / "sockets", 0o700)
        self.folder, self.diary = folder, folder / "diary"
        self.server = postgres.Postgres(folder, folder / "sockets", owner, durable=True)
        self.booker: asyncio.subprocess.Process | None = None
        self.first = 0

    async def begin(self) -> None:
        await self.server.start()
        await migrate(self.server.url)
        opened = await pool(self.server.url, size=1)
        world = World.on(opened)
        await world.clock(MONDAY)
        self.clinic = await world.clinic("UTC")
        self.kind = await world.visit_type(30, every=30, notice=0, days=700)
        self.providers = [await world.provider([self.clinic], [self.kind], opens=0, closes=1440) for _ in range(4)]
        # One patient for each time of day and provider, so that nobody is wanted in two places.
        self.patients = [who.patient_key or 0 for who in await world.patients(4 * 48)]
        await opened.close()

    async def start_booker(self) -> None:
        arguments = [
            self.server.url, str(self.diary), json.dumps(self.providers), str(self.clinic), str(self.kind),
            json.dumps(self.patients), str(self.first),
        ]  # fmt: skip
        with (self.folder / "booker.log").open("ab") as log:
            self.booker = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.services.booker", *arguments, cwd=ROOT, stderr=log
            )

    async def kill_booker(self) -> None:
        assert self.booker is not None
        assert self.booker.returncode is None, (self.folder / "booker.log").read_text()[-2000:]
        self.booker.kill()
        await self.booker.wait()
        self.first = max((line["asked"] for line in self.lines() if "asked" in line), default=-1) + 1

    async def kill_postgres(self) -> None:
        """The postmaster and every one of its processes, at once."""
        main = psutil.Process(self.server._process.pid)  # type: ignore[union-attr]
        family = [main, *main.children(recursive=True)]
        for one in family:
            try:
                one.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        await asyncio.to_thread(self.server._process.wait)  # type: ignore[union-attr]
        await self.server.start()

    async def kill_a_backend(self) -> None:
        """One backend alone: the server restarts all the others by itself."""
        main = psutil.Process(self.server._process.pid)  # type: ignore[union-attr]
        backends = [one for one in main.children() if "appointments postgres" in " ".join(one.cmdline())]
        assert backends
        random.choice(backends).send_signal(signal.SIGKILL)

    def lines(self) -> list[dict[str, Any]]:
        found = []
        for text in self.diary.read_text().splitlines():
            try:
                found.append(json.loads(text))
            except ValueError:
                continue  # cut off by the kill
        return found

    def acknowledged(self) -> dict[int, int]:
        return {line["acknowledged"]: line["appointment"] for line in self.lines() if "acknowledged" in line}

    async def work(self, seconds: float) -> None:
        """Lets the load go on until it has got somewhere."""
        before = len(self.acknowledged()) if self.diary.exists() else 0
        await asyncio.sleep(seconds)
        for _ in range(400):
            if self.diary.exists() and len(self.acknowledged()) > before + 20:
                return
            await asyncio.sleep(0.05)
        pytest.fail(f"no bookings any more: {(self.folder / 'booker.log').read_text()[-2000:]}")


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="crash-") as name:
        os.chmod(name, 0o711)
        found = Scene(Path(name))
        await found.begin()
        try:
            yield found
        finally:
            if found.booker is not None and found.booker.returncode is None:
                await found.kill_booker()
            await found.server.stop()
            mark = identity(Path(name) / "postgres")
            assert not list(marked("postgres", mark))


@pytest.mark.prove
@pytest.mark.timeout(900)
async def test_killed_under_load_nothing_acknowledged_is_lost(scene: Scene) -> None:
    rng = random.Random(7)
    await scene.start_booker()
    kills = (
        ["postgres"] * sizes.KILLS_OF_POSTGRES
        + ["booker"] * sizes.KILLS_OF_BOOKER
        + ["backend"] * sizes.KILLS_OF_BACKENDS
    )
    rng.shuffle(kills)
    for kill in kills:
        await scene.work(rng.uniform(0.2, 0.6))
        if kill == "postgres":
            await scene.kill_postgres()
        elif kill == "backend":
            await scene.kill_a_backend()
        else:
            await scene.kill_booker()
            await scene.start_booker()
    await scene.work(0.2)
    await scene.kill_booker()
    await _judge(scene, kills)


async def _all(scene: Scene, statement: str) -> list[Any]:
    """Looks at everything there is, without the time-outs that the product's own connections have."""
    connection = await asyncpg.connect(scene.server.url)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


async def _judge(scene: Scene, kills: list[str]) -> None:
    lines, acknowledged = scene.lines(), scene.acknowledged()
    asked = {line["asked"] for line in lines if "asked" in line}
    opened = await pool(scene.server.url, size=4)
    try:
        world = World.on(opened)
        stored = {row["key"]: row["outcome"] for row in await world.fetch("SELECT key, outcome FROM idempotency")}
        lost = [number for number in acknowledged if f"crash-{number}" not in stored]
        assert lost == []
        half = await _all(scene, HALF_WRITTEN)
        assert all(stored[f"crash-{number}"]["appointment"] == key for number, key in acknowledged.items())
        assert half == []
        assert await _all(scene, OVERLAPS) == []
        assert await world.value("SELECT count(*) FROM appointments") == len(stored)
        # Whoever does not know asks again with the same key: exactly one booking each, whatever had happened.
        unknown = sorted(asked - set(acknowledged))
        had_happened = sum(f"crash-{number}" in stored for number in unknown)
        for number in unknown:
            slot = slot_of(number, scene.providers, scene.clinic, scene.kind)
            who = patient_of(number, scene.patients)
            answer = await world.booking.book(who, slot, None, None, f"crash-{number}")
            assert isinstance(answer, AppointmentBooked), (number, answer)
            before = stored.get(f"crash-{number}")
            assert before is None or before["appointment"] == answer.appointment.key
        assert await world.value("SELECT count(*) FROM appointments") == len(asked)
        assert await world.value("SELECT count(DISTINCT (provider_id, starts_at)) FROM appointments") == len(asked)
        assert await _all(scene, HALF_WRITTEN) == []
    finally:
        await opened.close()
    proof(
        "killed under load (SIGKILL)", kills_of_postgres=kills.count("postgres"), kills_of_one_backend=kills.count("backend"),
        kills_of_the_booking_process=kills.count("booker"), acknowledged=len(acknowledged), lost=len(lost), half_written=len(half),
        unknown_outcomes=len(unknown), of_them_had_happened=had_happened, resolved_by_the_same_key=len(unknown),
    )  # fmt: skip

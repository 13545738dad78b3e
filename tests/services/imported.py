"""For tests of imports: a database to import into, what it then holds, and small feeds."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from adapters.postgres import database
from adapters.postgres.database import Database
from domain import feeds
from domain.imports import BATCH_ROWS, Report
from services.imports.clinics import import_clinics
from services.imports.providers import import_providers
from services.imports.slots import import_slots

# In the order in which nothing is referred to before it is there; the clock and the epoch do not change.
TABLES = (
    "resources", "clinics", "visit_types", "providers", "provider_clinics", "provider_visit_types", "openings", "allocations",
    "appointments", "outbox",
)  # fmt: skip

GAPS = """
SELECT r.id, r.version, told.versions FROM resources AS r
LEFT JOIN (SELECT resource_id, count(DISTINCT resource_version) AS versions FROM outbox GROUP BY 1) AS told
    ON told.resource_id = r.id
WHERE coalesce(told.versions, 0) <> r.version
"""
LARGEST_COMMIT = (
    "SELECT max(rows) FROM (SELECT xmin::text, count(*) AS rows FROM ({}) AS written GROUP BY 1) AS commits".format(
        " UNION ALL ".join(f"SELECT xmin FROM {table}" for table in TABLES)
    )
)


def _ignore(_done: int, _total: int) -> None:
    pass


@dataclass
class Imported:
    """What an import said."""

    said: list[str] = field(default_factory=list)
    report: Report = field(init=False)

    def __post_init__(self) -> None:
        self.report = Report(self.said.append)

    @property
    def refused(self) -> list[str]:
        return [line for line in self.said if not line.startswith("warning: ")]

    @property
    def warnings(self) -> list[str]:
        return [line for line in self.said if line.startswith("warning: ")]

    def __getitem__(self, what: str) -> int:
        return self.report.counts.get(what, 0)


@dataclass(frozen=True)
class Store:
    database: Database

    async def clinics(
        self, data: str | bytes, *, file: str = "c.csv", dry_run: bool = False, source: str = ""
    ) -> Imported:
        done = Imported()
        raw = data if isinstance(data, bytes) else data.encode()
        await import_clinics(self.database, raw, file, done.report, source=source, dry_run=dry_run, progress=_ignore)
        return done

    async def providers(
        self, data: str | bytes, places: str | bytes | None = None, *, dry_run: bool = False, create: bool = False
    ) -> Imported:
        done = Imported()
        raw, more = (one.encode() if isinstance(one, str) else one for one in (data, places))
        await import_providers(
            self.database,
            raw or b"",
            "p.csv",
            done.report,
            places=None if more is None else (more, "places.csv"),
            create_places=create,
            dry_run=dry_run,
            progress=_ignore,
        )
        return done

    async def slots(
        self, manifest: Path | str, *, progress: Any = _ignore, dry_run: bool = False, **how: Any
    ) -> Imported:
        done = Imported()
        await import_slots(self.database, str(manifest), done.report, dry_run=dry_run, progress=progress, **how)
        return done

    async def rows(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = await self.database.primary.fetch(statement, *arguments)
        return found

    async def value(self, statement: str, *arguments: Any) -> Any:
        return await self.database.primary.fetchval(statement, *arguments)

    async def dump(self) -> dict[str, list[str]]:
        """Every row of every table that an import could touch."""
        return {
            table: sorted(row[0] for row in await self.rows(f"SELECT t::text FROM {table} AS t")) for table in TABLES
        }

    async def sound(self) -> None:
        """What must hold whatever was imported: gapless versions that were told to somebody, and no long commit."""
        assert not await self.rows(GAPS)
        assert await self.value(LARGEST_COMMIT) <= BATCH_ROWS


@asynccontextmanager
async def stored_at(url: str) -> AsyncIterator[Store]:
    pools = Database(await database.pool(url, size=4))
    try:
        yield Store(pools)
    finally:
        await pools.close()


@dataclass
class Feed:
    """A bulk publication that a test writes: two places in New Jersey, a schedule each, and the slots it wants."""

    folder: Path
    locations: list[Any] = field(default_factory=list)
    schedules: list[Any] = field(default_factory=list)
    slots: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, zip_code in (("1", "8332-3762"), ("2", "8046-1109")):
            self.locations.append(location(name, zip_code))
            self.schedules.append(schedule(name))

    def write(self, **manifest: Any) -> Path:
        """Writes all files; lines that are bytes go in as they are."""
        kinds = {"Location": self.locations, "Schedule": self.schedules, "Slot": self.slots}
        for kind, lines in kinds.items():
            raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
            (self.folder / f"{kind.lower()}s.ndjson").write_bytes(b"\n".join(raw) + b"\n")
        found = {
            "request": "https://feed.test/$bulk-publish",
            "output": [{"type": kind, "url": f"{kind.lower()}s.ndjson"} for kind in kinds],
        }
        path = self.folder / "manifest.json"
        path.write_text(json.dumps(found | manifest))
        return path

    def file(self, name: str) -> str:
        return str(self.folder / name)


def location(name: str, zip_code: str, **changed: Any) -> dict[str, Any]:
    return {
        "resourceType": "Location",
        "id": name,
        "name": f"Place {name}",
        "telecom": [{"system": "phone", "value": "(856) 825-7742"}],
        "address": {"line": [f"{name} High Street"], "city": "Millville", "state": "NJ", "postalCode": zip_code},
    } | changed


def schedule(name: str, **changed: Any) -> dict[str, Any]:
    service = {"coding": [{"system": "urn:x", "code": "flu", "display": "Flu shot"}]}
    actor = [{"reference": f"Location/{name}"}]
    return {"resourceType": "Schedule", "id": name, "serviceType": [service], "actor": actor} | changed


def slot(
    start: str, end: str, *, of: str = "1", capacity: int | None = None, status: str = "free", **changed: Any
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "resourceType": "Slot",
        "id": "the same for all",
        "schedule": {"reference": f"Schedule/{of}"},
        "status": status,
        "start": start,
        "end": end,
    }
    if capacity is not None:
        found["extension"] = [{"url": feeds.CAPACITY, "valueInteger": capacity}]
    return found | changed

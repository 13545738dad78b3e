"""The register's real providers at their real places, with made-up kinds of visit, hours and taken times."""

import os
from pathlib import Path

import asyncpg

from adapters.postgres import database as postgres
from adapters.postgres.database import Database
from adapters.postgres.migrations import migrate
from domain.imports import Report
from services.imports.providers import import_providers

PEOPLE, PLACES = "providers/nppes_individuals_5000.csv", "providers/cms_provider_locations_9685.csv"
VISIT_TYPES = """
insert into visit_types (name, duration_minutes, start_every_minutes, minimum_notice_minutes, modality)
values ('New patient', 45, 15, 120, 'in-person'), ('Follow-up', 15, null, 60, 'in-person'), ('Check-up', 30, null, 60, 'in-person'),
    ('Video visit', 20, null, 30, 'video'), ('Phone call', 10, null, 30, 'phone'), ('Procedure', 60, 30, 1440, 'in-person')
"""
OFFERED = """
insert into provider_visit_types (provider_id, visit_type_id)
select p.id, t.id from providers p cross join visit_types t where (hashint8(p.id * 31 + t.id) & 1) = 0 or t.name = 'Follow-up'
"""
SCHEDULES = "insert into schedules (provider_id, clinic_id) select provider_id, clinic_id from provider_clinics"
# Who works at several clinics works at each on weekdays of its own, as far as the week goes.
HOURS = """
insert into weekly_hours (provider_id, clinic_id, weekday, opens, closes)
select provider_id, clinic_id, weekday, 480 + opens, 960 + opens
from (
    select provider_id, clinic_id, row_number() over (partition by provider_id order by clinic_id) - 1 as place,
        count(*) over (partition by provider_id) as places, hashint8(provider_id) & 7 as shift
    from provider_clinics
) as w
cross join generate_series(0, 4) as weekday cross join lateral (select (shift * 15)::integer as opens) as o
where weekday % least(places, 5) = place % 5
"""
# Seven of ten hours of the next days, four of ten later on.
TAKEN = """
insert into allocations (resource_id, starts_at, ends_at, state)
select p.id, hour, hour + interval '1 hour', 'blocked'
from providers p
cross join generate_series(date_trunc('hour', now()), now() + interval '14 days', interval '1 hour') as hour
where extract(hour from hour) between 12 and 23 and extract(isodow from hour) < 6
    and (hashint8(p.id * 1000003 + extract(epoch from hour)::bigint / 3600) & 15)
        < case when hour < now() + interval '4 days' then 11 else 6 end
"""


class NoRegister(Exception):
    """Says why."""


def data() -> Path:
    folder = os.environ.get("APPOINTMENTS_DATA")
    if not folder or not (Path(folder) / PEOPLE).is_file():
        raise NoRegister("search is not measured: APPOINTMENTS_DATA does not say where the register's files are")
    return Path(folder)


async def fill(database_url: str) -> int:
    """How many pairs of a provider and a clinic there are."""
    folder = data()
    await migrate(database_url)
    database = Database(await postgres.pool(database_url, size=2))
    try:
        places = ((folder / PLACES).read_bytes(), PLACES)
        report = Report(lambda _line: None)
        await import_providers(
            database, (folder / PEOPLE).read_bytes(), PEOPLE, report, places=places, create_places=True, dry_run=False,
            progress=lambda _done, _all: None,
        )  # fmt: skip
    finally:
        await database.close()
    connection = await asyncpg.connect(database_url)
    try:
        for statement in (VISIT_TYPES, OFFERED, SCHEDULES, HOURS, TAKEN, "vacuum analyze"):
            await connection.execute(statement)
        count: int = await connection.fetchval("select count(*) from provider_clinics")
        return count
    finally:
        await connection.close()

"""The product's own database filled with the benchmark's population: hours as rules, taken times as allocations."""

import asyncpg

from benchmarks.population import MINUTES, OPENS, STARTS_A_DAY, TAKEN, Population, load_working_days

OPENS_AT = OPENS.hour * 60 + OPENS.minute
CLOSES_AT = OPENS_AT + MINUTES * STARTS_A_DAY

CLINICS = """
insert into clinics (name, time_zone, city, region, country)
select name, zone, 'Springfield', 'IL', 'US' from unnest($1::text[], $2::text[]) with ordinality as c(name, zone, n)
order by n
"""
VISIT_TYPES = f"""
insert into visit_types (name, duration_minutes, start_every_minutes, minimum_notice_minutes)
select 'Visit ' || n, {MINUTES} * n, {MINUTES}, 0 from generate_series(1, 8) n
"""
RESOURCES = "insert into resources (kind) select 'provider' from generate_series(1, $1::int)"
PROVIDERS = (
    "insert into providers (id, name) select n, 'Provider ' || lpad(n::text, 5, '0') from generate_series(1, $1::int) n"
)
OFFERED = """
insert into provider_visit_types (provider_id, visit_type_id)
select p, t from generate_series(1, $1::int) p cross join generate_series(1, 3) t
"""
PLACES = "insert into provider_clinics (provider_id, clinic_id) select * from unnest($1::bigint[], $2::bigint[])"
SCHEDULES = "insert into schedules (provider_id, clinic_id) select provider_id, clinic_id from provider_clinics"
HOURS = f"""
insert into weekly_hours (provider_id, clinic_id, weekday, opens, closes)
select *, {OPENS_AT}, {CLOSES_AT} from unnest($1::bigint[], $2::bigint[], $3::smallint[])
"""
PATIENTS = "insert into patients (name) select 'Patient ' || lpad(n::text, 5, '0') from generate_series(1, $1::int) n"
REGISTERED = "insert into patient_clinics (patient_id, clinic_id) select id, (id - 1) % $1::int + 1 from patients"
BUSY = f"""
insert into allocations (resource_id, starts_at, ends_at, state)
select provider_id, opens_at + k * interval '{MINUTES} minutes', opens_at + (k + 1) * interval '{MINUTES} minutes', 'blocked'
from working_days cross join generate_series(0, {STARTS_A_DAY - 1}) k
where {TAKEN}
order by provider_id, local_date, k
"""


async def fill(database_url: str, population: Population) -> None:
    """Ids come out as the population's numbers, since the database is new."""
    connection = await asyncpg.connect(database_url)
    try:
        clinics = range(1, population.clinics + 1)
        places = [(n, place) for n in range(1, population.providers + 1) for place in population.places(n)]
        hours = [(*place, weekday) for number, place in enumerate(places) for weekday in range(number % 2, 7, 2)]
        await connection.execute(CLINICS, [f"Clinic {n:04}" for n in clinics], [population.zone(n) for n in clinics])
        await connection.execute(VISIT_TYPES)
        await connection.execute(RESOURCES, population.providers)
        await connection.execute(PROVIDERS, population.providers)
        await connection.execute(OFFERED, population.providers)
        await connection.execute(PLACES, *map(list, zip(*places, strict=True)))
        await connection.execute(SCHEDULES)
        await connection.execute(HOURS, *map(list, zip(*hours, strict=True)))
        await connection.execute(PATIENTS, population.patients)
        await connection.execute(REGISTERED, population.clinics)
        await load_working_days(connection, population)
        await connection.execute(BUSY)
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()

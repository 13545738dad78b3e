"""Tables and rows of the reference: one slot row for each start of each provider and day."""

from pathlib import Path

import asyncpg

from benchmarks.population import MINUTES, STARTS_A_DAY, TAKEN, Population, load_working_days

TABLES = (Path(__file__).parent / "tables.sql").read_text()

SLOTS = f"""
insert into slots (provider_id, clinic_id, visit_type_id, local_date, starts_at, ends_at, status)
select provider_id, clinic_id, 1, local_date,
       opens_at + k * interval '{MINUTES} minutes', opens_at + (k + 1) * interval '{MINUTES} minutes',
       case when {TAKEN} then 'BUSY' else 'FREE' end
from working_days cross join generate_series(0, {STARTS_A_DAY - 1}) k
order by provider_id, local_date, k
"""

# Made after the rows, as one would after a bulk load.
INDEXES = """
create unique index one_slot_at_a_time on slots (provider_id, starts_at);
create index free_slots on slots (provider_id, local_date, starts_at) where status = 'FREE';
"""


async def fill(database_url: str, population: Population) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(TABLES)
        clinics = range(1, population.clinics + 1)
        providers = range(1, population.providers + 1)
        await connection.copy_records_to_table(
            "clinics", records=[(n, f"Clinic {n:04}", population.zone(n)) for n in clinics]
        )
        await connection.copy_records_to_table(
            "visit_types", records=[(n, f"Visit {n}", MINUTES * n) for n in range(1, 9)]
        )
        await connection.copy_records_to_table("providers", records=[(n, f"Provider {n:05}") for n in providers])
        await connection.copy_records_to_table(
            "provider_clinics", records=[(n, place) for n in providers for place in population.places(n)]
        )
        await connection.copy_records_to_table(
            "patients", records=[(n, f"Patient {n:05}") for n in range(1, population.patients + 1)]
        )
        await load_working_days(connection, population)
        await connection.execute(SLOTS)
        await connection.execute(INDEXES)
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()

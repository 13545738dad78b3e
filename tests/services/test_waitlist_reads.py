"""What is read of a waitlist stays as small as what is shown, however much happened at the clinic."""

from datetime import UTC, datetime
from typing import Any

from adapters.postgres import decisions, waitlist
from domain.waitlist import EntryStatus
from tests.services.waiters import Place, place
from tests.world import World, new_key

FEW, MANY = 20, 3_000
BEFORE_ALL = (-1, datetime(1970, 1, 1, tzinfo=UTC), 0)
ALL_WAITING = ["active", "offered", "suspended"]
# Like those of the clinic, but of another provider, or of a time when these entries no longer waited: none of them is in it.
OTHER_DECISIONS = """
INSERT INTO waitlist_decisions (cascade_id, clinic_id, provider_id, at, rule_version, freed, starts, entry_ids, marks, ranks,
    places, rest)
SELECT 0, d.clinic_id, $2, app_now() + g * interval '1 millisecond', d.rule_version, d.freed, d.starts,
    ARRAY(SELECT e + 1000000 FROM generate_series(1, 500) AS e), d.marks, d.ranks, d.places, d.rest
FROM (SELECT * FROM waitlist_decisions WHERE clinic_id = $1 ORDER BY id LIMIT 1) AS d, generate_series(1, $3::integer) AS g
"""
FULFILLED = """
INSERT INTO waitlist_entries (status, patient_id, clinic_id, visit_type_id, first_date, last_date, notice_minutes, joined_at)
SELECT 'fulfilled', patient_id, clinic_id, visit_type_id, first_date, last_date, 0, joined_at - g * interval '1 second'
FROM (SELECT * FROM waitlist_entries WHERE id = $1) AS e, generate_series(1, $2::integer) AS g
"""


async def blocks(world: World, statement: str, *values: Any) -> int:
    """How many pages a statement reads, toast included, by the plan that serves all values, as in the services."""
    given = ", ".join(f"'{_text(value)}'" for value in values)
    async with world.database.primary.acquire() as connection:
        await connection.execute(f"PREPARE explained AS {statement}")
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS) EXECUTE explained ({given})")
        await connection.execute("DEALLOCATE explained")
    plan = "\n".join(row[0] for row in rows)
    first = next(line for line in plan.splitlines() if "Buffers: shared" in line)
    return sum(int(part.partition("=")[2]) for part in first.split() if part.startswith(("hit=", "read=")))


def _text(value: Any) -> str:
    return f"{{{','.join(map(str, value))}}}" if isinstance(value, list) else str(value)


async def receipts_read(world: World, keys: list[int]) -> int:
    return await blocks(world, decisions.RECEIPTS, keys, 20)


async def waited(world: World) -> tuple[Place, list[int]]:
    """Of FEW who wait one was offered a time."""
    here = await place(world)
    entries = await here.wait(how_many=FEW)
    await here.cancel(await here.booked())
    return here, [one.key for one in entries]


async def test_receipts_do_not_read_what_was_decided_about_other_providers(world: World) -> None:
    here, keys = await waited(world)
    other = await world.provider([here.clinic], [await world.visit_type(60)])
    await world.run(OTHER_DECISIONS, here.clinic, other, 1)
    before = await receipts_read(world, keys)
    await world.run(OTHER_DECISIONS, here.clinic, other, MANY)
    assert await receipts_read(world, keys) < before * 2
    found = await decisions.receipts(world.database.primary, keys, 20)
    assert [len(found[key]) for key in keys] == [1] * FEW


async def test_receipts_of_who_no_longer_waits_do_not_read_what_was_decided_since(world: World) -> None:
    here, keys = await waited(world)
    left = (await waitlist.entries(world.database.primary, keys))[keys[-1]]
    await world.waiting.leave(here.who(left.patient_key), left.id, new_key())
    offer = await here.only()
    await here.accepted(offer)
    some = [keys[-1], offer.offer.entry_key]
    before = await receipts_read(world, some)
    await world.wait(seconds=1)
    await world.run(OTHER_DECISIONS, here.clinic, here.provider, MANY)
    assert await receipts_read(world, some) < before * 2
    found = await decisions.receipts(world.database.primary, some, 20)
    assert [len(found[key]) for key in some] == [1, 1]


async def test_whose_last_date_has_passed_is_noted_as_ended(world: World) -> None:
    here, keys = await waited(world)
    await world.wait(days=40)
    while await world.sweeping.expire_entries():
        pass
    ended = (
        "SELECT count(*) FROM waitlist_entries WHERE clinic_id = $1 AND status = 'expired' AND ended_at <= app_now()"
    )
    assert await world.value(ended, here.clinic) >= len(keys) - 1


async def test_who_waits_is_read_without_who_waited_once(world: World) -> None:
    here = await place(world)
    first, *_ = await here.wait(how_many=3)
    asked = here.clinic, ALL_WAITING, *BEFORE_ALL, 51
    before = await blocks(world, waitlist.WAITING_AT_CLINIC, *asked)
    await world.run(FULFILLED, first.key, MANY)
    assert await blocks(world, waitlist.WAITING_AT_CLINIC, *asked) < before * 2
    found = await waitlist.at_clinic(world.database.primary, here.clinic, ALL_WAITING, BEFORE_ALL, 51)
    assert [one.status for one in found] == [EntryStatus.ACTIVE] * 3
    over = await waitlist.at_clinic(world.database.primary, here.clinic, ["active", "fulfilled"], BEFORE_ALL, 51)
    assert [one.status for one in over] == [EntryStatus.FULFILLED] * 51

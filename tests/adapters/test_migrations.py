"""The migration runner."""

import asyncio

import asyncpg
import pytest

from adapters.postgres.migrations import Migration, MigrationRefused, migrate, packaged, pending

ONE = Migration("0001_one.sql", "CREATE TABLE one (id int);\nINSERT INTO one VALUES (1);\n")
TWO = Migration("0002_two.sql", "CREATE TABLE two (id int);\n")


async def tables(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()
    return {row["tablename"] for row in rows}


async def test_the_packaged_files_bring_up_the_schema_once(empty_database_url: str) -> None:
    names = [one.name for one in packaged()]
    assert await pending(empty_database_url) == names
    assert await migrate(empty_database_url) == names
    assert await migrate(empty_database_url) == []
    assert await pending(empty_database_url) == []
    assert {"allocations", "migrations"} <= await tables(empty_database_url)


async def test_a_dry_run_changes_nothing(empty_database_url: str) -> None:
    assert await migrate(empty_database_url, dry_run=True, migrations=[ONE, TWO]) == [ONE.name, TWO.name]
    assert await tables(empty_database_url) == set()


async def test_of_four_that_start_at_once_one_applies(empty_database_url: str) -> None:
    slow = Migration("0003_slow.sql", "SELECT pg_sleep(0.3);\nCREATE TABLE three (id int);\n")
    answers = await asyncio.gather(*(migrate(empty_database_url, migrations=[ONE, TWO, slow]) for _ in range(4)))
    assert sorted(map(len, answers)) == [0, 0, 0, 3]


async def test_a_file_changed_after_it_was_applied_is_refused(empty_database_url: str) -> None:
    await migrate(empty_database_url, migrations=[ONE])
    changed = Migration(ONE.name, ONE.sql + "-- a word more\n")
    for dry_run in (True, False):
        with pytest.raises(MigrationRefused, match=r"0001_one\.sql was changed after it was applied"):
            await migrate(empty_database_url, dry_run=dry_run, migrations=[changed, TWO])
    assert "two" not in await tables(empty_database_url)


async def test_a_number_below_an_applied_one_is_refused(empty_database_url: str) -> None:
    await migrate(empty_database_url, migrations=[TWO])
    with pytest.raises(MigrationRefused, match="give it a higher number"):
        await migrate(empty_database_url, migrations=[ONE, TWO])


async def test_an_older_version_accepts_a_newer_schema(empty_database_url: str) -> None:
    await migrate(empty_database_url, migrations=[ONE, TWO])
    assert await migrate(empty_database_url, migrations=[ONE]) == []


async def test_a_file_without_transaction_runs_outside_one(empty_database_url: str) -> None:
    index = Migration("0003_index.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY one_by_id ON one (id);\n")
    assert await migrate(empty_database_url, migrations=[ONE, index]) == [ONE.name, index.name]
    assert await migrate(empty_database_url, migrations=[ONE, index]) == []


async def test_a_half_built_index_is_not_taken_for_a_whole_one(empty_database_url: str) -> None:
    twice = Migration("0001_twice.sql", ONE.sql + "INSERT INTO one VALUES (1);\n")
    statement = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS one_by_id ON one (id);\n"
    index = Migration("0002_index.sql", f"-- no-transaction\n{statement}")
    for message in ("failed: could not create unique index", "index one_by_id was left half built"):
        with pytest.raises(MigrationRefused, match=message):
            await migrate(empty_database_url, migrations=[twice, index])


async def test_a_failing_file_leaves_nothing_behind(empty_database_url: str) -> None:
    failing = Migration("0002_bad.sql", "CREATE TABLE half (id int);\nSELECT 1/0;\n")
    with pytest.raises(MigrationRefused, match=r"0002_bad\.sql failed: division by zero"):
        await migrate(empty_database_url, migrations=[ONE, failing])
    assert await tables(empty_database_url) == {"one", "migrations"}
    assert await pending(empty_database_url, migrations=[ONE, TWO]) == [TWO.name]


async def test_a_taken_lock_is_asked_for_again(empty_database_url: str) -> None:
    await migrate(empty_database_url, migrations=[ONE])
    change = Migration("0002_column.sql", "ALTER TABLE one ADD COLUMN name text;\n")
    holder = await asyncpg.connect(empty_database_url)
    try:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("SELECT * FROM one")
        waiting = asyncio.create_task(migrate(empty_database_url, migrations=[ONE, change]))
        await asyncio.sleep(2.5)  # longer than lock_timeout: the first attempt has given up by now
        assert not waiting.done()
        await transaction.commit()
        assert await waiting == [change.name]
    finally:
        await holder.close()

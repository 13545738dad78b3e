"""SQL stands in adapters/postgres alone, one constant beside the one function that runs it, and all of it is right."""

import ast
import importlib
import re
from pathlib import Path
from typing import Final

import asyncpg

from tests.architecture import sources

POSTGRES: Final = "adapters/postgres"
STATEMENT: Final = re.compile(
    r"\s*(?:--[^\n]*\n\s*)*(?:SELECT\b|WITH\s+(?:RECURSIVE\s+)?\w+\s+(?:\(.*?\)\s+)?AS\b|INSERT\s+INTO\b|DELETE\s+FROM\b"
    r"|UPDATE\s+\w+\s+(?:AS\s+\w+\s+)?SET\b|MERGE\s+INTO\b|TRUNCATE\b|COPY\s+\w+|VALUES\s*\(|LOCK\s+TABLE\b"
    r"|(?:CREATE|ALTER|DROP)\s+(?:OR\s+REPLACE\s+|UNIQUE\s+|TEMP\s+)?(?:TABLE|INDEX|FUNCTION|DATABASE|VIEW|SCHEMA|ROLE|USER)\b"
    r"|BEGIN\b\s*;?$|COMMIT\b\s*;?$|ROLLBACK\b|SET\s+(?:LOCAL|SESSION)\b|(?:LISTEN|NOTIFY|ANALYZE|VACUUM)\b)",
    re.DOTALL,
)
# Texts inside functions of adapters/postgres that are not one constant beside one function, each with its reason.
BUILT: Final = {
    ("locks.py", "opening"): "as many locks as there are resources, in one round trip; only integers are put in",
}
NOT_PREPARED: Final = {
    "adapters.postgres.migrations.CREATE_TABLE": "DDL can't be prepared; every migration runs it",
    "adapters.postgres.database.BEGIN": "transaction control can't be prepared; every write and snapshot runs it",
    "adapters.postgres.database.COMMIT": "as BEGIN",
    "adapters.postgres.database.ROLLBACK": "as BEGIN",
    "adapters.postgres.bulk.ANALYZE": "a utility statement can't be prepared; the demo runs it",
}
# Modules outside the adapter that may name its statements; none may run one.
NAMED: Final = {
    "app/hammer/hammering.py": "picks three of verify's rules by their statement; `verify.findings` runs them"
}
CLOCKS: Final = re.compile(
    r"(?<!app_)\b(?:now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\("
    r"|\b(?:current_timestamp|current_date|current_time|localtimestamp|localtime)\b",
    re.IGNORECASE,
)
WRITES: Final = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE|COPY)\s+(?:ONLY\s+)?(\w+)")


def constants(path: Path) -> dict[str, str]:
    """Statements among the module's upper-case constants."""
    found = {}
    for node in sources.tree(path).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if not isinstance(target, ast.Name) or not target.id.isupper():
            continue
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and STATEMENT.match(value.value):
            found[target.id] = value.value
    return found


MODULES: Final = sources.code(POSTGRES)
ALL: Final = {f"{sources.module_name(path)}.{name}": sql for path in MODULES for name, sql in constants(path).items()}


def test_the_scan_knows_a_statement_when_it_sees_one() -> None:
    for sql in (
        "SELECT 1",
        "\nWITH a AS (SELECT 1) SELECT * FROM a",
        "INSERT INTO x VALUES (1)",
        "UPDATE x SET y = 1",
        "BEGIN;",
    ):
        assert STATEMENT.match(sql), sql
    for prose in ("With care", "Updated", "BEGINNERS", "select a time", "SELECTED", "UPDATE the page"):
        assert not STATEMENT.match(prose), prose
    assert len(ALL) > 80


def test_there_is_sql_nowhere_but_in_the_postgres_adapter() -> None:
    """benchmarks/ is no part of the product: its reference app has a database and statements of its own."""
    found = [
        f"{path}:{one.lineno}"
        for path in sources.code(*sources.FOLDERS)
        if not path.is_relative_to(POSTGRES)
        for one in sources.strings(sources.tree(path))
        if STATEMENT.match(one.value)
    ]
    assert found == []


def test_sql_is_an_upper_case_constant_not_a_text_inside_a_function() -> None:
    found = {
        (path.name, function.name)
        for path in MODULES
        for function in sources.functions(path)
        for one in sources.strings(function)
        if STATEMENT.match(one.value)
    }
    assert found == set(BUILT)


def test_each_statement_stands_beside_the_one_function_that_runs_it() -> None:
    for path in MODULES:
        for name in constants(path):
            users = [one for one in [*sources.functions(path), *_tables(path)] if name in _names(one)]
            assert len(users) == 1, f"{path}: {name} is used in {len(users)} places"
    borrowed = {
        path.as_posix()
        for path in sources.code(*sources.FOLDERS)
        for node in ast.walk(sources.tree(path))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and f"adapters.postgres.{node.value.id}.{node.attr}" in ALL
    }
    assert borrowed == set(NAMED)


def _tables(path: Path) -> list[ast.stmt]:
    """Assignments of the module, where a list of statements that one function goes through may stand."""
    return [node for node in sources.tree(path).body if isinstance(node, ast.Assign | ast.AnnAssign)]


def _names(part: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(part) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


async def test_every_statement_is_right_on_the_migrated_database(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    wrong = {}
    try:
        for name, sql in ALL.items():
            assert getattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2]) == sql
            if name in NOT_PREPARED:
                continue
            try:
                await connection.prepare(sql)
            except asyncpg.PostgresError as error:
                wrong[name] = str(error)
    finally:
        await connection.close()
    assert wrong == {}
    assert ALL.keys() >= NOT_PREPARED.keys()


def test_only_one_module_writes_allocations() -> None:
    """The guard's table has one door. Statements of everywhere are looked at, tests and benchmarks excepted."""
    writers = {
        path.as_posix()
        for path in sources.code(*sources.FOLDERS)
        for one in sources.strings(sources.tree(path))
        if "allocations" in WRITES.findall(one.value)
    }
    assert writers == {"adapters/postgres/allocations.py"}
    bulk_copies = [path for path in sources.code(*sources.FOLDERS) if "copy_records_to_table" in sources.text(path)]
    assert bulk_copies == []


def test_rows_of_appointments_are_taken_away_by_nobody() -> None:
    for name, sql in ALL.items():
        assert not re.search(r"DELETE\s+FROM\s+(?:appointments|appointment_events|audit)\b", sql), name
    assert [name for name, sql in ALL.items() if re.search(r"DELETE\s+FROM\s+outbox\b", sql)] == [
        "adapters.postgres.stream.TRIM"
    ]


def test_zones_are_never_left_to_the_server() -> None:
    """PostgreSQL has a zone database of its own, older or newer than the one that shows the times."""
    product = [*MODULES, *(one for one in sources.files() if one.suffix == ".sql" and one.is_relative_to(POSTGRES))]
    assert [path for path in product if re.search(r"\bAT\s+TIME\s+ZONE\b", _sql(path), re.IGNORECASE)] == []


def test_statements_ask_one_clock() -> None:
    """app_now() shifts under test; another clock beside it would disagree."""
    for name, sql in ALL.items():
        if name not in NOT_PREPARED:  # when a migration was applied: before app_now() exists
            assert not CLOCKS.search(sql), name
    for path in (one for one in sources.files() if one.is_relative_to(f"{POSTGRES}/migrations")):
        if path.suffix == ".sql":
            function = re.compile(r"CREATE (?:OR REPLACE )?FUNCTION app_now\(\).*?\$\$;", re.DOTALL)
            assert not CLOCKS.search(function.sub("", _sql(path))), path


def _sql(path: Path) -> str:
    if path.suffix == ".py":
        return "\n".join(constants(path).values())
    return re.sub(r"--[^\n]*", "", sources.text(path))

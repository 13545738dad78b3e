"""The command line, as a person meets it: in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from app.settings import Settings


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    unset = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**kept, "COLUMNS": "120", "NO_COLOR": "1", **environment},
    )


@pytest.fixture
def unused(tmp_path: Path) -> Iterator[str]:
    """A DATA_DIR that must not come into being."""
    folder = tmp_path / "data"
    yield str(folder)
    assert not folder.exists()


def test_help_names_the_commands_and_loads_nothing_heavy() -> None:
    answer = run("--help")
    assert answer.returncode == 0
    for command in ("migrate", "new-epoch", "settings"):
        assert command in answer.stdout
    heavy = "import sys, app.cli; print({'asyncpg', 'pydantic', 'strawberry', 'starlette'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"


def test_settings_are_printed_without_secrets() -> None:
    answer = run("settings", PORT="8123", DATABASE_URL="postgresql://me:s3cret@db/clinic")
    assert answer.returncode == 0
    assert "PORT=8123 " in answer.stdout
    assert "DATABASE_URL=postgresql://me:***@db/clinic " in answer.stdout
    assert len(answer.stdout.splitlines()) == len(Settings.model_fields)


def test_a_bad_setting_is_refused_in_one_line() -> None:
    answer = run("settings", PORT="x")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("appointments: PORT should be a valid integer")
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["nothing-like-it"], ["migrate", "--wrong"], ["settings", "extra"]])
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    answer = run(*arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "Usage: " in answer.stderr


def test_a_database_that_does_not_answer_is_refused(unused: str) -> None:
    answer = run("migrate", DATABASE_URL="postgresql://me:s3cret@127.0.0.1:1/db", DATA_DIR=unused)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("appointments: PostgreSQL does not answer: ")
    assert "s3cret" not in answer.stderr
    assert "Traceback" not in answer.stderr


async def test_migrate_and_new_epoch(empty_database_url: str, unused: str) -> None:
    here = {"DATABASE_URL": empty_database_url, "DATA_DIR": unused}
    early = run("new-epoch", **here)
    assert early.returncode == 1
    assert early.stderr.endswith("run `appointments migrate`\n")
    assert run("migrate", **here).stdout.startswith("applied 0001_core.sql\n")
    assert run("migrate", "--dry-run", **here).stdout == "the schema is up to date\n"
    connection = await asyncpg.connect(empty_database_url)
    before = await connection.fetchval("SELECT epoch FROM stream_epoch")
    said = run("new-epoch", **here).stdout
    after = await connection.fetchval("SELECT epoch FROM stream_epoch")
    await connection.close()
    assert said == f"new epoch {after}\n"
    assert before != after

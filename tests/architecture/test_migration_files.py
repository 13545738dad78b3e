"""Migrations: numbered without gaps, and none that would stop a running clinic."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.postgres.migrations import packaged
from tests.architecture import sources


def test_file_names_are_numbered_without_gaps() -> None:
    names = [one.name for one in packaged()]
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert not [name for name in names if not re.fullmatch(r"\d{4}_[a-z][a-z0-9_]*\.sql", name)]


def test_every_sql_file_of_the_product_is_a_migration() -> None:
    found = {one.name for one in sources.files() if one.suffix == ".sql" and one.parts[0] in sources.FOLDERS}
    assert found == {one.name for one in packaged()}


def test_no_migration_blocks_a_running_clinic() -> None:
    squawk = Path(sys.executable).parent / "squawk"
    if not squawk.exists():
        pytest.skip("squawk is not installed beside this Python")
    found = sorted((sources.ROOT / "adapters/postgres/migrations").glob("*.sql"))
    done = subprocess.run([squawk, *found], cwd=sources.ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr

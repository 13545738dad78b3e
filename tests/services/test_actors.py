"""Concurrent actors under a history checker; and mutants of the product, which the checker must catch."""

from collections import Counter
from collections.abc import Iterable

import asyncpg
import pytest

from adapters.postgres import locks
from adapters.postgres.locks import Key, LockClass
from services import booking
from tests import sizes
from tests.conftest import MakeDatabase
from tests.proofs import proof
from tests.services.actors import check, counted, crowd
from tests.services.test_guard import always_granted


@pytest.mark.prove
@pytest.mark.timeout(900)
async def test_what_actors_were_told_is_what_happened(make_database: MakeDatabase) -> None:
    said: Counter[str] = Counter()
    url = await make_database()
    for seed in range(sizes.ACTOR_ROUNDS):
        found = await crowd(url, sizes.ACTORS, sizes.ACTIONS_EACH, seed)
        assert await check(url, found) == []
        said.update(counted(found))
    deadlocks = await _ask(url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks == 0
    away = {name: count for name, count in said.items() if name.startswith(("Unavailable", "RequestInProgress"))}
    assert not any("Deadlock" in name for name in away)
    assert sum(away.values()) <= said.total() / 500, away  # a machine that stands still for 3 s runs into the timeout
    counts = dict(sorted(said.items()))
    proof("concurrent actors under the history checker", operations=said.total(), deadlocks=deadlocks, **counts)


async def _ask(url: str, statement: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        found: int = await connection.fetchval(statement)
        return found
    finally:
        await connection.close()


DROP_TIMES = ["ALTER TABLE allocations DROP CONSTRAINT one_owner_of_a_time"]
DROP_PATIENTS = ["ALTER TABLE appointments DROP CONSTRAINT patient_in_one_place", "DROP INDEX one_visit_in_an_opening"]


@pytest.mark.parametrize(
    ("mutant", "constraint", "whose"),
    [
        ("no check", DROP_TIMES, "provider"),
        ("no check", DROP_PATIENTS, "patient"),
        ("no lock", DROP_TIMES, "provider"),
        ("no lock", DROP_PATIENTS, "patient"),
    ],
    ids=["no check on providers", "no check on patients", "no lock on providers", "no lock on patients"],
)
async def test_a_mutant_without_its_constraint_is_caught(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, mutant: str, constraint: list[str], whose: str
) -> None:
    url = await make_database()
    for statement in constraint:
        await _ask(url, statement)
    if mutant == "no check":
        monkeypatch.setattr(booking.claims, "decide", always_granted)
    else:
        left_out = LockClass.RESOURCE if whose == "provider" else LockClass.PATIENT
        complete = locks.opening

        def without(caller_and_key: tuple[str, str] | None, keys: Iterable[Key]) -> str:
            return complete(caller_and_key, [key for key in keys if key[0] != left_out])

        monkeypatch.setattr(locks, "opening", without)
    people, providers = (4, 2) if whose == "provider" else (1, 8)
    wrong: list[str] = []
    for seed in range(10):
        try:
            wrong = await check(url, await crowd(url, 12, 20, seed, people=people, providers=providers))
        except (asyncpg.PostgresError, AssertionError) as error:  # a mutant may also break loudly
            wrong = [str(error)]
        if any(f"'{whose}'" in one for one in wrong):
            break
    assert any(f"'{whose}'" in one for one in wrong), wrong[:5]
    proof(f"mutant: {mutant}, constraint on {whose}s dropped", caught=1)


@pytest.mark.parametrize("mutant", ["no check", "no lock"])
async def test_the_constraints_alone_keep_every_promise_about_places(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    """The same mutants with the constraints in place put nobody in two places: each covers for the other."""
    url = await make_database()
    if mutant == "no check":
        monkeypatch.setattr(booking.claims, "decide", always_granted)
    else:
        monkeypatch.setattr("adapters.postgres.locks.opening", lambda _caller_and_key, _keys: "BEGIN")
    wrong = await check(url, await crowd(url, 8, 25, 1, loud=(asyncpg.PostgresError, AssertionError)))
    assert [one for one in wrong if "'provider'" in one or "'patient'" in one or "'one opening twice'" in one] == []

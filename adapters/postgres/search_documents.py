"""The documents of search in PostgreSQL, with their words and the names for suggestions."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, Final

from adapters.postgres import search_names, search_words
from adapters.postgres.database import Database, answering
from domain import imports, search_documents
from domain.indexing import Kept
from domain.search import Document, Pair

WORDS_AT_ONCE: Final = 450
WORDS_KNOWN_MAX: Final = 500_000
GONE_AT_ONCE: Final = 500
FORMAT: Final = (
    1  # Goes up with every change of what is written, synonyms too: then all is made anew by who first knows it.
)

EPOCH = """
SELECT epoch::text FROM search_progress WHERE name = $1
"""

# A document that is the same but for its number and hints is written beside its old place, without a touch of any index: what is
# kept out of line is taken over as it is.
WRITE = """
INSERT INTO search_documents AS d (provider_id, clinic_id, epoch, seq, listed, accepting, latitude, longitude, next_day, name,
    sort_name, clinic_name, specialties, languages, modalities, visit_type_ids, next_days, terms)
SELECT r.provider_id, r.clinic_id, e.epoch, r.seq, r.listed, r.accepting, r.latitude, r.longitude, r.next_day, r.name,
    r.sort_name, r.clinic_name, r.specialties, r.languages, r.modalities, r.visit_type_ids, r.next_days, r.terms
FROM stream_epoch AS e CROSS JOIN jsonb_to_recordset($2::jsonb) AS r (
    provider_id bigint, clinic_id bigint, seq bigint, listed boolean, accepting boolean, latitude double precision,
    longitude double precision, next_day date, name text, sort_name text, clinic_name text, specialties text[],
    languages text[], modalities text[], visit_type_ids bigint[], next_days date[], terms text[])
WHERE e.epoch::text = $1
ORDER BY r.provider_id, r.clinic_id
ON CONFLICT (provider_id, clinic_id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, listed = excluded.listed,
    accepting = excluded.accepting, latitude = excluded.latitude, longitude = excluded.longitude, next_day = excluded.next_day,
    name = excluded.name, sort_name = excluded.sort_name, clinic_name = excluded.clinic_name,
    specialties = excluded.specialties, languages = excluded.languages, modalities = excluded.modalities,
    visit_type_ids = excluded.visit_type_ids, next_days = excluded.next_days,
    terms = CASE WHEN d.terms = excluded.terms THEN d.terms ELSE excluded.terms END
WHERE d.epoch <> excluded.epoch OR d.seq <= excluded.seq
RETURNING provider_id, clinic_id, old.name IS DISTINCT FROM new.name AS provider_named,
    old.clinic_name IS DISTINCT FROM new.clinic_name AS clinic_named
"""

# Looked up one by one: a plan made while the table was empty would read all of it each time.
KEPT = """
SELECT d.* FROM unnest($1::bigint[], $2::bigint[]) AS k (provider_id, clinic_id)
CROSS JOIN LATERAL (
    SELECT o.provider_id, o.clinic_id, o.seq, o.visit_type_ids, o.next_days FROM search_documents AS o
    WHERE o.provider_id = k.provider_id AND o.clinic_id = k.clinic_id AND o.epoch::text = $3 OFFSET 0
) AS d
"""

PAST = """
SELECT provider_id, clinic_id FROM search_documents
WHERE clinic_id = any($2::bigint[]) AND next_day < $1 AND listed ORDER BY provider_id, clinic_id LIMIT $3
"""

DROP_OTHERS = """
DELETE FROM search_documents WHERE (provider_id, clinic_id) IN (
    SELECT provider_id, clinic_id FROM search_documents WHERE epoch::text <> $1 LIMIT $2)
"""

NOTE = """
INSERT INTO search_progress (name, epoch, at) SELECT $1, epoch, app_now() FROM stream_epoch WHERE epoch::text = $2
ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, at = excluded.at
"""


class SearchDocuments:
    """The target that is always there. Its transactions wake nobody: hand in a database whose `committed` does nothing."""

    name: Final = "postgres"
    in_place: Final = True

    def __init__(self, database: Database) -> None:
        self._database = database
        self._words: set[str] = set()  # Those that surely stand in the table.
        self._words_epoch = ""

    async def epoch(self) -> str | None:
        async with answering():
            found: str | None = await self._database.primary.fetchval(EPOCH, f"{self.name}-{FORMAT}")
        return found

    async def write(self, epoch: str, documents: Sequence[Document]) -> int:
        """Ones of an epoch that is over are dropped."""
        kept = 0
        for some in imports.batches(documents, _rows):
            rows = [_row(one) for one in some]
            await self._learn(epoch, {term for row in rows for term in row["terms"]})
            kept += await self._write(epoch, some, rows)
        return kept

    async def kept(self, epoch: str, pairs: Collection[Pair]) -> Mapping[Pair, Kept]:
        async with answering():
            rows = await self._database.primary.fetch(KEPT, [one for one, _ in pairs], [two for _, two in pairs], epoch)
        return {
            (row["provider_id"], row["clinic_id"]): Kept(
                row["seq"], dict(zip(row["visit_type_ids"], row["next_days"], strict=True))
            )
            for row in rows
        }

    async def past(self, day: date, clinic_keys: Collection[int], limit: int) -> list[Pair]:
        async with answering():
            return [tuple(row) for row in await self._database.primary.fetch(PAST, day, clinic_keys, limit)]

    @asynccontextmanager
    async def renewing(self, epoch: str) -> AsyncGenerator[Callable[[str, Sequence[Document]], Awaitable[int]], None]:
        """In place: what is there is searched until it is written over."""
        yield self.write
        while True:
            async with self._database.transaction() as tx:
                done: str = await tx.execute(DROP_OTHERS, epoch, GONE_AT_ONCE)
                if done == "DELETE 0":
                    await tx.execute(NOTE, f"{self.name}-{FORMAT}", epoch)
                    return

    async def _learn(self, epoch: str, terms: set[str]) -> None:
        if epoch != self._words_epoch or len(self._words) > WORDS_KNOWN_MAX:
            self._words, self._words_epoch = set(), epoch
        new = sorted(terms - self._words)
        for first in range(0, len(new), WORDS_AT_ONCE):
            some = new[first : first + WORDS_AT_ONCE]
            async with self._database.transaction() as tx:
                await search_words.learn(tx, some)
            self._words.update(some)

    async def _write(self, epoch: str, documents: Sequence[Document], rows: list[dict[str, Any]]) -> int:
        """Names go with the documents that were kept: an older reading changes neither."""
        by_pair = {one.pair: one for one in documents}
        async with self._database.transaction() as tx:
            kept = await tx.fetch(WRITE, epoch, rows)
            written = [(row, by_pair[row["provider_id"], row["clinic_id"]]) for row in kept]
            providers = {one.provider_key: one.name for row, one in written if row["provider_named"]}
            clinics = {one.clinic_key: one.clinic_name for row, one in written if row["clinic_named"]}
            if providers:
                await search_names.keep_providers(tx, providers)
            if clinics:
                await search_names.keep_clinics(tx, clinics)
        return len(kept)


def _rows(document: Document) -> int:
    """How many rows it may change: its own, and the words of its names."""
    return 1 + len(document.name_words) + len(document.clinic_name.split())


def _row(one: Document) -> dict[str, Any]:
    days = [one.next_days.get(key) for key in one.visit_types]
    return {
        "provider_id": one.provider_key,
        "clinic_id": one.clinic_key,
        "seq": one.seq,
        "listed": one.listed,
        "accepting": one.accepting,
        "latitude": one.location.latitude if one.location else None,
        "longitude": one.location.longitude if one.location else None,
        "next_day": min((day for day in days if day is not None), default=None),
        "name": one.name,
        "sort_name": one.sort_name,
        "clinic_name": one.clinic_name,
        "specialties": one.specialties,
        "languages": one.languages,
        "modalities": [modality.value for modality in one.modalities],
        "visit_type_ids": one.visit_types,
        "next_days": days,
        "terms": search_documents.terms(one),
    }

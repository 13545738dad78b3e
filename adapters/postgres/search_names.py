"""Names of providers and clinics by their words: what is suggested as one types."""

from collections.abc import Collection, Mapping, Sequence

from adapters.postgres.database import Connection, Reader
from domain import folding

# Looked up one by one: a plan made while the table was empty would read all of it each time.
KEEP = """
WITH named AS (
    SELECT r.key, r.sort_name, r.words
    FROM jsonb_to_recordset($2::jsonb) AS r (key bigint, sort_name text, words text[])
), gone AS (
    DELETE FROM search_names AS n USING named CROSS JOIN LATERAL (
        SELECT o.ctid FROM search_names AS o WHERE o.kind = $1 AND o.key = named.key AND o.word <> all(named.words) OFFSET 0
    ) AS old
    WHERE n.ctid = old.ctid
)
INSERT INTO search_names (kind, word, sort_name, key, words)
SELECT $1, w.word, named.sort_name, named.key, named.words
FROM named CROSS JOIN LATERAL unnest(named.words) AS w (word)
ORDER BY named.key, w.word
ON CONFLICT (kind, key, word) DO UPDATE SET sort_name = excluded.sort_name, words = excluded.words
WHERE (search_names.sort_name, search_names.words) IS DISTINCT FROM (excluded.sort_name, excluded.words)
"""

SUGGEST_PROVIDERS = """
SELECT DISTINCT ON (n.sort_name, n.key) n.key FROM search_names AS n
WHERE n.kind = 'provider' AND n.word >= $1 AND n.word < $1 || U&'\\+10FFFF'
    AND NOT EXISTS (
        SELECT FROM unnest($2::text[]) AS asked (word)
        WHERE NOT EXISTS (SELECT FROM unnest(n.words) AS had (word) WHERE starts_with(had.word, asked.word))
    )
    AND EXISTS (SELECT FROM search_documents AS d WHERE d.provider_id = n.key AND d.listed)
ORDER BY n.sort_name, n.key LIMIT $3
"""

SUGGEST_CLINICS = """
SELECT DISTINCT ON (n.sort_name, n.key) n.key FROM search_names AS n
WHERE n.kind = 'clinic' AND n.word >= $1 AND n.word < $1 || U&'\\+10FFFF'
    AND NOT EXISTS (
        SELECT FROM unnest($2::text[]) AS asked (word)
        WHERE NOT EXISTS (SELECT FROM unnest(n.words) AS had (word) WHERE starts_with(had.word, asked.word))
    )
    AND EXISTS (SELECT FROM search_documents AS d WHERE d.clinic_id = n.key AND d.listed)
ORDER BY n.sort_name, n.key LIMIT $3
"""

LISTED_SPECIALTIES = """
SELECT asked.name FROM unnest($1::text[]) AS asked (name)
WHERE EXISTS (SELECT FROM search_documents AS d WHERE d.terms @> ARRAY['S:' || asked.name] AND d.listed)
"""


async def keep_providers(tx: Connection, names: Mapping[int, str]) -> None:
    """By key, as they are now."""
    await _keep(tx, "provider", names)


async def keep_clinics(tx: Connection, names: Mapping[int, str]) -> None:
    """By key, as they are now."""
    await _keep(tx, "clinic", names)


async def _keep(tx: Connection, kind: str, names: Mapping[int, str]) -> None:
    rows = [
        {"key": key, "sort_name": folding.fold(name), "words": folding.distinct(name)}
        for key, name in sorted(names.items())
    ]
    await tx.execute(KEEP, kind, rows)


async def providers(reader: Reader, words: Sequence[str], limit: int) -> list[int]:
    """Keys of those in whose name every one of `words`, of which there is at least one, begins a word; by name."""
    rows = await reader.fetch(SUGGEST_PROVIDERS, max(words, key=len), words, limit)
    return [row["key"] for row in rows]


async def clinics(reader: Reader, words: Sequence[str], limit: int) -> list[int]:
    """The same of clinics where somebody works."""
    rows = await reader.fetch(SUGGEST_CLINICS, max(words, key=len), words, limit)
    return [row["key"] for row in rows]


async def listed_specialties(reader: Reader, names: Collection[str]) -> set[str]:
    """Those of `names` that somebody listed has."""
    return {row["name"] for row in await reader.fetch(LISTED_SPECIALTIES, names)}

"""The words of all documents: what is typed becomes terms that begin with it or are spelled like it."""

from collections.abc import Collection, Sequence

from adapters.postgres.database import Connection, Reader
from domain import folding
from domain.search_documents import SPECIALTY, WORD_FIELDS

UNKNOWN = """
SELECT asked.term FROM unnest($1::text[]) AS asked (term)
WHERE NOT EXISTS (SELECT FROM search_words AS w WHERE w.term = asked.term)
"""

LEARN = """
INSERT INTO search_words (term, deletions)
SELECT r.term, r.deletions FROM jsonb_to_recordset($1::jsonb) AS r (term text, deletions text[])
ORDER BY r.term COLLATE "C"
ON CONFLICT DO NOTHING
"""

LIKE = """
SELECT w.term FROM unnest($1::text[]) AS asked (beginning)
JOIN search_words AS w ON w.term >= asked.beginning AND w.term < asked.beginning || U&'\\+10FFFF'
UNION
SELECT w.term FROM search_words AS w WHERE w.deletions && $2::text[]
"""


async def learn(tx: Connection, terms: Collection[str]) -> None:
    """Before or with the documents that have these terms: a document whose words are not here is not found by them."""
    kept = sorted({term for term in terms if term.startswith((*WORD_FIELDS, SPECIALTY))})
    new = [row["term"] for row in await tx.fetch(UNKNOWN, kept)]
    if new:
        await tx.execute(LEARN, [{"term": term, "deletions": _deletions(term)} for term in new])


def _deletions(term: str) -> list[str]:
    """None of numbers and of specialties as a whole: they are matched as they are."""
    field, word = term[:2], term[2:]
    return [] if field == SPECIALTY or not word.isalpha() else folding.deletions(word)


async def like(reader: Reader, beginnings: Sequence[str], deletions: Sequence[str]) -> list[str]:
    """Terms with one of these beginnings, mark included, and terms of words with one of these deletions."""
    return [row["term"] for row in await reader.fetch(LIKE, beginnings, deletions)]

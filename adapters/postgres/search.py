"""Search by PostgreSQL alone: words by a GIN index over terms, spelling mistakes by the words that share a deletion."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, Final

import orjson

from adapters.postgres import search_words
from adapters.postgres.database import Database, Reader, answering
from domain import search_terms
from domain.clinics import GeoPoint, Modality
from domain.search import PAIRS_MAX, Candidate, FacetField, Found, Match, Sort, Wanted
from domain.search_order import FIRST, Place

# $1 ways that parts match (search_terms.Way), $2 how many must, the first; $3 visit type, $4 its modality; $5 latitude,
# $6 longitude, $7 kilometres; $8 accepting. Facets' filters: $9 specialties, $10 languages, $11 clinics, $12 modality; each null
# where absent. $13 sort, $14 how many, $15 to $20 the place behind which the page begins; $21: candidates instead of a page,
# $22: only hits.
SEARCH = """
WITH way AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS w (part integer, points integer, terms text[], phrase boolean)
), scored AS MATERIALIZED (
    SELECT best.place, sum(best.points)::integer AS score
    FROM (
        SELECT met.place, met.part, max(met.points) AS points
        FROM (
            SELECT d.ctid AS place, way.part, way.points
            FROM way JOIN search_documents AS d ON d.terms && way.terms WHERE NOT way.phrase
            UNION ALL
            SELECT d.ctid, way.part, way.points
            FROM way JOIN search_documents AS d ON d.terms @> way.terms WHERE way.phrase
        ) AS met
        GROUP BY met.place, met.part
    ) AS best
    GROUP BY best.place HAVING count(*) FILTER (WHERE best.part < $2::integer) = $2::integer
), near AS MATERIALIZED (
    SELECT d.place, d.provider_id, d.clinic_id, d.score, d.sort_name, d.facets,
        CASE WHEN $3::bigint IS NULL THEN d.next_day
            ELSE d.next_days[array_position(d.visit_type_ids, $3::bigint)] END AS next_day,
        CASE WHEN $5::float8 IS NOT NULL
            THEN round(search_km(d.latitude, d.longitude, $5::float8, $6::float8) * 1e6::float8) / 1e6::float8 END AS km,
        $9::text[] IS NULL OR d.specialties && $9::text[] AS by_specialty,
        $10::text[] IS NULL OR d.languages && $10::text[] AS by_language,
        $11::bigint[] IS NULL OR d.clinic_id = any($11::bigint[]) AS by_clinic,
        CASE WHEN $12::text IS NULL THEN true WHEN $4::text IS NULL THEN $12::text = any(d.modalities)
            ELSE $12::text = $4::text END AS by_modality
    FROM (
        SELECT d.*, d.ctid AS place, scored.score FROM scored JOIN search_documents AS d ON d.ctid = scored.place
        UNION ALL
        SELECT d.*, d.ctid, 0 FROM search_documents AS d WHERE $2::integer = 0
    ) AS d
    WHERE d.listed
        AND ($3::bigint IS NULL OR $3::bigint = any(d.visit_type_ids))
        AND ($8::boolean IS NULL OR d.accepting = $8::boolean)
        AND ($7::float8 IS NULL OR abs(d.latitude - $5::float8) <= $7::float8 / 111
            AND search_km(d.latitude, d.longitude, $5::float8, $6::float8) <= $7::float8)
), hit AS NOT MATERIALIZED (
    SELECT provider_id, clinic_id, score, sort_name,
        CASE $13::text WHEN 'name' THEN 0 WHEN 'distance' THEN coalesce(km, 1e18) ELSE 10000 - score END::float8 AS one,
        CASE $13::text WHEN 'name' THEN 0 WHEN 'distance' THEN 10000 - score ELSE coalesce(km, 1e18) END::float8 AS two,
        CASE WHEN $13::text = 'name' OR next_day IS NULL THEN date '9999-01-01' ELSE next_day END AS three
    FROM near WHERE by_specialty AND by_language AND by_clinic AND by_modality
), alike AS MATERIALIZED (
    SELECT same.*, d.specialties, d.languages,
        CASE WHEN $4::text IS NULL THEN d.modalities ELSE ARRAY[$4::text] END AS modalities
    FROM (
        SELECT by_clinic, any_value(by_specialty) AS by_specialty, any_value(by_language) AS by_language,
            any_value(by_modality) AS by_modality, any_value(place) AS place, count(*) AS hits
        FROM near WHERE NOT $21::boolean GROUP BY facets, by_clinic
    ) AS same JOIN search_documents AS d ON d.ctid = same.place
)
SELECT (SELECT count(*) FROM hit) AS total,
    CASE WHEN NOT $21::boolean THEN (
        SELECT json_agg(json_build_array(one, two, three, sort_name, provider_id, clinic_id, score)) FROM (
            SELECT * FROM hit
            WHERE (one, two, three, sort_name, provider_id, clinic_id)
                > ($15::float8, $16::float8, $17::date, $18::text, $19::bigint, $20::bigint)
            ORDER BY one, two, three, sort_name, provider_id, clinic_id LIMIT $14::integer
        ) AS page
    ) END::text AS page,
    (
        SELECT json_agg(json_build_array(value, hits)) FROM (
            SELECT value, sum(alike.hits) AS hits FROM alike CROSS JOIN LATERAL unnest(specialties) AS value
            WHERE by_language AND by_clinic AND by_modality GROUP BY value
            ORDER BY sum(alike.hits) DESC, value COLLATE "C" LIMIT 50
        ) AS facet
    )::text AS specialty,
    (
        SELECT json_agg(json_build_array(value, hits)) FROM (
            SELECT value, sum(alike.hits) AS hits FROM alike CROSS JOIN LATERAL unnest(languages) AS value
            WHERE by_specialty AND by_clinic AND by_modality GROUP BY value
            ORDER BY sum(alike.hits) DESC, value COLLATE "C" LIMIT 50
        ) AS facet
    )::text AS language,
    (
        SELECT json_agg(json_build_array(value, hits)) FROM (
            SELECT value, sum(alike.hits) AS hits FROM alike CROSS JOIN LATERAL unnest(modalities) AS value
            WHERE by_specialty AND by_language AND by_clinic GROUP BY value
            ORDER BY sum(alike.hits) DESC, value COLLATE "C" LIMIT 50
        ) AS facet
    )::text AS modality,
    CASE WHEN NOT $21::boolean THEN (
        SELECT json_agg(json_build_array(clinic_id::text, hits)) FROM (
            SELECT clinic_id, count(*) AS hits FROM near
            WHERE by_specialty AND by_language AND by_modality GROUP BY clinic_id ORDER BY hits DESC, clinic_id LIMIT 50
        ) AS facet
    ) END::text AS clinic,
    CASE WHEN $21::boolean THEN (
        SELECT array_agg(json_build_array(best.provider_id, best.clinic_id, best.score, best.sort_name, d.specialties,
            d.languages, d.visit_type_ids, d.modalities, d.latitude, d.longitude, best.next_day)::text)
        FROM (
            SELECT * FROM near
            WHERE NOT $22::boolean OR (by_specialty AND by_language AND by_clinic AND by_modality)
            ORDER BY score DESC, coalesce(km, 1e18), coalesce(next_day, '9999-01-01'), sort_name,
                provider_id, clinic_id LIMIT $14::integer
        ) AS best JOIN search_documents AS d ON d.ctid = best.place
    ) END AS candidates
"""

KEPT_MAX: Final = 50_000
_MODALITIES: Final = {one.value: one for one in Modality}


class PostgresEngine:
    """Always there. What it can't: words of eight letters and more with two mistakes are found only where both lie close."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept = _Candidates()

    async def page(self, wanted: Wanted, sort: Sort, first: int, after: Place | None) -> Found:
        row = await self._run(wanted, sort, first, after or FIRST)
        page = orjson.loads(row["page"] or "[]")
        matches = [_match(one) for one in page]
        facets = {
            field: [(value, count) for value, count in orjson.loads(row[field.value] or "[]")] for field in FacetField
        }
        return Found(matches, row["total"], facets)

    async def candidates(self, wanted: Wanted, *, hits_only: bool = False) -> Sequence[Candidate]:
        row = await self._run(wanted, Sort.BEST, PAIRS_MAX, FIRST, candidates=True, hits_only=hits_only)
        return list(map(self._kept.__getitem__, row["candidates"] or ()))

    async def _run(
        self, wanted: Wanted, sort: Sort, first: int, after: Place, *, candidates: bool = False, hits_only: bool = False
    ) -> Any:
        async with answering():
            reader = self._database.replica
            ways = await _ways(reader, wanted)
            near = wanted.near
            day = date.fromisoformat(after[2]) if after[2] else date.min
            return await reader.fetchrow(
                SEARCH,
                ways,
                sum(not part.optional for part in wanted.parts),
                wanted.visit_type,
                wanted.visit_modality.value if wanted.visit_modality else None,
                near.latitude if near else None,
                near.longitude if near else None,
                wanted.within_km,
                True if wanted.accepting else None,
                wanted.specialties or None,
                wanted.languages or None,
                wanted.clinics or None,
                wanted.modality.value if wanted.modality else None,
                sort.value,
                first,
                after[0],
                after[1],
                day,
                *after[3:],
                candidates,
                hits_only,
            )


async def _ways(reader: Reader, wanted: Wanted) -> list[dict[str, Any]]:
    if not wanted.parts:
        return []
    parts = sorted(wanted.parts, key=lambda part: part.optional)
    known = await search_words.like(reader, search_terms.beginnings(parts), search_terms.spellings(parts))
    return [asdict(way) for way in search_terms.ways(parts, known, wanted.visit_modality)]


def _match(row: list[Any]) -> Match:
    one, two, day, name, provider, clinic, score = row
    return Match((provider, clinic), score, (float(one), float(two), day, name, provider, clinic))


class _Candidates(dict[str, Candidate]):
    """By their lines. Most come again with the next search: making one costs ten times looking it up."""

    def __missing__(self, line: str) -> Candidate:
        if len(self) >= KEPT_MAX:
            self.clear()
        self[line] = found = _candidate(line)
        return found


def _candidate(line: str) -> Candidate:
    provider, clinic, score, name, specialties, languages, kinds, modalities, latitude, longitude, day = orjson.loads(
        line
    )
    return Candidate(
        (provider, clinic),
        score,
        name,
        tuple(specialties),
        tuple(languages),
        tuple(kinds),
        tuple(_MODALITIES[one] for one in modalities),
        None if latitude is None else GeoPoint(latitude, longitude),
        None if day is None else date.fromisoformat(day),
    )

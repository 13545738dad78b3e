"""The first published opening that can still be booked, of many pools at once."""

from collections.abc import Sequence
from datetime import datetime

from adapters.postgres.calendars import Triple, opening_of
from adapters.postgres.database import Reader
from domain.openings import Opening

FIRST_OPENINGS = """
SELECT k.visit_type_id, x.*
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
    AS k (provider_id, clinic_id, visit_type_id, first, before)
CROSS JOIN LATERAL (
    SELECT o.*, t.taken FROM openings AS o
    CROSS JOIN LATERAL (
        SELECT count(*) AS taken FROM allocations AS a WHERE a.resource_id = o.id AND a.state <> 'released'
            AND (a.expires_at IS NULL OR a.expires_at > (SELECT app_now()))
    ) AS t
    WHERE o.provider_id = k.provider_id AND o.clinic_id = k.clinic_id AND o.offered
        AND o.starts_at >= k.first AND o.starts_at < k.before AND t.taken < o.capacity
    ORDER BY o.starts_at, o.ends_at, o.id LIMIT 1
) AS x
"""


async def first_openings(
    reader: Reader, wanted: Sequence[tuple[Triple, tuple[datetime, datetime]]]
) -> dict[Triple, Opening]:
    """By (pool, clinic, visit type), of those that start in their span: first instant and end."""
    columns = [[key[column] for key, _ in wanted] for column in range(3)]
    begins, ends = [span[0] for _, span in wanted], [span[1] for _, span in wanted]
    rows = await reader.fetch(FIRST_OPENINGS, *columns, begins, ends)
    return {(row["provider_id"], row["clinic_id"], row["visit_type_id"]): opening_of(row) for row in rows}

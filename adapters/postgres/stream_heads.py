"""How far the clinics' streams are numbered: the number of each one's newest event."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.postgres.database import Reader

HEADS = """
SELECT e.epoch, (SELECT app_now()) AS now, k.clinic_id, coalesce(h.seq, 0) AS seq
FROM stream_epoch AS e
LEFT JOIN unnest($1::bigint[]) AS k (clinic_id) ON true
LEFT JOIN stream_heads AS h ON h.clinic_id = k.clinic_id
"""


@dataclass(frozen=True, slots=True)
class Heads:
    """At `now`; 0 for a clinic that no event has named yet."""

    epoch: str
    now: datetime
    seqs: dict[int, int]


async def heads(reader: Reader, clinic_keys: Sequence[int]) -> Heads:
    """Whatever is numbered up to there can be read by the same reader."""
    rows = await reader.fetch(HEADS, clinic_keys)
    seqs = {row["clinic_id"]: row["seq"] for row in rows if row["clinic_id"] is not None}
    return Heads(str(rows[0]["epoch"]), rows[0]["now"], seqs)

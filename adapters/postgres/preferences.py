"""What patients have chosen, and which addresses are to get nothing more."""

from collections.abc import Sequence
from datetime import datetime

from adapters.postgres.database import Connection, Reader
from adapters.postgres.messages import recipient_of
from domain.recipients import Channel, NotificationPreferences, Recipient

RECIPIENTS = """
SELECT r.*, 'UTC' AS clinic_zone FROM recipients AS r WHERE r.patient_id = any($1::bigint[])
"""

SAVE = """
INSERT INTO notification_preferences (patient_id, channels, time_zone, quiet_from, quiet_to, language)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (patient_id) DO UPDATE SET channels = excluded.channels, quiet_from = excluded.quiet_from,
    time_zone = coalesce(excluded.time_zone, notification_preferences.time_zone), quiet_to = excluded.quiet_to,
    language = excluded.language
"""

STOP = """
INSERT INTO stopped_addresses (channel, address, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""

GO_ON = """
DELETE FROM stopped_addresses WHERE channel = $1 AND address = $2
"""

LINKED = """
SELECT l.channel, l.address,
    EXISTS (SELECT FROM stopped_addresses AS s WHERE s.channel = l.channel AND s.address = l.address) AS stopped
FROM stop_links AS l WHERE l.token = $1
"""

PATIENTS_AT = """
SELECT id FROM patients WHERE $1::text = 'email' AND lower(email) = $2 OR $1::text = 'sms' AND phone = $2
"""


async def recipients(reader: Reader, patient_keys: Sequence[int]) -> dict[int, Recipient]:
    """The zone of who chose none and was registered nowhere is UTC."""
    return {row["patient_id"]: recipient_of(row) for row in await reader.fetch(RECIPIENTS, patient_keys)}


async def save(tx: Connection, patient_key: int, chosen: NotificationPreferences, time_zone: str | None) -> None:
    """`time_zone` None leaves the zone as it is: that of the clinic, until one was chosen."""
    await tx.execute(
        SAVE, patient_key, [one.value for one in chosen.channels], time_zone, chosen.quiet_from, chosen.quiet_to,
        chosen.language,
    )  # fmt: skip


async def stop(tx: Connection, channel: Channel, address: str, at: datetime) -> None:
    await tx.execute(STOP, channel.value, address, at)


async def go_on(tx: Connection, channel: Channel, address: str) -> None:
    await tx.execute(GO_ON, channel.value, address)


async def linked(reader: Reader, token: str) -> tuple[Channel, str, bool] | None:
    """Channel, address and whether it is stopped, for the token of a link."""
    row = await reader.fetchrow(LINKED, token)
    return None if row is None else (Channel(row["channel"]), row["address"], row["stopped"])


async def patients_at(reader: Reader, channel: Channel, address: str) -> list[int]:
    """Whose address it is: several may share one."""
    return [row["id"] for row in await reader.fetch(PATIENTS_AT, channel.value, address)]

"""What patients choose: channels in their order, quiet hours, zone, language."""

from typing import Any

from adapters.postgres import changes, locks, messages, patients, preferences
from adapters.postgres.changes import Change
from adapters.postgres.database import Database, Reader
from domain import access, ids
from domain.access import Viewer
from domain.faults import BadInput
from domain.outcomes import IdempotencyMismatch, InvalidInput, NotFound, NotificationPreferencesSet
from services import records, requests

PreferencesOutcome = NotificationPreferencesSet | InvalidInput | IdempotencyMismatch | NotFound


class Preferences:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(
        self, viewer: Viewer, patient_id: str | None, asked: dict[str, Any], idempotency_key: str
    ) -> PreferencesOutcome:
        """`asked`: channels, and what is to change of time_zone, quiet_from, quiet_to, language. Staff name the patient."""
        access.require_signed_in(viewer)
        plain = {**asked, "channels": [one.value for one in asked["channels"]]}
        request = requests.request("setNotificationPreferences", idempotency_key, {"patient": patient_id, **plain})
        key = viewer.patient_key if patient_id is None else ids.key(patient_id, ids.PATIENT)
        keys = [] if key is None else [locks.patient(key)]
        async with self._database.locked((viewer.subject, request.key), keys) as tx:
            answered = await records.used(tx, viewer, request, _again)
            if answered is not None:
                return answered
            if patient_id is None and viewer.is_staff:
                return InvalidInput("patientId", "Name the patient.")
            locked = None if key is None else await patients.under_lock(tx, viewer, key)
            if locked is None or key is None:
                return NotFound()
            before = (await preferences.recipients(tx, [key]))[key].preferences
            try:
                chosen = before.changed(asked)
            except BadInput as fault:
                return records.invalid(fault)
            await preferences.save(tx, key, chosen, asked.get("time_zone"))
            await messages.plan_again(tx, [key])
            stored = {"type": "NotificationPreferencesSet", "patient": key}
            change = Change(viewer, request, locked.now, stored, f"preferences:{key}", patient_key=key)
            await changes.record(tx, change)
            return NotificationPreferencesSet(key, chosen)


async def _again(reader: Reader, outcome: dict[str, Any]) -> NotificationPreferencesSet:
    key = outcome["patient"]
    return NotificationPreferencesSet(key, (await preferences.recipients(reader, [key]))[key].preferences)

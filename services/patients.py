"""Registering and correcting patients. Who may see whom is decided in the statements (rules 18 and 19)."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any
from zlib import crc32

from adapters.postgres import changes, clinics, locks, messages, patients
from adapters.postgres.changes import Change, Request
from adapters.postgres.database import Connection, Database, Reader, answering
from domain import access, ids, zones
from domain.access import Viewer
from domain.appointments import Patient
from domain.clinics import Clinic
from domain.faults import BadInput
from domain.outcomes import (
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    PatientRegistered,
    PatientUpdated,
    PossibleDuplicate,
    StaleVersion,
)
from domain.patients import OWN, SPELLED, PatientFields
from services import records, requests

RegisterOutcome = PatientRegistered | PossibleDuplicate | InvalidInput | IdempotencyMismatch | NotFound
UpdateOutcome = PatientUpdated | StaleVersion | InvalidInput | IdempotencyMismatch | NotFound


class Patients:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(
        self,
        viewer: Viewer,
        name: str,
        birth_date: date | None,
        email: str | None,
        phone: str | None,
        clinic_id: str,
        confirmed_new: bool,
        idempotency_key: str,
    ) -> RegisterOutcome:
        """A new patient of one of the viewer's clinics, unless one whom the viewer may see looks like the same person."""
        access.require_staff(viewer)
        typed = PatientFields(name, birth_date, email, phone)
        asked = {**asdict(typed), "clinicId": clinic_id, "confirmedNew": confirmed_new}
        request = requests.request("registerPatient", idempotency_key, asked)
        checked = await self._checked(viewer, clinic_id, typed)
        keys = _alike(checked[1]) if isinstance(checked, tuple) else []
        async with self._database.locked((viewer.subject, request.key), keys) as tx:
            answered = await records.used(tx, viewer, request, _registered)
            if answered is not None:
                return answered
            if not isinstance(checked, tuple):
                return checked
            clinic, fields = checked
            if not confirmed_new:
                candidates = await patients.duplicates(tx, viewer, fields)
                if candidates:
                    return PossibleDuplicate(candidates)
            patient = await patients.register(tx, fields, clinic.key)
            await _record(tx, viewer, request, "PatientRegistered", patient)
            return PatientRegistered(patient)

    async def _checked(
        self, viewer: Viewer, clinic_id: str, typed: PatientFields
    ) -> tuple[Clinic, PatientFields] | NotFound | InvalidInput:
        key = ids.key(clinic_id, ids.CLINIC)
        if key is None or not viewer.works_at(key):
            return NotFound()
        async with answering():
            clinic = (await clinics.clinics(self._database.primary, [key])).get(key)
            now = await changes.now(self._database.primary)
        if clinic is None:
            return NotFound()
        try:
            return clinic, typed.checked(clinic.address.country, zones.today(now, clinic.zone))
        except BadInput as fault:
            return records.invalid(fault)

    async def update(
        self, viewer: Viewer, patient_id: str, version: int, fields: Mapping[str, Any], idempotency_key: str
    ) -> UpdateOutcome:
        """`fields` holds what is to change: name, birth_date, email, phone; None removes. Patients: own e-mail and phone only."""
        access.require_signed_in(viewer)
        asked = {"id": patient_id, "version": version, "fields": dict(fields)}
        request = requests.request("updatePatient", idempotency_key, asked)
        key = ids.key(patient_id, ids.PATIENT)
        keys = [] if key is None else [locks.patient(key)]
        async with self._database.locked((viewer.subject, request.key), keys) as tx:
            answered = await records.used(tx, viewer, request, _updated)
            if answered is not None:
                return answered
            locked = None if key is None else await patients.under_lock(tx, viewer, key)
            if locked is None:
                return NotFound()
            if locked.patient.version != version:
                return StaleVersion(locked.patient.version)
            try:
                changed = _changed(viewer, locked, fields)
            except BadInput as fault:
                return records.invalid(fault)
            patient = await patients.update(tx, locked.patient.key, changed)
            await messages.plan_again(tx, [patient.key])
            await _record(tx, viewer, request, "PatientUpdated", patient)
            return PatientUpdated(patient)


def _changed(viewer: Viewer, locked: patients.Locked, fields: Mapping[str, Any]) -> PatientFields:
    """What the patient is to be. Fields that do not change are not judged: older rules may have let them in."""
    before = locked.patient
    for field in fields:
        if viewer.is_patient and field not in OWN:
            raise BadInput(SPELLED[field], "Please ask your clinic to change this.")
    if fields.get("name", "") is None:
        raise BadInput("name", "A patient has a name.")
    new = PatientFields(
        fields.get("name", "unchanged"), fields.get("birth_date"), fields.get("email"), fields.get("phone")
    ).checked(locked.country, zones.today(locked.now, zones.named(locked.time_zone)))
    return PatientFields(
        new.name if "name" in fields else before.name,
        new.birth_date if "birth_date" in fields else before.birth_date,
        new.email if "email" in fields else before.email,
        new.phone if "phone" in fields else before.phone,
    )


def _alike(fields: PatientFields) -> list[locks.Key]:
    """Two who register the same person at once go one after the other, so that the second is warned."""
    marks = [("email", fields.email), ("phone", fields.phone)]
    if fields.birth_date is not None:
        marks.append(("person", f"{fields.name} {fields.birth_date}"))
    return [locks.record(kind, crc32(mark.lower().encode())) for kind, mark in marks if mark is not None]


async def _record(tx: Connection, viewer: Viewer, request: Request, outcome: str, patient: Patient) -> None:
    stored = {"type": outcome, "patient": patient.key}
    at = await changes.now(tx)
    change = Change(viewer, request, at, stored, f"patient:{patient.key}", patient_key=patient.key)
    await changes.record(tx, change)


async def _registered(reader: Reader, outcome: dict[str, Any]) -> PatientRegistered:
    return PatientRegistered(await patients.by_key(reader, outcome["patient"]))


async def _updated(reader: Reader, outcome: dict[str, Any]) -> PatientUpdated:
    return PatientUpdated(await patients.by_key(reader, outcome["patient"]))

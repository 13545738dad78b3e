"""Clinics, providers and visit types, written by admins as whole records: without an id created, with one replaced."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

from adapters.postgres import catalog, changes, clinics, holds, locks, opened
from adapters.postgres.changes import Change, Request, Told
from adapters.postgres.database import Connection, Database, Reader, answering
from domain import access, ids
from domain.access import Viewer
from domain.catalog import ClinicDraft, ProviderDraft, VisitTypeDraft
from domain.clinics import Clinic, Provider, VisitType
from domain.faults import BadInput, Unavailable
from domain.outcomes import (
    ClinicSaved,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    ProviderSaved,
    StaleVersion,
    VisitTypeSaved,
)
from services import coming_up, records, requests
from services.desk import RolledBack
from services.own_writes import NOTHING_KEPT, OwnWrites

Refused = StaleVersion | InvalidInput | IdempotencyMismatch | NotFound
ClinicOutcome = ClinicSaved | Refused
ProviderOutcome = ProviderSaved | Refused
VisitTypeOutcome = VisitTypeSaved | Refused
Draft = TypeVar("Draft", ClinicDraft, ProviderDraft, VisitTypeDraft)


class Catalog:
    def __init__(self, database: Database, own: OwnWrites = NOTHING_KEPT) -> None:
        self._database = database
        self._own = own

    async def save_clinic(
        self, viewer: Viewer, clinic_id: str | None, version: int | None, draft: ClinicDraft, idempotency_key: str
    ) -> ClinicOutcome:
        """One event for the clinic. A change of zone or of `active` also raises the version of every provider there."""
        access.require_admin(viewer)
        request = _request("saveClinic", idempotency_key, clinic_id, version, draft)
        key = None if clinic_id is None else ids.key(clinic_id, ids.CLINIC)
        for _ in range(records.TRIES):
            providers = []
            if key is not None:
                async with answering():
                    providers = await catalog.providers_of_clinic(self._database.primary, key)
            keys = [locks.resource(one) for one in providers]
            keys += [locks.record("clinic", key)] if key is not None else []
            async with self._database.locked((viewer.subject, request.key), keys) as tx:
                outcome = await self._clinic(tx, viewer, request, (clinic_id, key, version), draft, set(providers))
            if outcome is not None:
                if isinstance(outcome, ClinicSaved):
                    self._own.wrote(request.versions)
                    self._own.saved([outcome.clinic.key])
                return outcome
        raise Unavailable("the clinic's providers keep changing")

    async def _clinic(
        self,
        tx: Connection,
        viewer: Viewer,
        request: Request,
        wanted: tuple[str | None, int | None, int | None],
        draft: ClinicDraft,
        locked: set[int],
    ) -> ClinicOutcome | None:
        """None where a provider came to the clinic before the locks were had."""
        answered = await records.used(tx, viewer, request, _clinic_again)
        if answered is not None:
            return answered
        clinic_id, key, version = wanted
        before = None if key is None else (await clinics.clinics(tx, [key])).get(key)
        refused = _refused(clinic_id, before, version)
        if refused is not None:
            return refused
        clean = _checked(draft)
        if isinstance(clean, InvalidInput):
            return clean
        touched: list[int] = []
        if before is not None and (before.time_zone, before.active) != (clean.time_zone, clean.active):
            touched = await catalog.providers_of_clinic(tx, before.key)
            if not locked.issuperset(touched):
                return None
        offered = await opened.waited_for(tx, touched)
        if before is None:
            clinic = await catalog.create_clinic(tx, clean)
        else:
            clinic = await catalog.replace_clinic(tx, before.key, clean)
        told = await _told(tx, touched)
        stored = {"type": "ClinicSaved", "clinic": clinic.key}
        at = await _record(tx, viewer, request, stored, f"clinic:{clinic.key}", told)
        await catalog.tell_clinic(tx, clinic.key, at, records.INVALIDATED)
        await coming_up.offers(tx, touched, offered, at)
        return ClinicSaved(clinic)

    async def save_provider(
        self, viewer: Viewer, provider_id: str | None, version: int | None, draft: ProviderDraft, idempotency_key: str
    ) -> ProviderOutcome:
        """Who leaves a clinic offers nothing there; hours and appointments stay, and count again on return. So for pools."""
        access.require_admin(viewer)
        request = _request("saveProvider", idempotency_key, provider_id, version, draft)
        key = None if provider_id is None else ids.key(provider_id, ids.PROVIDER)
        named = [ids.key(one, ids.CLINIC) for one in draft.clinic_ids[:1000]]
        for _ in range(records.TRIES):
            seen = None
            if key is not None:
                async with answering():
                    seen = (await clinics.providers(self._database.primary, [key])).get(key)
            places = {one for one in named if one is not None} | set(seen.clinic_keys if seen else ())
            keys = [locks.record("clinic", one) for one in places]
            keys += [locks.resource(key)] if key is not None else []
            try:
                async with self._database.locked((viewer.subject, request.key), keys) as tx:
                    outcome = await self._provider(tx, viewer, request, (provider_id, key, version), draft, places)
            except RolledBack as rolled_back:
                outcome = rolled_back.outcome
            if outcome is not None:
                if isinstance(outcome, ProviderSaved):
                    self._own.wrote(request.versions)
                    self._own.saved(sorted({*places, *outcome.provider.clinic_keys}), outcome.provider.key)
                return outcome
        raise Unavailable("the provider's clinics keep changing")

    async def _provider(
        self,
        tx: Connection,
        viewer: Viewer,
        request: Request,
        wanted: tuple[str | None, int | None, int | None],
        draft: ProviderDraft,
        locked: set[int],
    ) -> ProviderOutcome | None:
        """None where the provider came to another clinic before the locks were had."""
        answered = await records.used(tx, viewer, request, _provider_again)
        if answered is not None:
            return answered
        provider_id, key, version = wanted
        before = None if key is None else (await clinics.providers(tx, [key])).get(key)
        refused = _refused(provider_id, before, version)
        if refused is not None:
            return refused
        if before is not None and not locked.issuperset(before.clinic_keys):
            return None
        clean = _checked(draft)
        if isinstance(clean, InvalidInput):
            return clean
        places = await _known_clinics(tx, clean)
        if isinstance(places, NotFound):
            return places
        visits = await _known_visit_types(tx, clean)
        if isinstance(visits, NotFound):
            return visits
        offered = await opened.waited_for(tx, [before.key]) if before else {}
        provider = await _write_provider(tx, before, clean, places, visits)
        shown = sorted({*provider.clinic_keys, *(before.clinic_keys if before else ())})
        told = changes.told_to(provider.key, shown, records.INVALIDATED)
        stored = {"type": "ProviderSaved", "provider": provider.key}
        at = await _record(tx, viewer, request, stored, f"provider:{provider.key}", told)
        await coming_up.offers(tx, [provider.key], offered, at)
        return ProviderSaved(provider)

    async def save_visit_type(
        self,
        viewer: Viewer,
        visit_type_id: str | None,
        version: int | None,
        draft: VisitTypeDraft,
        idempotency_key: str,
    ) -> VisitTypeOutcome:
        """Touches no calendar: durations, buffers and grids are read beside them. One event for each clinic that offers it."""
        access.require_admin(viewer)
        request = _request("saveVisitType", idempotency_key, visit_type_id, version, draft)
        key = None if visit_type_id is None else ids.key(visit_type_id, ids.VISIT_TYPE)
        keys = [] if key is None else [locks.record("visit type", key)]
        async with self._database.locked((viewer.subject, request.key), keys) as tx:
            outcome = await self._visit_type(tx, viewer, request, (visit_type_id, key, version), draft)
        if isinstance(outcome, VisitTypeSaved):
            self._own.saved()
        return outcome

    async def _visit_type(
        self,
        tx: Connection,
        viewer: Viewer,
        request: Request,
        wanted: tuple[str | None, int | None, int | None],
        draft: VisitTypeDraft,
    ) -> VisitTypeOutcome:
        answered = await records.used(tx, viewer, request, _visit_type_again)
        if answered is not None:
            return answered
        visit_type_id, key, version = wanted
        before = None if key is None else (await clinics.visit_types(tx, [key])).get(key)
        refused = _refused(visit_type_id, before, version)
        if refused is not None:
            return refused
        clean = _checked(draft)
        if isinstance(clean, InvalidInput):
            return clean
        if before is not None and before.duration_minutes is None:
            return InvalidInput("durationMinutes", "Its times are published openings, each with its own length.")
        touched: list[int] = []
        if before is not None and clean.active and not before.active:
            touched = await catalog.providers_waited_for(tx, before.key)
        offered = await opened.waited_for(tx, touched)
        if before is None:
            saved = await catalog.create_visit_type(tx, clean)
        else:
            saved = await catalog.replace_visit_type(tx, before.key, clean)
        stored = {"type": "VisitTypeSaved", "visitType": saved.key}
        at = await _record(tx, viewer, request, stored, f"visit-type:{saved.key}", [])
        await catalog.tell_offering_clinics(tx, saved.key, at, records.INVALIDATED)
        await coming_up.offers(tx, touched, offered, at)
        return VisitTypeSaved(saved)


def _request(operation: str, key: str, record_id: str | None, version: int | None, draft: Draft) -> Request:
    return requests.request(operation, key, {"id": record_id, "version": version, "record": asdict(draft)})


def _refused(
    record_id: str | None, before: Clinic | Provider | VisitType | None, version: int | None
) -> NotFound | StaleVersion | InvalidInput | None:
    """What stands against replacing a record, before a look at what it is to be."""
    if record_id is None:
        return None
    return NotFound() if before is None else records.stale(version, before.version)


def _checked(draft: Draft) -> Draft | InvalidInput:
    try:
        return draft.checked()
    except BadInput as fault:
        return records.invalid(fault)


async def _known_clinics(tx: Connection, draft: ProviderDraft) -> list[int] | NotFound:
    keys = [ids.key(one, ids.CLINIC) for one in draft.clinic_ids]
    known = await clinics.clinics(tx, [key for key in keys if key is not None])
    return _known("clinicIds", keys, known, "clinic")


async def _known_visit_types(tx: Connection, draft: ProviderDraft) -> list[int] | NotFound:
    keys = [ids.key(one, ids.VISIT_TYPE) for one in draft.visit_type_ids]
    known = await clinics.visit_types(tx, [key for key in keys if key is not None])
    return _known("visitTypeIds", keys, known, "visit type")


def _known(field: str, keys: list[int | None], known: dict[int, Any], what: str) -> list[int] | NotFound:
    for at, key in enumerate(keys):
        if key not in known:
            return records.unknown(f"{field}.{at}", what)
    return sorted(known)


async def _write_provider(
    tx: Connection, before: Provider | None, draft: ProviderDraft, places: list[int], visits: list[int]
) -> Provider:
    if before is None:
        key = await catalog.create_provider(tx, draft, places, visits)
    else:
        key = await catalog.replace_provider(tx, before.key, draft, places, visits)
    if key is None:
        raise RolledBack(InvalidInput("npi", "Another provider has this National Provider Identifier."))
    return (await clinics.providers(tx, [key]))[key]


async def _told(tx: Connection, provider_keys: list[int]) -> list[Told]:
    """Each provider's change, told to all clinics that show them: no version lacks its event."""
    if not provider_keys:
        return []
    shown = await holds.told_clinics(tx, provider_keys)
    return [told for key in provider_keys for told in changes.told_to(key, shown[key], records.INVALIDATED)]


async def _record(
    tx: Connection, viewer: Viewer, request: Request, outcome: dict[str, Any], entity: str, told: list[Told]
) -> datetime:
    at = await changes.now(tx)
    await changes.record(tx, Change(viewer, request, at, outcome, entity, told=told))
    return at


async def _clinic_again(reader: Reader, outcome: dict[str, Any]) -> ClinicSaved:
    key = outcome["clinic"]
    return ClinicSaved((await clinics.clinics(reader, [key]))[key])


async def _provider_again(reader: Reader, outcome: dict[str, Any]) -> ProviderSaved:
    key = outcome["provider"]
    return ProviderSaved((await clinics.providers(reader, [key]))[key])


async def _visit_type_again(reader: Reader, outcome: dict[str, Any]) -> VisitTypeSaved:
    key = outcome["visitType"]
    return VisitTypeSaved((await clinics.visit_types(reader, [key]))[key])

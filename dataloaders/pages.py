"""Lists that are read one at a time: paged, bounded, and only what the viewer may see."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from adapters.postgres import appointments, changes, clinics, holds, patients
from adapters.postgres.database import Database, answering
from dataloaders import cursors
from dataloaders.cursors import Edge, Page
from dataloaders.loaders import Loaders, ProviderPage
from domain import access
from domain.access import Viewer
from domain.appointments import Appointment, AppointmentStatus, AppointmentTime, Hold, Patient
from domain.clinics import Clinic, GeoPoint, Provider, VisitType
from domain.faults import BadInput, Unavailable

NAME_MAX: Final = 200
EARTH_HALF_KM: Final = 20_100.0
FIRST_INSTANT: Final = datetime(1900, 1, 1, tzinfo=UTC)
LAST_INSTANT: Final = datetime(2300, 1, 1, tzinfo=UTC)


class Pages:
    def __init__(self, database: Database, viewer: Viewer, loaders: Loaders) -> None:
        self._database = database
        self._viewer = viewer
        self._loaders = loaders

    async def clinics(
        self, near: GeoPoint | None, within_km: float | None, name: str | None, first: int, after: str | None
    ) -> Page[Clinic]:
        """By name, or by distance with `near`; active ones."""
        name, limit = text(name, "name"), cursors.bounded(first) + 1
        if within_km is not None and near is None:
            raise BadInput("withinKm", "A distance needs a place: give `near` too.")
        if within_km is not None and not 0 <= within_km <= EARTH_HALF_KM:
            raise BadInput("withinKm", "From 0 to 20,100 km.")
        async with answering():
            if near is None:
                start = cursors.read(after, "clinics", ("", 0))
                rows = await clinics.clinics_by_name(self._loaders.reader, name, (start[0], start[1]), limit)
                edges = [Edge(("clinics", sort, one.key), one) for sort, one in rows]
            else:
                _on_globe(near)
                start = cursors.read(after, "near", (-1.0, 0))
                found = await clinics.clinics_by_distance(
                    self._loaders.reader, near, within_km, name, (start[0], start[1]), limit
                )
                edges = [Edge(("near", km, one.key), one) for km, one in found]
        self._loaders.clinic.prime_many({edge.node.key: edge.node for edge in edges})
        return cursors.page(edges, first, after=after is not None)

    async def providers(
        self,
        clinic_key: int | None,
        specialty: str | None,
        language: str | None,
        name: str | None,
        first: int,
        after: str | None,
    ) -> Page[Provider]:
        """By name; active ones."""
        name, specialty, language = text(name, "name"), text(specialty, "specialty"), text(language, "language")
        limit = cursors.bounded(first) + 1
        sort, key = cursors.read(after, "providers", ("", 0))
        async with answering():
            if clinic_key is None:
                rows = await clinics.providers_by_name(
                    self._loaders.reader, specialty, language, name, (sort, key), limit
                )
            else:
                rows = await self._at_clinic(clinic_key, specialty, language, name, (sort, key), limit)
        return self._provider_page(rows, first, after)

    async def _at_clinic(
        self,
        clinic_key: int,
        specialty: str | None,
        language: str | None,
        name: str | None,
        after: tuple[str, int],
        limit: int,
    ) -> list[tuple[str, Provider]]:
        reader = self._loaders.reader
        if language is None and name is None:
            found = await self._loaders.standing.providers_at_clinics(reader, [clinic_key], specialty, after, limit)
        else:
            found = await clinics.providers_at_clinics(reader, [clinic_key], specialty, language, name, after, limit)
        return found[clinic_key]

    async def providers_at(
        self, clinic_key: int, specialty: str | None, first: int, after: str | None
    ) -> Page[Provider]:
        """The same for one clinic of many: batched."""
        specialty, limit = text(specialty, "specialty"), cursors.bounded(first) + 1
        sort, key = cursors.read(after, "providers", ("", 0))
        rows = await self._loaders.provider_page.load(ProviderPage(clinic_key, specialty, (sort, key), limit))
        return self._provider_page(rows, first, after)

    async def visit_types(self) -> list[VisitType]:
        async with answering():
            return await clinics.active_visit_types(self._loaders.reader)

    async def specialties(self) -> list[str]:
        async with answering():
            return await clinics.specialties(self._loaders.reader)

    async def appointments_of(
        self,
        patient_key: int,
        when: AppointmentTime | None,
        statuses: Sequence[AppointmentStatus] | None,
        first: int,
        after: str | None,
    ) -> Page[Appointment]:
        """A patient's: upcoming soonest first; past and all latest first. Staff see those at their own clinics."""
        limit = cursors.bounded(first) + 1
        upcoming = when is AppointmentTime.UPCOMING
        kind = f"appointments:{patient_key}:{when.name if when else 'ALL'}"
        edge = FIRST_INSTANT.timestamp() if upcoming else LAST_INSTANT.timestamp()
        at, key = cursors.read(after, kind, (edge, 0 if upcoming else (1 << 63) - 1))
        if not FIRST_INSTANT.timestamp() <= at <= LAST_INSTANT.timestamp():
            raise BadInput("after", "This is not a cursor of this list.")
        start = (datetime.fromtimestamp(at, UTC), key)
        keys = (
            sorted(self._viewer.clinic_keys) if self._viewer.is_staff and self._viewer.clinic_keys is not None else None
        )
        wanted = None if statuses is None else [status.value for status in statuses]
        async with answering():
            reader = self._loaders.reader
            if upcoming:
                rows = await appointments.upcoming(reader, patient_key, keys, wanted, start, limit)
            else:
                past = when is AppointmentTime.PAST
                rows = await appointments.latest(reader, patient_key, keys, wanted, start, limit, past_only=past)
        self._loaders.read_patient(patient_key)
        edges = [Edge((kind, one.starts_at.timestamp(), one.key), one) for one in rows]
        return cursors.page(edges, first, after=after is not None)

    async def patients(self, search: str, first: int, after: str | None) -> Page[Patient]:
        """Staff: by name prefix, birth date, phone or e-mail; of their own clinics."""
        access.require_staff(self._viewer)
        looked_for, limit = text(search, "search"), cursors.bounded(first) + 1
        sort, key = cursors.read(after, "patients", ("", 0))
        if looked_for is None:
            return cursors.page([], first, after=after is not None)
        async with answering():
            rows = await patients.search(self._loaders.reader, self._viewer, looked_for, (sort, key), limit)
        edges = [Edge(("patients", name, one.key), one) for name, one in rows]
        for edge in edges[:first]:
            self._loaders.read_patient(edge.node.key)
        return cursors.page(edges, first, after=after is not None)

    async def holds(self) -> list[Hold]:
        """The caller's live ones."""
        if self._viewer.role is access.Role.ANONYMOUS:
            return []
        async with answering():
            return [one.hold for one in await holds.of_caller(self._database.primary, self._viewer.subject)]

    async def hold(self, key: int) -> Hold | None:
        """A live hold of the caller."""
        stored = await self._loaders.hold.load(key)
        if stored is None or stored.hold.caller != self._viewer.subject or stored.hold.expires_at <= stored.now:
            return None
        return stored.hold

    async def now(self) -> datetime:
        """By the database's clock; one moment for the whole operation."""
        return await self._loaders.clock.load(None)

    async def write_audit(self) -> None:
        """One row for each patient whose data this operation read; without it there is no answer (rule 22)."""
        keys, self._loaders.audited = self._loaders.audited, set()
        if not keys:
            return
        self._loaders.written |= keys
        try:
            async with answering():
                await changes.audit_reads(self._database.primary, self._viewer, self._loaders.operation, sorted(keys))
        except Exception as error:
            raise Unavailable("audit") from error

    def _provider_page(self, rows: Sequence[tuple[str, Provider]], first: int, after: str | None) -> Page[Provider]:
        self._loaders.provider.prime_many({one.key: one for _, one in rows})
        edges = [Edge(("providers", sort, one.key), one) for sort, one in rows]
        return cursors.page(edges, first, after=after is not None)


def text(value: str | None, field: str) -> str | None:
    """A text that is looked for: trimmed, None where it is blank. Raises BadInput where it is too long or no text."""
    if value is None:
        return None
    if len(value) > NAME_MAX or "\x00" in value:
        raise BadInput(field, f"At most {NAME_MAX} characters of text.")
    return value.strip() or None


def _on_globe(point: GeoPoint) -> None:
    if not (-90 <= point.latitude <= 90 and -180 <= point.longitude <= 180):
        raise BadInput("near", "Latitude from -90 to 90, longitude from -180 to 180.")

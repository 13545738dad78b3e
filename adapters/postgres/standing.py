"""Who offers care and where, as it stands: from this process where it keeps that and can be sure of it, else from PostgreSQL."""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from adapters.postgres import calendars, clinics
from adapters.postgres.database import Database, Reader
from domain.clinics import Clinic, Provider, VisitType

V = TypeVar("V")
Page = list[tuple[str, Provider]]


class Memory(Protocol):
    """What this process keeps while the streams tell of changes. `ticket` is had before a read of the primary, and given with
    what it answered; None where nothing would be kept. Lists belong to a clinic, each kind of them has a name."""

    def ticket(self) -> int | None: ...

    def find(self, kind: str, keys: Sequence[int]) -> dict[int, Any]: ...

    def learn(self, ticket: int | None, kind: str, found: Mapping[int, Any]) -> None: ...

    def find_lists(self, clinic_keys: Sequence[int], name: Hashable) -> dict[int, Any]: ...

    def learn_lists(self, ticket: int | None, name: Hashable, found: Mapping[int, Any]) -> None: ...


class Standing:
    """Answers as the functions of the same names do. A view of one moment is read as it is: nothing is kept of it."""

    def __init__(self, database: Database, memory: Memory | None = None) -> None:
        self._database = database
        self._memory = memory

    async def clinics(self, reader: Reader, keys: Sequence[int]) -> dict[int, Clinic]:
        return await self._by_key(reader, "clinic", keys, clinics.clinics)

    async def providers(self, reader: Reader, keys: Sequence[int]) -> dict[int, Provider]:
        return await self._by_key(reader, "provider", keys, clinics.providers)

    async def visit_types(self, reader: Reader, keys: Sequence[int]) -> dict[int, VisitType]:
        return await self._by_key(reader, "visit type", keys, clinics.visit_types)

    async def visit_types_at_clinics(self, reader: Reader, clinic_keys: Sequence[int]) -> dict[int, list[int]]:
        return await self._lists(reader, "visit types", clinic_keys, clinics.visit_types_at_clinics)

    async def providers_at_clinics(
        self, reader: Reader, clinic_keys: Sequence[int], specialty: str | None, after: tuple[str, int], limit: int
    ) -> dict[int, Page]:
        async def read(reader: Reader, keys: Sequence[int]) -> dict[int, Page]:
            return await clinics.providers_at_clinics(reader, keys, specialty, None, None, after, limit)

        return await self._lists(reader, ("providers", specialty, after, limit), clinic_keys, read)

    async def offering_providers(
        self, reader: Reader, clinic_key: int, visit_type_key: int, among: Sequence[int] | None = None
    ) -> list[int]:
        async def read(reader: Reader, keys: Sequence[int]) -> dict[int, list[int]]:
            return {key: await calendars.offering_providers(reader, key, visit_type_key) for key in keys}

        if among is not None and self._memory_for(reader) is None:
            return await calendars.offering_providers(reader, clinic_key, visit_type_key, among)
        found = (await self._lists(reader, ("offering", visit_type_key), [clinic_key], read))[clinic_key]
        return found if among is None else [key for key in found if key in set(among)]

    async def _by_key(
        self,
        reader: Reader,
        kind: str,
        keys: Sequence[int],
        read: Callable[[Reader, Sequence[int]], Awaitable[dict[int, V]]],
    ) -> dict[int, V]:
        memory = self._memory_for(reader)
        if memory is None:
            return await read(reader, keys)
        ticket = memory.ticket()
        found: dict[int, V] = memory.find(kind, keys)
        missing = [key for key in keys if key not in found]
        if missing:
            read_now = await read(self._database.primary if ticket is not None else reader, missing)
            memory.learn(ticket, kind, read_now)
            found.update(read_now)
        return found

    async def _lists(
        self,
        reader: Reader,
        name: Hashable,
        clinic_keys: Sequence[int],
        read: Callable[[Reader, Sequence[int]], Awaitable[dict[int, V]]],
    ) -> dict[int, V]:
        memory = self._memory_for(reader)
        if memory is None:
            return await read(reader, clinic_keys)
        ticket = memory.ticket()
        found: dict[int, V] = memory.find_lists(clinic_keys, name)
        missing = [key for key in clinic_keys if key not in found]
        if missing:
            read_now = await read(self._database.primary if ticket is not None else reader, missing)
            memory.learn_lists(ticket, name, read_now)
            found.update(read_now)
        return found

    def _memory_for(self, reader: Reader) -> Memory | None:
        return self._memory if reader in (self._database.primary, self._database.replica) else None

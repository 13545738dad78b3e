"""A scheduling API as the manuals of Strawberry, asyncpg and redis-py teach it, with slots stored as rows.

It does: DataLoaders built per request, one batched statement per list, an index that fits each statement, an
asyncpg pool with its defaults (prepared statements included), uvicorn with uvloop and httptools, no access log,
a fail-fast Redis lock around a booking transaction of 5 statements, and a unique index behind it.
It does not: cache parsed or validated documents, replace the JSON encoder or the executor, tune the garbage
collector or the pool, authenticate, know idempotency keys, or compute anything about a calendar.
"""

import enum
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any

import asyncpg
import redis.asyncio
import strawberry
from asyncpg.pool import PoolConnectionProxy
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader

PROVIDER = "select id, name from providers where id = any($1::bigint[])"
PROVIDERS_OF_CLINIC = """
select p.id, p.name from providers p join provider_clinics c on c.provider_id = p.id
where c.clinic_id = $1 and p.name > $2 order by p.name limit $3
"""
CLINICS_OF_PROVIDERS = """
select p.provider_id, c.id, c.name, c.time_zone from provider_clinics p join clinics c on c.id = p.clinic_id
where p.provider_id = any($1::bigint[]) order by p.provider_id, c.name
"""
FREE_SLOTS = """
select s.id, s.provider_id, s.starts_at, s.ends_at, s.status
from unnest($1::bigint[]) p(id) cross join lateral (
    select * from slots
    where provider_id = p.id and clinic_id = $2 and visit_type_id = $3 and status = 'FREE'
      and local_date between $4 and $5
    order by local_date, starts_at limit $6
) s
"""
LOCK_SLOT = "select id, provider_id, starts_at, ends_at, status from slots where id = $1 for update"
TAKE_SLOT = "update slots set status = 'BUSY' where id = $1"
ADD_APPOINTMENT = """
insert into appointments (slot_id, patient_id, provider_id, starts_at, ends_at, status)
values ($1, $2, $3, $4, $5, 'BOOKED') returning id
"""
ADD_EVENT = "insert into appointment_events (appointment_id, change) values ($1, 'BOOKED')"
ADD_OUTBOX = """
insert into outbox (topic, payload)
values ('appointments', jsonb_build_object('appointment', $1::bigint, 'slot', $2::bigint))
"""

# In a burst a holder waits long for its turn: with 10 s some locks run out, and their release is an error.
LOCK_SECONDS = 120


@dataclass
class Servers:
    pool: asyncpg.Pool
    redis: redis.asyncio.Redis


@dataclass(frozen=True)
class SlotsOf:
    """What a DataLoader key has to name: the provider and all arguments of the field."""

    provider: int
    clinic: int
    visit_type: int
    start: date
    end: date
    first: int


async def load_providers(servers: Servers, keys: list[int]) -> "Sequence[Provider | None]":
    rows = await servers.pool.fetch(PROVIDER, keys)
    found = {row["id"]: Provider(id=strawberry.ID(str(row["id"])), name=row["name"]) for row in rows}
    return [found.get(key) for key in keys]


async def load_clinics(servers: Servers, keys: list[int]) -> "Sequence[list[Clinic]]":
    found: dict[int, list[Clinic]] = defaultdict(list)
    for row in await servers.pool.fetch(CLINICS_OF_PROVIDERS, keys):
        clinic = Clinic(id=strawberry.ID(str(row["id"])), name=row["name"], time_zone=row["time_zone"])
        found[row["provider_id"]].append(clinic)
    return [found[key] for key in keys]


async def load_slots(servers: Servers, keys: list[SlotsOf]) -> "Sequence[list[Slot]]":
    """One statement for all providers that were asked the same question."""
    asked: dict[tuple[int, int, date, date, int], list[int]] = defaultdict(list)
    for key in keys:
        asked[key.clinic, key.visit_type, key.start, key.end, key.first].append(key.provider)
    found: dict[SlotsOf, list[Slot]] = defaultdict(list)
    for question, providers in asked.items():
        for row in await servers.pool.fetch(FREE_SLOTS, providers, *question):
            slot = Slot(
                id=strawberry.ID(str(row["id"])),
                starts_at=row["starts_at"],
                ends_at=row["ends_at"],
                status=SlotStatus(row["status"]),
            )
            found[SlotsOf(row["provider_id"], *question)].append(slot)
    return [found[key] for key in keys]


class Loaders:
    def __init__(self, servers: Servers) -> None:
        self.providers = DataLoader(load_fn=partial(load_providers, servers))
        self.clinics = DataLoader(load_fn=partial(load_clinics, servers))
        self.slots = DataLoader(load_fn=partial(load_slots, servers))


@dataclass
class Context:
    servers: Servers
    loaders: Loaders


Info = strawberry.Info[Context, None]


@strawberry.enum
class SlotStatus(enum.Enum):
    FREE = "FREE"
    BUSY = "BUSY"


@strawberry.enum
class AppointmentStatus(enum.Enum):
    BOOKED = "BOOKED"
    CANCELLED = "CANCELLED"


@strawberry.type
class Clinic:
    id: strawberry.ID
    name: str
    time_zone: str


@strawberry.type
class Slot:
    id: strawberry.ID
    starts_at: datetime
    ends_at: datetime
    status: SlotStatus


@strawberry.type
class Provider:
    id: strawberry.ID
    name: str

    @strawberry.field
    async def clinics(self, info: Info) -> list[Clinic]:
        return await info.context.loaders.clinics.load(int(self.id))

    @strawberry.field
    async def slots(
        self,
        info: Info,
        clinic_id: strawberry.ID,
        visit_type_id: strawberry.ID,
        start: Annotated[date, strawberry.argument(name="from")],
        end: Annotated[date, strawberry.argument(name="to")],
        first: int = 50,
    ) -> list[Slot]:
        key = SlotsOf(int(self.id), int(clinic_id), int(visit_type_id), start, end, first)
        return await info.context.loaders.slots.load(key)


@strawberry.type
class ProviderEdge:
    cursor: str
    node: Provider


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class ProviderConnection:
    edges: list[ProviderEdge]
    page_info: PageInfo


@strawberry.type
class Appointment:
    id: strawberry.ID
    status: AppointmentStatus
    starts_at: datetime
    ends_at: datetime


@strawberry.type
class AppointmentBooked:
    appointment: Appointment


@strawberry.type
class SlotTaken:
    message: str


@strawberry.type
class NotFound:
    message: str


BookAppointmentResult = Annotated[AppointmentBooked | SlotTaken | NotFound, strawberry.union("BookAppointmentResult")]


@strawberry.input
class BookAppointmentInput:
    slot_id: strawberry.ID
    patient_id: strawberry.ID
    reason: str | None = None


@strawberry.type
class Query:
    @strawberry.field
    async def provider(self, info: Info, id: strawberry.ID) -> Provider | None:
        return await info.context.loaders.providers.load(int(id))

    @strawberry.field
    async def providers(
        self, info: Info, clinic_id: strawberry.ID, first: int = 20, after: str = ""
    ) -> ProviderConnection:
        rows = await info.context.servers.pool.fetch(PROVIDERS_OF_CLINIC, int(clinic_id), after, first + 1)
        edges = [
            ProviderEdge(cursor=row["name"], node=Provider(id=strawberry.ID(str(row["id"])), name=row["name"]))
            for row in rows[:first]
        ]
        page = PageInfo(has_next_page=len(rows) > first, end_cursor=edges[-1].cursor if edges else None)
        return ProviderConnection(edges=edges, page_info=page)


async def book(
    connection: PoolConnectionProxy, slot_id: int, patient_id: int
) -> AppointmentBooked | SlotTaken | NotFound:
    async with connection.transaction():
        slot = await connection.fetchrow(LOCK_SLOT, slot_id)
        if slot is None:
            return NotFound(message="There is no such slot.")
        if slot["status"] != "FREE":
            return SlotTaken(message="This time has just been taken.")
        await connection.execute(TAKE_SLOT, slot_id)
        appointment_id = await connection.fetchval(
            ADD_APPOINTMENT, slot_id, patient_id, slot["provider_id"], slot["starts_at"], slot["ends_at"]
        )
        await connection.execute(ADD_EVENT, appointment_id)
        await connection.execute(ADD_OUTBOX, appointment_id, slot_id)
    return AppointmentBooked(
        appointment=Appointment(
            id=strawberry.ID(str(appointment_id)),
            status=AppointmentStatus.BOOKED,
            starts_at=slot["starts_at"],
            ends_at=slot["ends_at"],
        )
    )


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def book_appointment(self, info: Info, input: BookAppointmentInput) -> BookAppointmentResult:
        servers = info.context.servers
        lock = servers.redis.lock(f"slot:{input.slot_id}", timeout=LOCK_SECONDS, blocking=False)
        if not await lock.acquire():
            return SlotTaken(message="Somebody is booking this time.")
        try:
            async with servers.pool.acquire() as connection:
                return await book(connection, int(input.slot_id), int(input.patient_id))
        finally:
            await lock.release()


class Endpoint(GraphQL[Context, None]):
    async def get_context(self, request: Request | Any, response: Response | Any) -> Context:
        servers = request.app.state.servers
        return Context(servers, Loaders(servers))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"]) as pool:
        # The default pool raises above 100 connections and a burst outlasts the default timeouts: both would be
        # errors to clients.
        connections = redis.asyncio.BlockingConnectionPool.from_url(
            os.environ["REDIS_URL"], timeout=None, socket_timeout=None, socket_connect_timeout=None
        )
        client = redis.asyncio.Redis.from_pool(connections)
        app.state.servers = Servers(pool, client)
        yield
        await client.aclose()


app = Starlette(routes=[Route("/graphql", Endpoint(strawberry.Schema(Query, Mutation)))], lifespan=lifespan)

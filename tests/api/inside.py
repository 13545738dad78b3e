"""The product in this process, its statements written down, and the reads that the tests ask of it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from app.embedded import Addresses
from app.settings import Settings
from app.web import application
from app.wiring import Product, product
from schema.root import schema
from tests.api.client import Client

DAY = """query Q($p: ID!, $c: ID!, $v: ID!, $a: Date!, $b: Date!) { node(id: $p) { ... on Provider {
    slots(clinicId: $c, visitTypeId: $v, from: $a, to: $b, first: 200) {
        id startsAt status provider { name } clinic { name } visitType { name } } } } }"""
SLOT_PAGE = """query Q($first: Int!, $c: ID!, $v: ID!, $a: Date!, $b: Date!) {
    providers(clinicId: $c, first: $first) { edges { node {
    id name clinics { name visitTypes { id } } visitTypes { name }
    slots(clinicId: $c, visitTypeId: $v, from: $a, to: $b, first: 10) { id startsAt clinic { id } } } } } }"""
SNAPSHOT = """query Q($c: ID!, $v: ID!, $a: Date!, $b: Date!, $l: StreamCursor) {
    availability(filter: { clinicId: $c, visitTypeId: $v, from: $a, to: $b }, atLeast: $l) {
        cursor through slots { id left startsAt } } }"""
CHART = """query Q($t: ID!, $first: Int!) { patient(id: $t) { appointments(first: $first) { edges { node {
    id status changeableUntil
    provider { name } clinic { name } visitType { name } patient { name } history { at } } } } } }"""
SHEET = """query Q($c: ID!, $d: Date!) { clinicDay(clinicId: $c, date: $d) { clinic { name } providers { provider { name }
    schedule { version hours { weekday visitTypes { name } } } openMinutes bookedMinutes
    appointments { id startsAt patient { name } visitType { name } provider { name } } } } }"""
CLINICS = """query Q($first: Int!) { clinics(first: $first) { edges { node { name visitTypes { name }
    providers(first: 5) { edges { node { name clinics { name } visitTypes { name } } } } } } } }"""


@dataclass
class Counted:
    """A client of a product in this process whose statements are written down."""

    client: Client
    statements: list[str] = field(default_factory=list)
    product: Product | None = None

    async def ask(self, query: str, variables: dict[str, Any], token: str | None = None) -> tuple[Any, int]:
        """The answer, and how many statements it took once caches are warm."""
        await self.client.ask(query, variables, token)
        self.statements.clear()
        found = (await self.client.ask(query, variables, token)).data
        return found, len([one for one in self.statements if not one.startswith(("BEGIN", "COMMIT")) and _is_ours(one)])


def _is_ours(statement: str) -> bool:
    """The driver asks each new connection once about types; that is none of the operation's questions."""
    return "typeinfo_tree" not in statement and "current_setting('jit')" not in statement


@asynccontextmanager
async def inside(settings: Settings, addresses: Addresses) -> AsyncIterator[Counted]:
    async with product(settings.model_copy(update={"database_connections": 3}), addresses) as built:
        transport = httpx2.ASGITransport(app=application(built, schema))
        async with httpx2.AsyncClient(transport=transport, base_url="http://inside") as http:
            counted = Counted(Client(http, settings), product=built)
            async with AsyncExitStack() as taken:
                for _ in range(3):
                    connection = await taken.enter_async_context(built.database.primary.acquire())
                    connection.add_query_logger(lambda record: counted.statements.append(record.query.strip()))
            yield counted

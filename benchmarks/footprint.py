"""How much memory the product's API process holds with the demo's clinics."""

import asyncio
from datetime import timedelta
from pathlib import Path

from benchmarks.contests import BOOKERS
from benchmarks.cpu import resident_mb
from benchmarks.load import Client, request
from benchmarks.population import Population, tomorrow
from benchmarks.rivals import PAGE_DOCUMENT, Ids, Product, new_database

CLINICS = 210
DAYS = 7
PASSES = 3

ALL_CLINICS = """query ($after: String) {
  clinics(first: 100, after: $after) { edges { node { id visitTypes { id } } } pageInfo { hasNextPage endCursor } }
}"""


class Demo(Product):
    name = "memory"

    async def fill(self) -> None:
        await asyncio.to_thread(self.tell, "migrate")
        await asyncio.to_thread(self.tell, "demo", "--clinics", str(CLINICS))

    async def find_ids(self) -> Ids:
        return Ids({}, {}, {}, "")

    async def pages(self) -> list[bytes]:
        """Every clinic's first 20 providers with the times of a week, for each of its visit types."""
        made, after = [], None
        window = {
            "from": tomorrow().isoformat(),
            "to": (tomorrow() + timedelta(days=DAYS - 1)).isoformat(),
            "first": 10,
        }
        while True:
            found = (await self.ask(ALL_CLINICS, after=after))["clinics"]
            for node in (edge["node"] for edge in found["edges"]):
                for visit_type in node["visitTypes"]:
                    variables = {"clinic": node["id"], "type": visit_type["id"], **window}
                    made.append(request({"query": PAGE_DOCUMENT, "variables": variables}))
            if not found["pageInfo"]["hasNextPage"]:
                return made
            after = found["pageInfo"]["endCursor"]


async def measure_memory(database_url: str, redis_url: str, folder: Path) -> float:
    """Megabytes, after every page was asked for several times by 100 clients at once."""
    demo = Demo(Population(tomorrow()), database_url, redis_url, folder)
    await new_database(database_url, f"bench_{demo.name}")
    await demo.fill()
    client = Client()
    try:
        await demo.start()
        requests = await demo.pages() * PASSES
        client.prepare(demo.port, BOOKERS, requests)
        load = client.run()
        if load.failures:
            raise SystemExit(f"{load.failures} of {load.requests} answers failed:\n{load.failure}")
        assert demo.process
        return resident_mb(demo.process.pid)
    finally:
        client.close()
        await demo.stop()

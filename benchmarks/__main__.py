"""`python -m benchmarks [day page book burst memory live search]`: the product beside a stock app, in one run."""

import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.embedded import Addresses, servers
from app.settings import Settings
from benchmarks import live_report, report, search_report
from benchmarks.contests import CONTESTS, QUICK, Match, Results, Sizes
from benchmarks.cpu import postmaster, redis_process
from benchmarks.footprint import measure_memory
from benchmarks.live import LIVE_QUICK, LiveSizes, measure_live
from benchmarks.load import Client
from benchmarks.population import Population, tomorrow
from benchmarks.rivals import Product, Reference, Rival, new_database
from benchmarks.search import SEARCH_QUICK, SearchSizes, measure_search

RESULTS = Path(__file__).parent / "results.md"
SIDES: dict[str, type[Rival]] = {"reference": Reference, "product": Product}
MEMORY, LIVE, SEARCH = "memory", "live", "search"

console = Console(width=None if sys.stdout.isatty() else 200)


async def measure(
    names: Sequence[str],
    sides: Sequence[str],
    sizes: Sizes,
    live: LiveSizes,
    search: SearchSizes,
    say: Callable[[str], None],
) -> Results:
    results = Results()
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        folder = Path(name)
        say("starting PostgreSQL and Redis")
        async with servers(Settings(data_dir=folder / "servers")) as addresses:
            if any(name in CONTESTS for name in names):
                await compete(names, sides, sizes, addresses, folder, results, say)
            if MEMORY in names and "product" in sides:
                say("memory with the demo's clinics")
                results.memory_mb = await measure_memory(addresses.database_url, addresses.redis_url or "", folder)
            if LIVE in names:
                say("the live calendar")
                results.live = await measure_live(addresses.database_url, addresses.redis_url or "", folder, live, say)
            if SEARCH in names:
                results.search = await measure_search(
                    addresses.database_url, addresses.redis_url or "", folder, search, say
                )
    return results


async def compete(
    names: Sequence[str],
    sides: Sequence[str],
    sizes: Sizes,
    addresses: Addresses,
    folder: Path,
    results: Results,
    say: Callable[[str], None],
) -> None:
    database_url, redis_url = addresses.database_url, addresses.redis_url or ""
    population = Population(tomorrow(), sizes.clinics, sizes.providers)
    rivals = [SIDES[side](population, database_url, redis_url, folder) for side in sides]
    say("filling the databases")
    await asyncio.gather(*(prepare(rival, database_url) for rival in rivals))
    async with AsyncExitStack() as stack:
        say("starting the servers")
        for rival in rivals:
            stack.push_async_callback(rival.stop)
            await rival.start()
        client = Client()
        stack.callback(client.close)
        pids = await postmaster(database_url), await redis_process(redis_url)
        match = Match(population, rivals, client, redis_url, *pids, sizes, results, say)
        for name in names:
            if name in CONTESTS:
                await CONTESTS[name](match)


async def prepare(rival: Rival, database_url: str) -> None:
    await new_database(database_url, f"bench_{rival.name}")
    await rival.fill()


def tell(results: Results) -> None:
    if results.live is not None:
        console.print(live_report.table(results.live))
        for note in results.live.notes:
            console.print(note, highlight=False)
    if results.search is not None:
        console.print(search_report.table(results.search))
        for line in search_report.said(results.search):
            console.print(line, highlight=False)


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="day, page, book, burst, memory, live, search; default: all")
    ] = None,
    quick: Annotated[
        bool, typer.Option(help="one small round of each but memory, live and search, at most a minute")
    ] = False,
    side: Annotated[list[str] | None, typer.Option(help="reference or product alone")] = None,
    output: Annotated[Path | None, typer.Option(help="write the page here")] = None,
) -> None:
    wanted = names or ([*CONTESTS] if quick else [*CONTESTS, MEMORY, LIVE, SEARCH])
    sides = side or list(SIDES)
    if unknown := (set(wanted) - {*CONTESTS, MEMORY, LIVE, SEARCH}) | (set(sides) - set(SIDES)):
        raise typer.BadParameter(f"unknown: {', '.join(sorted(unknown))}")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a burst needs a socket for each attempt
    loads: list[float] = []
    began = time.monotonic()

    def say(what: str) -> None:
        loads.append(os.getloadavg()[0])
        console.print(f"[dim]{time.monotonic() - began:5.0f} s  {what}[/dim]", highlight=False)

    results = asyncio.run(
        measure(
            wanted,
            sides,
            QUICK if quick else Sizes(),
            LIVE_QUICK if quick else LiveSizes(),
            SEARCH_QUICK if quick else SearchSizes(),
            say,
        )
    )
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    about = report.facts(command, loads, time.monotonic() - began)
    if results.measures:
        console.print(report.table(results))
    tell(results)
    for line in (report.memory(results), *about):
        if line:
            console.print(line, highlight=False)
    everything = not (names or quick or side)
    if place := output or (RESULTS if everything else None):
        place.write_text(report.page(results, about))
        console.print(f"written to {place}")


if __name__ == "__main__":
    command = typer.Typer(pretty_exceptions_enable=False)
    command.command()(main)
    command()

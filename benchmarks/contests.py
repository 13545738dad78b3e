"""What is measured: each contest asks both sides the same in turns, and checks what they answered."""

import random
import resource
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from benchmarks.cpu import CpuTime, Processes, cpu_time
from benchmarks.live import LiveResults
from benchmarks.load import Client, Load
from benchmarks.population import Population
from benchmarks.rivals import Bookable, Plain, Product, Rival, instant, number
from benchmarks.search import SearchResults

READERS = 8
BOOKERS = 100
ATTEMPTS = 100
DESCRIPTORS_KEPT = 100
WINDOW = 2  # days after the first: both halves of a provider's week lie in it
BOOKED_DAY = 3  # the population's last, so that bookings leave the reads alone


@dataclass(frozen=True)
class Sizes:
    """How much there is, and how much is asked in one round."""

    clinics: int = 200
    providers: int = 2000
    rounds: int = 3
    days: int = 800
    pages: int = 200
    warm_up: int = 100
    bookings: int = 1000
    bursts: int = 1
    contested: int = 100


QUICK = Sizes(clinics=60, providers=600, rounds=1, days=300, pages=60, warm_up=100, bookings=400, contested=20)


@dataclass(frozen=True)
class Measure:
    load: Load
    cpu: CpuTime


@dataclass
class Results:
    """Measures by (contest, side), one a round."""

    measures: dict[tuple[str, str], list[Measure]] = field(default_factory=dict)
    memory_mb: float | None = None
    live: LiveResults | None = None
    search: SearchResults | None = None

    def add(self, contest: str, rival: Rival, measure: Measure) -> None:
        self.measures.setdefault((contest, rival.name), []).append(measure)


@dataclass
class Match:
    population: Population
    rivals: Sequence[Rival]
    client: Client
    redis_url: str
    postgres: int
    redis: int
    sizes: Sizes
    results: Results
    say: Callable[[str], None]

    def measure(self, rival: Rival, requests: list[bytes], connections: int) -> Measure:
        assert rival.process
        processes = Processes(rival.process.pid, self.postgres, self.redis)
        self.client.prepare(rival.port, connections, requests)
        before = cpu_time(processes)
        load = self.client.run()
        measure = Measure(load, cpu_time(processes) - before)
        if load.failures:
            raise SystemExit(
                f"{load.failures} of {load.requests} answers of the {rival.name} failed:\n{load.failure}\n{rival.last_words()}"
            )
        return measure

    def in_turns(self, round_: int) -> Iterable[Rival]:
        return self.rivals if round_ % 2 == 0 else reversed(self.rivals)


def day_requests(match: Match, rival: Rival, seed: object) -> list[bytes]:
    """No provider twice: nothing that one answer leaves behind serves another."""
    chance = random.Random(f"day {seed}")
    providers = chance.sample(range(1, match.population.providers + 1), match.sizes.days)
    return [rival.day(p, match.population.day(chance.randrange(BOOKED_DAY))) for p in providers]


def page_requests(match: Match, rival: Rival, seed: object) -> list[bytes]:
    """No clinic twice, but each provider works at two."""
    chance = random.Random(f"page {seed}")
    clinics = chance.sample(range(1, match.population.clinics + 1), match.sizes.pages)
    return [rival.page(c, match.population.day(0), match.population.day(WINDOW)) for c in clinics]


async def read(match: Match, name: str, make: Callable[[Match, Rival, object], list[bytes]]) -> None:
    """Nothing is asked for twice in a round. What is kept serves the product alone; its other process keeps no calendars."""
    async with AsyncExitStack() as stack:
        asked = [(name, rival) for rival in match.rivals]
        for rival in [one for one in match.rivals if isinstance(one, Product)]:
            plain = Plain(rival)
            stack.push_async_callback(plain.stop)
            await plain.start()
            asked = [(name if one is not rival else f"{name}, from memory", one) for _, one in asked]
            asked.append((name, plain))
        for _, rival in asked:
            await rival.settled()
            match.measure(rival, make(match, rival, "warm-up")[: match.sizes.warm_up], READERS)
        for round_ in range(match.sizes.rounds):
            match.say(f"{name}, round {round_ + 1} of {match.sizes.rounds}")
            for contest, rival in asked if round_ % 2 == 0 else reversed(asked):
                match.results.add(contest, rival, match.measure(rival, make(match, rival, round_), READERS))


async def day(match: Match) -> None:
    """The open times of one provider on one day."""
    await same_days(match)
    await read(match, "day", day_requests)


async def page(match: Match) -> None:
    """The 20 providers of a clinic, each with its clinics and its next 10 open times."""
    await same_pages(match)
    await read(match, "page", page_requests)


async def same_days(match: Match, tries: int = 20) -> None:
    """Both sides must call the same times open, or the comparison means nothing."""
    chance = random.Random("same days")
    for _ in range(tries):
        provider = chance.randint(1, match.population.providers)
        date = match.population.day(chance.randrange(BOOKED_DAY))
        answers = []
        for rival in match.rivals:
            data = await rival.ask(rival.day_document, **rival.day_variables(provider, date))
            (found,) = data.values()
            answers.append([instant(slot["startsAt"]) for slot in found["slots"]])
        agree(match.rivals, f"provider {provider} on {date}", answers)


async def same_pages(match: Match, tries: int = 5) -> None:
    chance = random.Random("same pages")
    for _ in range(tries):
        clinic = chance.randint(1, match.population.clinics)
        start, end = match.population.day(0), match.population.day(WINDOW)
        answers = []
        for rival in match.rivals:
            data = await rival.ask(rival.page_document, **rival.page_variables(clinic, start, end))
            nodes = [edge["node"] for edge in data["providers"]["edges"]]
            answers.append([(number(n["name"]), [instant(s["startsAt"]) for s in n["slots"]]) for n in nodes])
        agree(match.rivals, f"clinic {clinic}", answers)


def agree(rivals: Sequence[Rival], question: str, answers: list[list[Any]]) -> None:
    if not all(answers) or any(answer != answers[0] for answer in answers):
        said = "\n".join(f"  {rival.name}: {a[:3]} … ({len(a)})" for rival, a in zip(rivals, answers, strict=True))
        raise SystemExit(f"the sides disagree about {question}:\n{said}")


def with_patients(slots: list[Bookable], patients: int) -> list[tuple[Bookable, int]]:
    """In order of time, patients by turns: one returns only after all others, so never at an overlapping time."""
    ordered = sorted(slots, key=lambda slot: slot.starts_at)
    return [(slot, index % patients + 1) for index, slot in enumerate(ordered)]


async def book(match: Match) -> None:
    """Distinct times, 100 in flight."""
    sizes, population = match.sizes, match.population
    parts = [sizes.warm_up] + [sizes.bookings] * sizes.rounds
    each = -(-sum(parts) // population.providers) + 1
    planned: dict[str, Iterator[bytes]] = {}
    for rival in match.rivals:
        open_times = await rival.bookable(range(1, population.clinics + 1), population.day(BOOKED_DAY), each)
        slots = [slot for provider in sorted(open_times) for slot in open_times[provider]]
        pairs = with_patients(slots, population.patients)
        random.Random("book").shuffle(pairs)
        planned[rival.name] = (rival.booking(slot, patient, f"book {n}") for n, (slot, patient) in enumerate(pairs))
    for round_, count in enumerate(parts):
        match.say(f"book, round {round_} of {sizes.rounds}" if round_ else "book, warm-up")
        for rival in match.in_turns(round_):
            requests = list(islice(planned[rival.name], count))
            measure = await measure_bookings(match, rival, requests, BOOKERS, winners=count)
            if round_:
                match.results.add("book", rival, measure)


async def burst(match: Match) -> None:
    """100 patients for each of 100 times, all attempts in flight at once. One of the 100 gets it."""
    sizes, population = match.sizes, match.population
    attempts = sizes.contested * ATTEMPTS
    connections = min(attempts, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - DESCRIPTORS_KEPT)
    for round_ in range(sizes.bursts):
        match.say(f"burst of {attempts}, round {round_ + 1} of {sizes.bursts}")
        for rival in match.in_turns(round_):
            slots = await contested(match, rival, round_)
            requests = [
                rival.booking(
                    slot, (index * ATTEMPTS + attempt) % population.patients + 1, f"{round_} {index} {attempt}"
                )
                for index, slot in enumerate(slots)
                for attempt in range(ATTEMPTS)
            ]
            random.Random("burst").shuffle(requests)
            measure = await measure_bookings(match, rival, requests, connections, winners=sizes.contested)
            match.results.add("burst", rival, measure)


async def contested(match: Match, rival: Rival, round_: int) -> list[Bookable]:
    """Groups of 20 times at one instant, latest first: times that share patients are 20 apart, so never overlap."""
    start = 1 + round_ * 8
    clinics = range(start, min(start + 8, match.population.clinics + 1))
    open_times = await rival.bookable(clinics, match.population.day(BOOKED_DAY), 50)
    groups: dict[datetime, list[Bookable]] = {}
    for provider in sorted(open_times):
        for slot in open_times[provider]:
            groups.setdefault(slot.starts_at, []).append(slot)
    together = match.population.patients // ATTEMPTS
    chosen = [s for at in sorted(groups, reverse=True) if len(groups[at]) >= together for s in groups[at][:together]]
    return chosen[: match.sizes.contested]


async def measure_bookings(
    match: Match, rival: Rival, requests: list[bytes], connections: int, winners: int
) -> Measure:
    """What clients were told must be what the database holds, and no time may be held twice."""
    before, _ = await rival.booked()
    measure = match.measure(rival, requests, connections)
    after, distinct = await rival.booked()
    told = measure.load.outcomes
    if after != distinct:
        raise SystemExit(f"the {rival.name} has booked {after - distinct} times twice")
    if not (after - before == told.get("AppointmentBooked") == winners):
        raise SystemExit(f"the {rival.name} told {told}; {after - before} appointments are new; {winners} were due")
    if sum(told.values()) != len(requests) or set(told) - {"AppointmentBooked", "SlotTaken"}:
        raise SystemExit(f"the {rival.name} answered {told}, not all of them expected")
    return measure


CONTESTS: dict[str, Callable[[Match], Coroutine[Any, Any, None]]] = {
    "day": day,
    "page": page,
    "book": book,
    "burst": burst,
}

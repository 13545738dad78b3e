"""Starting and stopping: the API, the worker, and both with everything they need."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Final

import structlog
import uvicorn
from prometheus_client import start_http_server
from starlette.types import ASGIApp

from adapters.postgres import bulk, examples, migrations
from adapters.postgres.database import Database, pool
from adapters.postgres.epoch import is_clock_shifted
from app.auth import development_key, development_token
from app.embedded import Addresses, reached, servers
from app.live.pace import PACE, Pace
from app.live.wire import Line, Wire
from app.logs import uvicorn_level
from app.refusal import Refused
from app.settings import Settings, load_settings
from app.web import State, application
from app.wiring import Product, product, tune_memory
from app.workers import indexer, messenger, sweeper
from domain import ids
from schema import root
from services.background import beside

MESSAGE_MAX: Final = 65_536
log = structlog.get_logger()


async def run() -> None:
    """Everything, in the foreground."""
    settings = load_settings()
    async with servers(settings) as addresses:
        await migrations.migrate(addresses.database_url)
        await _demo(settings, addresses)
        await _serve(settings, addresses, everything=True)


async def serve() -> None:
    """The API against a database that is migrated already."""
    settings = load_settings()
    async with servers(settings) as addresses:
        await _migrated(addresses)
        await _serve(settings, addresses, everything=False)


async def work() -> None:
    """Until it is stopped."""
    settings = load_settings()
    async with servers(settings) as addresses:
        await _migrated(addresses)
        async with product(settings, addresses) as built, _shown(built):
            await _in_time(built)
            log.info("working")
            async with _stopping() as stop, built.streaming.relaying(), _worker(built):
                await stop.wait()


async def _migrated(addresses: Addresses) -> None:
    """Raises Refused where a migration is missing."""
    missing = await migrations.pending(addresses.database_url)
    if missing:
        raise Refused(f"the schema lacks {', '.join(missing)}: run `appointments migrate` first")


async def _in_time(built: Product) -> None:
    """Raises Refused where the clock of a test's database would count for real patients."""
    if built.settings.production and await is_clock_shifted(built.database.primary):
        raise Refused("the test clock of this database is shifted: it is no database for production")


@asynccontextmanager
async def _shown(built: Product) -> AsyncIterator[None]:
    """/metrics of a process that has no pages, where it is to have any. Raises Refused where somebody else has the port."""
    host, port = built.settings.host, built.settings.worker_port
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, host)
    except OSError as error:
        raise Refused(f"cannot listen on {host}:{port}: {error.strerror} (set WORKER_PORT)") from None
    try:
        async with _watched(built):
            yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


async def tokens(role: str, patients: list[str], clinics: list[str], subject: str | None, expires: int) -> list[str]:
    """Development tokens (rule 45). Raises Refused for ids that are none and for a patient token without any patient."""
    settings = load_settings()
    development_key(settings)
    if expires == 0 or abs(expires) > 10 * 365 * 86_400:
        raise Refused("--expires takes seconds, up to ten years")
    for given, kind, what in ((patients, ids.PATIENT, "patient"), (clinics, ids.CLINIC, "clinic")):
        for one in given:
            if ids.key(one, kind) is None:
                raise Refused(f"{one!r} is no {what} id")
    if role != "patient":
        if patients:
            raise Refused("--patient goes with --role patient")
        return [development_token(settings, role=role, clinics=clinics, subject=subject, expires_seconds=expires)]
    patients = patients or [await _first_patient(settings)]
    return [
        development_token(settings, role=role, patient=one, subject=subject, expires_seconds=expires)
        for one in patients
    ]


async def _first_patient(settings: Settings) -> str:
    async with reached(settings, redis=False) as addresses:
        reader = await pool(addresses.database_url, size=1)
        try:
            key = await examples.first_patient(reader)
        finally:
            await reader.close()
    if key is None:
        raise Refused("there is no patient yet; name one with --patient")
    return ids.node(ids.PATIENT, key)


async def _demo(settings: Settings, addresses: Addresses) -> None:
    """Demo data, if the database is empty."""
    if settings.production or not settings.demo_clinics:
        return
    from app.bar import bar  # noqa: PLC0415 (what only a first run needs)
    from app.demo import fill  # noqa: PLC0415

    database = Database(await pool(addresses.database_url, size=4))
    try:
        if await bulk.is_empty(database.primary):
            with bar("demo data") as progress:
                await fill(database, clinics=settings.demo_clinics, progress=progress)
    finally:
        await database.close()


async def _serve(settings: Settings, addresses: Addresses, *, everything: bool) -> None:
    """In the foreground, until SIGINT or SIGTERM. `everything`: with the worker, and with links and tokens for who looks on."""
    async with (
        _stopping() as stop,
        running(settings, addresses, working=everything, greeting=everything, stop=stop) as url,
    ):
        tune_memory()
        print(f"Ready: {url}", flush=True)  # noqa: T201 (what people and scripts wait for)
        await stop.wait()


@asynccontextmanager
async def running(
    settings: Settings,
    addresses: Addresses,
    *,
    working: bool = True,
    greeting: bool = False,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[str]:
    """The API on its port while the context is open; yields its URL. On leaving it drains. `stop` is set if it ends by itself."""
    listening = listen(settings)
    async with (
        product(settings, addresses, _address(listening)) as built,
        _watched(built),
        _worker(built) if working else nullcontext(),
        built.live(),
    ):
        await _in_time(built)
        async with served(built, listening, stop=stop) as url:
            if greeting:
                await indexer.filled(built.indexers[0], stop)
                await _greet(built, url)
            yield url


@asynccontextmanager
async def served(
    built: Product, listening: socket.socket, *, pace: Pace = PACE, stop: asyncio.Event | None = None
) -> AsyncIterator[str]:
    """The same for a product that is there already; yields its URL."""
    settings, state = built.settings, State()
    app = application(built, root.build(production=settings.production), state=state, pace=pace)
    server = _server(settings, app, pace)
    await _started(server, listening)
    state.ready = True
    main_loop = asyncio.create_task(server.main_loop())
    if stop is not None:
        main_loop.add_done_callback(lambda _: stop.set())
    try:
        yield _address(listening)
    finally:
        state.ready, state.why = False, "draining"
        await state.guests.leave(settings.drain_seconds)
        server.should_exit = True
        await main_loop
        await server.shutdown(sockets=[listening])


def _server(settings: Settings, app: ASGIApp, pace: Pace) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="none",
            log_config=None,
            log_level=uvicorn_level(settings),
            access_log=False,
            forwarded_allow_ips=settings.forwarded_allow_ips,
            http=Line,
            ws=Wire,
            ws_max_size=MESSAGE_MAX,
            ws_per_message_deflate=False,
            ws_ping_interval=pace.ping,
            ws_ping_timeout=pace.pong,
            timeout_graceful_shutdown=int(settings.drain_seconds),
            date_header=False,
            server_header=False,
            lifespan="off",
        )
    )


async def _started(server: uvicorn.Server, listening: socket.socket) -> None:
    """uvicorn without its own signal handlers: who started it also stops what it needs."""
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[listening])


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises Refused where somebody else has the port."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay off only where it is: without, each answer waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise Refused(f"cannot listen on {settings.host}:{settings.port}: {error.strerror} (set PORT)") from None
    listening.listen(4096)
    listening.setblocking(False)
    return listening


@asynccontextmanager
async def _stopping() -> AsyncIterator[asyncio.Event]:
    """Set by SIGINT or SIGTERM."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    try:
        yield stop
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)


@asynccontextmanager
async def _watched(built: Product) -> AsyncIterator[None]:
    """Of the whole system, in the /metrics of every process."""
    async with beside(sweeper.watch(built.sweeping)), beside(messenger.watch(built.messaging)):
        yield


@asynccontextmanager
async def _worker(built: Product) -> AsyncIterator[None]:
    async with (
        beside(sweeper.sweep(built.sweeping)),
        beside(messenger.message(built.messaging)),
        beside(indexer.index(built.indexers)),
    ):
        yield


async def _greet(built: Product, url: str) -> None:
    """The links, and in development a token per role."""
    lines = [
        "",
        f"  Start page       {url}/",
        f"  Find a provider  {url}/find",
        f"  Live calendar    {url}/calendar",
        f"  Waitlist         {url}/wait",
        f"  GraphiQL         {url}/graphql",
        f"  Schema           {url}/schema.graphql",
        f"  Health, metrics  {url}/readyz  {url}/metrics",
    ]
    if not built.settings.production:
        lines.append(f"  Messages sent    {url}/dev/messages")
        patient = await examples.first_patient(built.database.primary)
        lines += ["", "  Tokens for development (Authorization: Bearer …), one week:"]
        if patient is not None:
            token = development_token(built.settings, role="patient", patient=ids.node(ids.PATIENT, patient))
            lines.append(f"  patient  {token}")
        lines += [f"  {role:<8} {development_token(built.settings, role=role)}" for role in ("staff", "admin")]
    sys.stdout.write("\n".join([*lines, "", ""]))

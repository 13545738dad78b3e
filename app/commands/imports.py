"""`appointments import clinics`, `providers` and `slots`."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from adapters.postgres.database import Database
    from domain.imports import Report
    from services.imports.clinics import Progress

    Work = Callable[["Database", "Report", "Progress"], Awaitable[None]]

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]

imports = typer.Typer(
    no_args_is_help=True,
    help="Clinics, providers and open times from files and feeds. A second run of the same input changes nothing.\n\n"
    "Exit 0: everything is in; 1: some lines were refused, each on stderr as FILE:LINE: reason, the rest is in; "
    "2: nothing could be read.",
)
commands = typer.Typer()
commands.add_typer(imports, name="import")


@imports.command()
def clinics(
    file: Annotated[Path, typer.Argument(help="CSV; its columns: docs/importing.md")],
    source: Annotated[str, typer.Option(help="Tells files apart whose ids are not of one series.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Clinics from a CSV file."""
    from adapters.feeds import sources
    from services.imports.clinics import import_clinics

    async def work(database: "Database", report: "Report", progress: "Progress") -> None:
        data = await sources.read(str(file))
        await import_clinics(database, data, str(file), report, source=source, dry_run=dry_run, progress=progress)

    _run(work, dry_run=dry_run)


@imports.command()
def providers(
    file: Annotated[Path, typer.Argument(help="CSV; its columns: docs/importing.md")],
    places: Annotated[
        Path | None, typer.Option(help="CSV with further addresses of the same providers, one a line")
    ] = None,
    create_places: Annotated[
        bool, typer.Option("--create-places", help="Make a clinic of every address that is none yet.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Providers, and at which clinics they practise, from CSV files."""
    from adapters.feeds import sources
    from services.imports.providers import import_providers

    async def work(database: "Database", report: "Report", progress: "Progress") -> None:
        data = await sources.read(str(file))
        more = (await sources.read(str(places)), str(places)) if places else None
        await import_providers(
            database,
            data,
            str(file),
            report,
            places=more,
            create_places=create_places,
            dry_run=dry_run,
            progress=progress,
        )

    _run(work, dry_run=dry_run)


@imports.command()
def slots(
    manifest: Annotated[str, typer.Argument(help="path or URL of a SMART Scheduling Links manifest")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Read the files beside the manifest instead of fetching them.")
    ] = False,
    shift_weeks: Annotated[
        int, typer.Option(min=-2600, max=2600, help="Move all times by whole weeks of the clinics' wall clocks.")
    ] = 0,
    dry_run: DryRun = False,
) -> None:
    """Open times from a bulk publication: Location, Schedule and Slot ndjson."""
    from services.imports.slots import import_slots

    async def work(database: "Database", report: "Report", progress: "Progress") -> None:
        await import_slots(
            database,
            manifest,
            report,
            offline=offline,
            shift_weeks=shift_weeks,
            dry_run=dry_run,
            progress=progress,
        )

    _run(work, dry_run=dry_run)


def _run(work: "Work", *, dry_run: bool) -> None:
    """Prints the summary and ends with rule 41's exit code."""
    from app.commands.outcome import finish
    from domain.tables import UnusableFile

    try:
        report = finish(_reported(work))
    except UnusableFile as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(2) from None
    if dry_run:
        typer.echo("dry run: nothing was written")
    for what, number in report.counts.items():
        typer.echo(f"{what:<20} {number:>8,}")
    typer.echo(f"{'lines refused':<20} {report.refused:>8,}\n{'warnings':<20} {report.warned:>8,}")
    if report.refused:
        raise typer.Exit(1)


async def _reported(work: "Work") -> "Report":
    from adapters.postgres import database
    from app.bar import bar
    from app.embedded import reached
    from app.refusal import Refused
    from app.settings import load_settings
    from domain.faults import Unavailable
    from domain.imports import Report

    settings = load_settings()
    async with reached(settings, redis=False) as addresses:
        pools = database.Database(await database.pool(addresses.database_url, size=2, production=settings.production))
        try:
            with bar("importing") as progress:
                report = Report(lambda text: typer.echo(text, err=True))
                await work(pools, report, progress)
                return report
        except Unavailable as error:
            raise Refused(f"PostgreSQL did not take it ({error}). What is in stays: run it again") from error
        finally:
            await pools.close()

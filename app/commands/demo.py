"""`appointments demo`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.demo import Summary

commands = typer.Typer()


@commands.command()
def demo(
    clinics: Annotated[int | None, typer.Option(min=1, max=2000, help="Default: DEMO_CLINICS.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed gives other data.")] = None,
) -> None:
    """Fill an empty database with demo data: synthetic, and the same from the same seed on the same day."""
    from app.commands.outcome import finish

    made = finish(_demo(clinics, seed))
    typer.echo(
        f"{made.clinics} clinics, {made.providers} providers, {made.visit_types} visit types, "
        f"{made.patients} patients, {made.appointments} appointments, {made.waiting} on the waitlist"
    )


async def _demo(clinics: int | None, seed: int | None) -> "Summary":
    from adapters.postgres.database import Database, pool
    from adapters.postgres.migrations import migrate
    from app.bar import bar
    from app.demo import SEED, fill
    from app.embedded import reached
    from app.refusal import Refused
    from app.settings import load_settings

    settings = load_settings()
    if settings.production:
        raise Refused("ENV=production: demo data has no place there")
    async with reached(settings, redis=False) as addresses:
        await migrate(addresses.database_url)
        database = Database(await pool(addresses.database_url, size=4))
        try:
            with bar("demo data") as progress:
                count = settings.demo_clinics if clinics is None else clinics
                return await fill(database, clinics=count, seed=SEED if seed is None else seed, progress=progress)
        finally:
            await database.close()

"""`appointments verify`."""

import typer

commands = typer.Typer()


@commands.command()
def verify() -> None:
    """Read the database and prove what must hold: nothing double-booked, every change with its event."""
    from app.commands.outcome import finish
    from app.refusal import Refused

    broken = finish(_verify())
    if broken:
        raise Refused(
            f"{broken} of the rules above do not hold" if broken > 1 else "one of the rules above does not hold"
        )


async def _verify() -> int:
    """How many rules are broken; each is printed as it is looked at."""
    from adapters.postgres.database import Database, pool
    from app.embedded import reached
    from app.settings import load_settings
    from services.verify import verify as findings

    broken = 0
    async with reached(load_settings(), redis=False) as addresses:
        database = Database(await pool(addresses.database_url, size=1, bounded=False))
        try:
            async for finding in findings(database):
                broken += finding.broken > 0
                verdict = f"{finding.broken} BROKEN" if finding.broken else "holds"
                typer.echo(f"{verdict:>9}  {finding.looked_at:>9} rows  {finding.rule}")
                for example in finding.examples:
                    typer.echo(f"{'':25}{example}")
        finally:
            await database.close()
    return broken

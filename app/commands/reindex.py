"""`appointments reindex`."""

import typer

commands = typer.Typer()


@commands.command()
def reindex() -> None:
    """Make the index of search anew while searches go on. Stopped halfway, the old one stays; one runs at a time."""
    from app.commands.outcome import finish

    count, where = finish(_reindex())
    typer.echo(f"{count} documents in {where}")


async def _reindex() -> tuple[int, str]:
    from adapters.postgres.database import Database, pool
    from app.bar import bar
    from app.embedded import reached
    from app.reindexing import reindex as run
    from app.settings import load_settings

    settings = load_settings()
    async with reached(settings, redis=False) as addresses:
        database = Database(await pool(addresses.database_url, size=2))
        try:
            with bar("documents") as progress:
                return await run(settings, addresses, database, progress)
        finally:
            await database.close()

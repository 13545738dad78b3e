"""`appointments migrate` and `appointments new-epoch`."""

from typing import Annotated

import typer

commands = typer.Typer()


@commands.command()
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would run.")] = False,
) -> None:
    """Bring the schema up, and make the topics where Kafka is set. Safe when several start at once."""
    from app.commands.outcome import finish

    names = finish(_migrate(dry_run=dry_run))
    for name in names:
        typer.echo(f"{'would apply' if dry_run else 'applied'} {name}")
    if not names:
        typer.echo("the schema is up to date")
    for topic in finish(_make_topics(dry_run=dry_run)):
        typer.echo(f"{'would make' if dry_run else 'made'} topic {topic}")


async def _migrate(*, dry_run: bool) -> list[str]:
    from adapters.postgres import migrations
    from app.embedded import reached
    from app.settings import load_settings

    async with reached(load_settings(), redis=False) as addresses:
        return await migrations.migrate(addresses.database_url, dry_run=dry_run)


async def _make_topics(*, dry_run: bool) -> list[str]:
    from app.kafka import make_topics
    from app.settings import load_settings

    return await make_topics(load_settings(), dry_run=dry_run)


@commands.command()
def new_epoch() -> None:
    """After a restore: make old stream cursors stop counting, so that clients start afresh."""
    from app.commands.outcome import finish

    typer.echo(f"new epoch {finish(_new_epoch())}")


async def _new_epoch() -> str:
    import asyncpg

    from adapters.postgres.epoch import renew_epoch
    from app.embedded import reached
    from app.settings import load_settings

    async with reached(load_settings(), redis=False) as addresses:
        connection = await asyncpg.connect(addresses.database_url)
        try:
            return str(await renew_epoch(connection))
        finally:
            await connection.close()

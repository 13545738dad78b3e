"""`appointments hammer`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.hammer import Report

commands = typer.Typer()


@commands.command()
def hammer(
    slots: Annotated[int, typer.Option(min=1, max=5000, help="Groups of slots that overlap one another.")] = 20,
    clients: Annotated[int, typer.Option(min=1, max=5000, help="Clients at once, each a patient.")] = 50,
    attempts: Annotated[int, typer.Option(min=1, max=1_000_000, help="Bookings tried, all clients together.")] = 1000,
    url: Annotated[
        str | None, typer.Option(help="The running server; default: PUBLIC_URL, else HOST and PORT.")
    ] = None,
) -> None:
    """Try to double-book a running server on this machine, then check that nobody did. The bookings stay."""
    from app.commands.outcome import finish
    from app.refusal import Refused

    report = finish(_hammer(slots, clients, attempts, url))
    _print(report)
    if not report.holds:
        raise Refused("not all of that holds")


async def _hammer(slots: int, clients: int, attempts: int, url: str | None) -> "Report":
    from adapters.postgres.database import Database, pool
    from app.embedded import reached
    from app.hammer import endpoint
    from app.hammer import hammer as hammered
    from app.refusal import Refused
    from app.settings import load_settings

    settings = load_settings()
    if settings.production:
        raise Refused("ENV=production: the hammer books with development tokens")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    where = url or settings.public_url or f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    endpoint(where)
    async with reached(settings, redis=False) as addresses:
        database = Database(await pool(addresses.database_url, size=2, bounded=False))
        try:
            return await hammered(database, settings, where, slots=slots, clients=clients, attempts=attempts)
        finally:
            await database.close()


def _print(report: "Report") -> None:
    typer.echo(
        f"{report.attempts} attempts by {report.clients} clients on {report.groups} groups of slots "
        f"in {report.seconds:.2f} s: {report.attempts / report.seconds:.0f} a second"
    )
    points = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    typer.echo("latency  " + "  ".join(f"{name} {report.percentile(share) * 1000:.1f} ms" for name, share in points))
    typer.echo("answers  " + ", ".join(f"{name} {count}" for name, count in report.told.most_common()))
    if report.faults:
        typer.echo("asked again after  " + ", ".join(f"{why} {count}" for why, count in report.faults.items()))
    for check in report.checks:
        verdict = f"{len(check.wrong)} WRONG" if check.wrong else "holds"
        typer.echo(f"{verdict:>9}  {check.looked_at:>9} looked at  {check.name}")
        for one in check.wrong[:5]:
            typer.echo(f"{'':22}{one}")

"""`appointments run`, `serve`, `work`, `token` and `schema`."""

from typing import Annotated, Literal

import typer

commands = typer.Typer()


@commands.command()
def run() -> None:
    """What `make run` does: embedded servers, migrations, demo data on an empty database, then serve."""
    from app.commands.outcome import finish
    from app.serving import run as serve_all

    finish(serve_all())


@commands.command()
def serve() -> None:
    """The API alone, against the URLs of the environment. Beside it runs a `work`; both need DATABASE_URL and REDIS_URL."""
    from app.commands.outcome import finish
    from app.serving import serve as serve_api

    finish(serve_api())


@commands.command()
def work() -> None:
    """The background work alone: holds and offers that end, messages, what search looks in. Several at once are safe."""
    from app.commands.outcome import finish
    from app.serving import work as serve_work

    finish(serve_work())


@commands.command()
def schema() -> None:
    """Print the GraphQL schema."""
    from schema.root import schema as built

    typer.echo(built.as_str())


@commands.command()
def token(
    role: Annotated[Literal["patient", "staff", "admin"], typer.Option(help="Whose rights the token gives.")],
    patient: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="The patient; repeated: one token a line.")
    ] = None,
    clinic: Annotated[list[str] | None, typer.Option(metavar="ID", help="Staff's clinics; none: all.")] = None,
    subject: Annotated[str | None, typer.Option(metavar="NAME", help="Who it is (staff and admin).")] = None,
    expires: Annotated[int, typer.Option(metavar="SECONDS", help="How long it counts.")] = 7 * 86_400,
) -> None:
    """Print a development token, alone on stdout. Refused in production."""
    from app.commands.outcome import finish
    from app.serving import tokens

    for line in finish(tokens(role, patient or [], clinic or [], subject, expires)):
        typer.echo(line)

"""The command line, put together. Exit codes: 0; 1 refused, with a message on stderr; 2 usage."""

import sys

import typer

from app.commands import database, demo, hammer, imports, reindex, serve, settings, verify
from app.refusal import Refused

cli = typer.Typer(
    name="appointments",
    help="A patient appointment system: one live calendar for every clinic, over GraphQL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (serve, database, demo, imports, reindex, verify, hammer, settings):
    cli.add_typer(part.commands)  # without a name: its commands stand beside the others


def main() -> None:
    try:
        cli()
    except Refused as refusal:
        typer.echo(f"appointments: {refusal}", err=True)
        sys.exit(1)

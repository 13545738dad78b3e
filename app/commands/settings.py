"""`appointments settings`."""

import typer

commands = typer.Typer()


@commands.command()
def settings() -> None:
    """Print every setting with its value, without secrets."""
    from app.settings import Settings, load_settings

    descriptions = {name.upper(): field.description for name, field in Settings.model_fields.items()}
    lines = {name: f"{name}={value}" for name, value in load_settings().printable().items()}
    width = max(map(len, lines.values()))
    for name, line in lines.items():
        typer.echo(f"{line:<{width}}  # {descriptions[name]}")

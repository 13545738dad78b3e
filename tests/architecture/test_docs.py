"""The docs name what there is: settings, error codes, commands, tests. What is named exists, and what exists is named."""

import ast
import re
from pathlib import Path
from typing import Any, Final

import click
import typer
import yaml

from app.cli import cli
from app.settings import Settings
from tests.architecture import sources

CODE: Final = re.compile(r"(?=.{6})[A-Z]+(?:_[A-Z]+)*")  # longer than GET and POST, which stand beside them
PROSE: Final = [path for path in sources.files() if path.suffix == ".md"]


def _default(value: object) -> str:
    if value is None:
        return "unset"
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def test_every_setting_stands_in_the_docs_as_it_is() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", sources.text(Path("docs/settings.md")), re.MULTILINE)
    assert rows == [
        (name.upper(), _default(field.default), field.description) for name, field in Settings.model_fields.items()
    ]


def test_every_error_code_stands_in_the_docs() -> None:
    named = re.findall(r"^\| `([A-Z_]+)` \|", sources.text(Path("docs/errors.md")), re.MULTILINE)
    used = {
        one.value
        for name in ("schema/operations.py", "schema/limits.py", "app/graphql.py", "app/limits.py", "domain/access.py")
        for one in sources.strings(sources.tree(Path(name)))
        if CODE.fullmatch(one.value)
    }
    assert sorted(named) == sorted(used)


def _commands(group: Any, *names: str) -> list[tuple[str, Any]]:
    found = []
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found += _commands(command, *names, name)
        else:
            found.append((" ".join([*names, name]), command))
    return found


COMMANDS: Final = _commands(typer.main.get_command(cli))


def test_every_command_says_what_it_does() -> None:
    for name, command in COMMANDS:
        assert command.help, name
        for parameter in command.params:
            plain = parameter.name in {"dry_run", "help"} or isinstance(parameter, click.Argument)
            assert getattr(parameter, "help", None) or plain, f"{name}: {parameter.name}"


def test_the_docs_name_every_command() -> None:
    assert [
        name for name, _ in COMMANDS if not any(f"appointments {name}" in sources.text(path) for path in PROSE)
    ] == []


def test_files_and_tests_that_prose_names_exist() -> None:
    named = re.compile(r"`((?:app|schema|resolvers|dataloaders|services|adapters|domain|tests|docs|docker)/[\w./-]+)`")
    missing = [
        f"{path}: {name}"
        for path in PROSE
        for name in named.findall(sources.text(path))
        if "NNNN" not in name and not (sources.ROOT / name).exists()
    ]
    assert missing == []


def test_every_architecture_test_stands_in_the_architecture() -> None:
    said = sources.text(Path("ARCHITECTURE.md"))
    assert len(said.splitlines()) <= 120
    found = sorted(one.name for one in (sources.ROOT / "tests/architecture").glob("test_*.py"))
    assert [name for name in found if name not in said] == []


def test_links_lead_somewhere() -> None:
    broken = [
        f"{path}: {target}"
        for path in PROSE
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", sources.text(path))
        if not (sources.ROOT / path.parent / target).exists()
    ]
    assert broken == []


def test_decisions_are_numbered_and_short() -> None:
    found = sorted(path for path in PROSE if path.parent.as_posix() == "docs/decisions")
    assert [int(path.name[:4]) for path in found] == list(range(1, len(found) + 1))
    for path in found:
        text = sources.text(path)
        assert text.startswith(f"# {int(path.name[:4])}. ")
        assert len(text.splitlines()) <= 60, path
        for part in ("**Context.**", "**Decision.**", "**Consequences.**", "**Refused.**"):
            assert part in text, f"{path}: {part}"


def test_a_new_field_takes_ten_steps_at_most() -> None:
    steps = re.findall(r"^\d+\. ", sources.text(Path("docs/adding-a-field.md")), re.MULTILINE)
    assert 1 <= len(steps) <= 10


def test_the_compose_file_is_whole() -> None:
    """There is no Docker engine in the tests: names, settings and order are compared."""
    compose = yaml.safe_load(sources.text(Path("docker/compose.yaml")))
    services = compose["services"]
    assert {"postgres", "redis", "kafka", "migrate", "api-1", "api-2", "worker", "proxy"} <= services.keys()
    known = {name.upper() for name in Settings.model_fields}
    commands = {name for name, _ in COMMANDS}
    for name, service in services.items():
        needed = service.get("depends_on", [])
        assert set(needed) <= services.keys(), name
        if service.get("image") == "appointments":
            assert service["environment"].keys() <= known, name
            assert service["command"][0] in commands, name
            assert service["build"]["dockerfile"] == "docker/Dockerfile"
    for name in ("api-1", "api-2", "worker"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert services["worker"]["healthcheck"] == {"disable": True}, "the image's asks for a page"
    assert services["worker"]["environment"].items() > services["api-1"]["environment"].items()
    image = sources.text(Path("docker/Dockerfile"))
    assert {f"COPY {folder} {folder}" for folder in sources.FOLDERS} <= set(image.splitlines())
    assert "--require-hashes" in image
    assert "USER appointments" in image
    assert ast.literal_eval(re.findall(r"^CMD (.*)$", image, re.MULTILINE)[-1]) == ["serve"]

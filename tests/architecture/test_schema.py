"""What clients see is committed as text, says its units, and is broken only where the changelog says so."""

import ast
import re
import subprocess
from typing import Final

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    build_schema,
    find_breaking_changes,
    get_named_type,
)

from schema.root import schema
from tests.architecture import sources

PRINTED: Final = sources.ROOT / "schema/schema.graphql"
SNAPSHOT: Final = build_schema(PRINTED.read_text("utf-8"))
UNITS: Final = re.compile(r"(?:Minutes|Seconds|Days|DaysAhead|Km|At|Until|From|To|On|Date)$")


def test_the_committed_schema_is_what_the_code_serves() -> None:
    assert PRINTED.read_text("utf-8") == schema.as_str() + "\n", "run `make schema` and read the difference"


def test_every_mutation_says_what_it_does() -> None:
    assert SNAPSHOT.mutation_type is not None
    assert [name for name, field in SNAPSHOT.mutation_type.fields.items() if not field.description] == []


def test_every_quantity_and_every_time_says_its_unit() -> None:
    """A field named for a quantity has a description of its own, or a type that has one (DateTime, Date, LocalTime)."""
    silent = [
        f"{kind.name}.{name}"
        for kind in SNAPSHOT.type_map.values()
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType)
        and not kind.name.startswith("__")
        for name, field in kind.fields.items()
        if UNITS.search(name) and not field.description and not _says(get_named_type(field.type))
    ]
    assert silent == []


def _says(kind: object) -> bool:
    """GraphQL's own scalars have a description too, but none that names a unit."""
    name = getattr(kind, "name", "")
    return name not in {"Int", "Float", "String", "ID", "Boolean"} and bool(getattr(kind, "description", None))


def test_every_interface_and_scalar_is_described() -> None:
    named = [
        kind.name
        for kind in SNAPSHOT.type_map.values()
        if not kind.name.startswith("__") and type(kind).__name__ in {"GraphQLScalarType", "GraphQLInterfaceType"}
    ]
    own = [name for name in named if name not in {"Int", "Float", "String", "ID", "Boolean"}]
    assert [name for name in own if name != "Node" and not SNAPSHOT.type_map[name].description] == []


def test_nothing_that_clients_use_is_taken_away_in_silence() -> None:
    """A breaking change is allowed where `Unreleased` in CHANGELOG.md names the type or field."""
    before = _before()
    if before is None:
        pytest.skip("there is no earlier schema to compare with: no git history here, or the first commit of it")
    changelog = (sources.ROOT / "CHANGELOG.md").read_text("utf-8")
    unreleased = changelog.partition("## [Unreleased]")[2].partition("\n## [")[0]
    broken = [
        change.description
        for change in find_breaking_changes(build_schema(before), SNAPSHOT)
        if not any(name in unreleased for name in re.findall(r"\b[A-Z]\w+(?:\.\w+)?", change.description))
    ]
    assert broken == []


def _before() -> str | None:
    """The schema where this branch left the default one; on the default branch itself, in the commit before."""
    head = _git("rev-parse", "HEAD")
    for branch in ("origin/HEAD", "origin/main", "main"):
        base = _git("merge-base", "HEAD", branch)
        if base is not None and base != head:
            return _git("show", f"{base}:schema/schema.graphql")
    return _git("show", "HEAD~:schema/schema.graphql")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=sources.ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def test_resolvers_reach_what_the_context_holds_and_no_more() -> None:
    """No pool, no Redis, nothing by name: a resolver cannot go round the services."""
    classes = {
        node.name: [one.target.id for one in node.body if isinstance(one, ast.AnnAssign) and _is_name(one.target)]
        for node in sources.tree(next(p for p in sources.code("resolvers") if p.name == "context.py")).body
        if isinstance(node, ast.ClassDef)
    }
    assert classes == {
        "Services": [
            "booking",
            "changing",
            "patients",
            "catalog",
            "schedules",
            "origins",
            "live",
            "waiting",
            "preferences",
            "searching",
            "suggesting",
        ],
        "Context": ["viewer", "loaders", "pages", "staff", "services"],
    }


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name)

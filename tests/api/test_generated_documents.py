"""The executor with a short way for plain leaves answers what stock execution answers: data and errors, to the byte."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import orjson
import pytest
import strawberry
from graphql import (
    GraphQLObjectType,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_enum_type,
    is_list_type,
    is_non_null_type,
    parse,
    specified_rules,
    validate,
)
from strawberry.extensions import DisableValidation
from strawberry.schema.config import StrawberryConfig

from app.embedded import Addresses
from app.settings import Settings
from app.wiring import product
from domain.access import Role, Viewer
from resolvers.values import SCALARS
from schema.executor import BreadthFirstExecutor
from schema.operations import coded
from schema.root import Mutation, Query
from tests import indexed
from tests.api.town import Place, Town, today
from tests.sizes import FULL

QUERIES = 1500 if FULL else 100
# Documents come here validated, once for both.
AS_THEY_COME: dict[str, Any] = {"config": StrawberryConfig(scalar_map=SCALARS), "extensions": [DisableValidation]}
PLAIN = strawberry.Schema(Query, Mutation, **AS_THEY_COME)
OURS = strawberry.Schema(Query, Mutation, execution_context_class=BreadthFirstExecutor, **AS_THEY_COME)


class Maker:
    """Random documents over the schema: aliases, fragments, inline fragments, directives, __typename, repeated fields."""

    def __init__(self, seed: int, place: Place) -> None:
        self._random = Random(seed)
        self._place = place
        self._fragments: list[str] = []
        self._names = iter(range(10_000))

    def document(self) -> str:
        root = self._selection(PLAIN._schema.query_type, 0)
        return f"query Q($yes: Boolean! = true, $no: Boolean! = false) {root} " + " ".join(self._fragments)

    def _selection(self, kind: Any, depth: int) -> str:
        chosen = (
            [self._field(kind, depth) for _ in range(self._random.randint(1, 4))] if not is_abstract_type(kind) else []
        )
        if self._random.random() < 0.4:
            chosen.append(self._alias("__typename"))
        if is_abstract_type(kind):
            chosen += [
                self._inline(one, depth)
                for one in PLAIN._schema.get_possible_types(kind)
                if self._random.random() < 0.6
            ]
        elif self._random.random() < 0.3:
            chosen.append(self._inline(kind, depth))
        elif self._random.random() < 0.2:
            name = f"F{next(self._names)}"
            self._fragments.append(f"fragment {name} on {kind.name} {self._selection(kind, depth + 1)}")
            chosen.append(f"...{name}{self._directive()}")
        return "{ " + " ".join(chosen) + " __typename }"

    def _inline(self, kind: GraphQLObjectType, depth: int) -> str:
        return f"... on {kind.name}{self._directive()} {self._selection(kind, depth + 1)}"

    def _alias(self, field: str) -> str:
        """Each alias is a new one, so that fields always merge; now and then the same field twice without one."""
        return f"a{next(self._names)}: {field}" if self._random.random() < 0.3 or "(" in field else field

    def _directive(self) -> str:
        return self._random.choice(
            ["", "", "", "", " @include(if: $yes)", " @skip(if: $no)", " @include(if: false)", " @skip(if: $yes)"]
        )

    def _field(self, kind: Any, depth: int) -> str:
        fields = [
            (name, field) for name, field in kind.fields.items()
            if depth < 6 or not is_composite_type(get_named_type(field.type))
        ]  # fmt: skip
        if not fields:
            return "__typename"
        name, field = self._random.choice(fields)
        arguments = self._arguments(field)
        text = f"{name}({arguments})" if arguments else name
        inner = get_named_type(field.type)
        below = self._selection(inner, depth + 1) if is_composite_type(inner) else ""
        if below:
            return f"a{next(self._names)}: {text}{self._directive()} {below}"
        return f"{self._alias(text)}{self._directive()}"

    def _arguments(self, field: Any) -> str:
        given = [
            f"{name}: {self._value(name, one.type)}" for name, one in field.args.items()
            if (is_non_null_type(one.type) and name != "first") or self._random.random() < 0.2
        ]  # fmt: skip
        return ", ".join(given)

    def _value(self, name: str, kind: Any) -> str:
        bare = kind.of_type if is_non_null_type(kind) else kind
        if is_list_type(bare):
            return "[" + ", ".join(self._value(name, bare.of_type) for _ in range(2)) + "]"
        place, named = self._place, get_named_type(bare)
        if named.name == "AvailabilityFilter":
            return f'{{ clinicId: "{place.clinic_id}", visitTypeId: "{place.visit_type_id}", from: "{today()}", to: "{today()}" }}'
        if named.name == "SearchFilter":  # One hit: of several that fail, whose error is first is told by the clock.
            return '{ text: "east" }'
        if named.name == "GeoPointInput":
            return "{ latitude: 1.5, longitude: 2 }"
        if is_enum_type(named):
            return self._random.choice(list(named.values))
        ids = {"clinicId": place.clinic_id, "providerId": place.provider_id, "visitTypeId": place.visit_type_id}
        anything = [
            place.patient_id,
            place.appointment_id,
            place.provider_id,
            place.slot_in(),
            place.clinic_id,
            "nonsense",
        ]
        plain = {
            "Int": lambda: self._random.choice(["1", "2", "5", "0"]),
            "Float": lambda: "10.5",
            "Boolean": lambda: "true",
            "Date": lambda: f'"{today()}"',
            "ID": lambda: f'"{ids.get(name) or self._random.choice(anything)}"',
        }
        return plain.get(named.name, lambda: '"a"')()


@pytest.fixture(scope="module")
async def built(settings: Settings, town: Town) -> Any:
    quiet = settings.model_copy(update={"cache": False})
    async with product(quiet, Addresses(str(settings.database_url), None, None)) as made:
        assert await indexed.fill(made.database.primary) > 0
        yield made


async def _both(built: Any, document: str, viewer: Viewer) -> tuple[Any, Any]:
    """Through each executor: what would be sent, without what only the time tells."""
    answers = []
    for one in (PLAIN, OURS):
        context = built.context(replace(viewer))
        found = await one.execute(document, context_value=context)
        errors = sorted(orjson.dumps(coded(error).formatted) for error in found.errors or ())
        # Where nothing is answered at all, how much had been read when the first field failed is told by the clock.
        read = sorted(context.loaders.audited) if found.data is not None else []
        answers.append((orjson.dumps(_still(found.data)), errors, read))
    return answers[0], answers[1]


def _still(value: Any) -> Any:
    """Instants to the minute: two executions do not happen at once."""
    if isinstance(value, dict):
        return {name: _still(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_still(one) for one in value]
    return value.replace(second=0, microsecond=0) if hasattr(value, "microsecond") else value


async def test_generated_queries_give_the_same_data_and_errors(built: Any, town: Town) -> None:
    east = town.east
    viewers = [
        Viewer(),
        Viewer(Role.PATIENT, "someone", east.patient),
        Viewer(Role.STAFF, "ann", None, frozenset({east.clinic})),
        Viewer(Role.ADMIN, "zoe", None, None),
    ]
    sent, failed = 0, 0
    for seed in range(QUERIES):
        document = Maker(seed, east).document()
        problems = validate(PLAIN._schema, parse(document), specified_rules)
        if problems:
            continue
        minute, stock, ours = datetime.now(UTC).minute, *await _both(built, document, viewers[seed % 4])
        if datetime.now(UTC).minute != minute:  # What the time tells is compared to the minute.
            stock, ours = await _both(built, document, viewers[seed % 4])
        assert ours == stock, document
        sent += 1
        failed += bool(stock[1])
    assert sent > QUERIES * 0.7, "most of what is generated is valid"
    assert failed > QUERIES * 0.05, "some of it fails, and fails alike"


@strawberry.type
class Leaf:
    number: int
    name: str | None
    flag: bool
    share: float


@strawberry.type
class Branch:
    leaves: list[Leaf]
    maybe: list[Leaf | None]
    one: Leaf | None


class Bare:
    """Not a Strawberry object: whatever attributes it is given, or none."""

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)


GOOD = {"number": 1, "name": "a", "flag": True, "share": 0.5}
ODD: list[dict[str, Any]] = [
    {"number": None}, {"number": "7"}, {"number": "x"}, {"number": 1.0}, {"number": 1.5}, {"number": True}, {"number": 2**40},
    {"name": None}, {"name": 7}, {"name": ["a"]}, {"flag": None}, {"flag": 1}, {"flag": "yes"}, {"share": 1}, {"share": "1.5"},
    {"share": float("nan")}, {"share": float("inf")}, {"share": None}, {"name": lambda: "called"},
]  # fmt: skip


@pytest.mark.parametrize("odd", [*ODD, "missing", "raises"])
async def test_values_that_are_not_plainly_right_fail_alike(odd: Any) -> None:
    def leaf() -> Any:
        if odd == "missing":
            return Bare(number=1)
        if odd == "raises":
            return type("Raising", (Bare,), {"name": property(lambda self: 1 / 0)})(number=1, flag=True, share=1.5)
        return Bare(**{**GOOD, **odd})

    @strawberry.type
    class Root:
        @strawberry.field
        async def branch(self) -> Branch:
            await asyncio.sleep(0)
            return Bare(leaves=[Bare(**GOOD), leaf()], maybe=[leaf(), None], one=leaf())  # type: ignore[return-value]

        @strawberry.field
        def none(self) -> Branch | None:
            return None

    document = """{ none { one { name } } all: branch { leaves { number name flag share } }
        branch { maybe { number x: name flag } one { share number } } typed: branch { one { __typename name } leaves { name } } }"""
    answers = []
    for executor in ({}, {"execution_context_class": BreadthFirstExecutor}):
        found = await strawberry.Schema(Root, types=[Leaf], **executor).execute(document)  # type: ignore[arg-type]
        errors = sorted(str(error.formatted) for error in found.errors or ())
        answers.append((str(found.data), errors))
    assert answers[0] == answers[1]

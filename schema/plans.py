"""How a selection is answered, decided once: objects become rows a column at a time, and what has to be awaited is awaited for all.

A plan knows nothing of a request. It takes only what is plainly right; Irregular stands for everything else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from types import CoroutineType
from typing import Any, Final

Row = dict[str, Any]
Column = Sequence[Any]
Reader = Callable[[Sequence[Any]], Column]
Many = Callable[..., Awaitable[Sequence[Any]]]


class Irregular(Exception):
    """Something that the short way does not judge."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: the context for resolvers, and its variables, coerced."""

    context: Any
    variables: Mapping[str, Any]


OMITTED: Final = object()  # An argument that is not given: the resolver's own default counts.
REFUSED: Final = object()  # One that can't be left out.


@dataclass(frozen=True, slots=True)
class Arguments:
    """`fixed` by the document itself; `given` by variables: resolver's name, variable, default, whether null may be given, and what
    makes of the value what the resolver takes, where that is another."""

    fixed: Mapping[str, Any]
    given: Sequence[tuple[str, str, Any, bool, Callable[[Any], Any] | None]]

    def of(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Variables were coerced before, and validation has matched their types with the arguments'."""
        found = dict(self.fixed)
        for name, variable, default, nullable, taken in self.given:
            value = variables.get(variable, default)
            if value is REFUSED or (value is None and not nullable):
                raise Irregular
            if value is not OMITTED:
                found[name] = value if taken is None or value is None else taken(value)
        return found


@dataclass(frozen=True, slots=True)
class Plan:
    """Objects of one type. Leaves stand before parts, and parts that wait for nothing before those that do."""

    kinds: frozenset[type] | None
    leaves: Sequence[Reader]
    parts: Sequence["Part"]
    rows_of: Callable[..., list[Row]]
    awaits: bool

    def rows_now(self, items: Sequence[Any]) -> list[Row]:
        """For a plan that awaits nothing."""
        self._judge(items)
        leaves = [leaf(items) for leaf in self.leaves]
        return self.rows_of(*leaves, *[part.column_now(part.values_now(items)) for part in self.parts])

    async def rows(self, items: Sequence[Any], asked: Asked) -> list[Row]:
        self._judge(items)
        leaves = [leaf(items) for leaf in self.leaves]
        # All at once, so that lists answered beside one another put their questions into the same batches.
        values = await _together(
            part.values(items, asked) if part.many else part.values_now(items) for part in self.parts
        )
        pairs = zip(self.parts, values, strict=True)
        columns = await _together(
            part.column(some, asked) if part.plan.awaits else part.column_now(some) for part, some in pairs
        )
        return self.rows_of(*leaves, *columns)

    def _judge(self, items: Sequence[Any]) -> None:
        classes = set(map(type, items))
        if not classes <= self.kinds if self.kinds is not None else type(None) in classes:
            raise Irregular


@dataclass(frozen=True, slots=True)
class Choice:
    """Objects of an interface or union: each class of objects by its own plan."""

    plans: Mapping[type, Plan]
    awaits: bool

    def rows_now(self, items: Sequence[Any]) -> list[Row]:
        groups = self._groups(items)
        return _in_order(items, {kind: iter(self.plans[kind].rows_now(some)) for kind, some in groups.items()})

    async def rows(self, items: Sequence[Any], asked: Asked) -> list[Row]:
        groups = self._groups(items)
        made = await _together(self.plans[kind].rows(some, asked) for kind, some in groups.items())
        return _in_order(items, dict(zip(groups, map(iter, made), strict=True)))

    def _groups(self, items: Sequence[Any]) -> dict[type, list[Any]]:
        groups: dict[type, list[Any]] = {}
        for item in items:
            groups.setdefault(type(item), []).append(item)
        if not groups.keys() <= self.plans.keys():
            raise Irregular
        return groups


@dataclass(frozen=True, slots=True)
class Part:
    """A field of objects: how its values are had, its shape, and the plan of what they hold."""

    many: Many | None
    arguments: Arguments
    get: Callable[[Any], Any] | None
    listed: bool
    required: bool
    plan: Plan | Choice

    def values_now(self, items: Sequence[Any]) -> Sequence[Any]:
        assert self.get is not None
        return list(map(self.get, items))

    async def values(self, items: Sequence[Any], asked: Asked) -> Sequence[Any]:
        assert self.many is not None
        return await self.many(items, asked.context, **self.arguments.of(asked.variables)) if items else []

    def column_now(self, values: Sequence[Any]) -> Column:
        objects = self._objects(values)
        return self._placed(values, self.plan.rows_now(objects) if objects else [])

    async def column(self, values: Sequence[Any], asked: Asked) -> Column:
        objects = self._objects(values)
        return self._placed(values, await self.plan.rows(objects, asked) if objects else [])

    def _objects(self, values: Sequence[Any]) -> Sequence[Any]:
        """All objects of the column, one after another."""
        there = [value for value in values if value is not None]
        if self.required and len(there) < len(values):
            raise Irregular
        if not self.listed:
            return there
        if not set(map(type, there)) <= {list}:
            raise Irregular
        return list(chain.from_iterable(there))

    def _placed(self, values: Sequence[Any], rows: list[Row]) -> Column:
        """The rows, back where their objects belong."""
        if not self.listed and len(rows) == len(values):
            return rows
        made = iter(rows)
        if self.listed:
            return [None if value is None else list(islice(made, len(value))) for value in values]
        return [None if value is None else next(made) for value in values]


async def _together(work: Iterable[Any]) -> list[Any]:
    """Results as they are, and those of coroutines once all of them have ended."""
    found = list(work)
    waiting = [one for one in found if type(one) is CoroutineType]
    if not waiting:
        return found
    results = iter([await waiting[0]] if len(waiting) == 1 else await asyncio.gather(*waiting))
    return [next(results) if type(one) is CoroutineType else one for one in found]


def _in_order(items: Sequence[Any], made: Mapping[type, Any]) -> list[Row]:
    return [next(made[type(item)]) for item in items]


def rows_of(columns: Sequence[str], order: Sequence[str]) -> Callable[..., list[Row]]:
    """A function from columns to rows whose names stand in `order`. A name of GraphQL's letters is put in as a literal."""
    variables = {name: f"v{index}" for index, name in enumerate(columns)}
    row = ", ".join(f"{name!r}: {variables[name]}" for name in order)
    each = ", ".join(variables.values())
    made: Callable[..., list[Row]] = eval(f"lambda {each}: [{{{row}}} for {each}, in zip({each}, strict=True)]")
    return made

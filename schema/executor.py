"""Execution breadth first where it pays: a field is resolved once for all objects of a list, and rows are made a column at a time.

A selection goes this way only if all of it can: leaves that are plain attributes, objects that are plain attributes, and fields
with a resolver for many (`resolvers.many`). Everything else, and every value that is not plainly right (null in a non-null
field, a foreign type, an error), takes graphql-core's own way from the start.
"""

from typing import Any, Final

from graphql import GraphQLObjectType, OperationType, is_non_null_type, is_object_type
from graphql.execution.collect_fields import collect_fields
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.planning import PLANS, Planner
from schema.plans import Asked, Plan

_ROOT: Final = object()  # What root fields are asked of: nothing that they look at.


class BreadthFirstExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor with a short way for selections that are plain or have resolvers for many.

    What fails is done again the usual way, which also tells the error in its place; from then on nothing goes the short way.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        variables = self.variable_values.coerced
        self._asked = Asked(self.context_value, variables)
        self._flags = tuple([one for one in variables.items() if one[1] is True or one[1] is False])
        self._planner = Planner(self.schema, lambda kind, details: self.collect_subfields(kind, details)[0])
        self._short = True

    def execute_operation(self, serially: bool | None = None) -> Any:
        usual = super().execute_operation
        plan = self._whole() if self.operation.operation is OperationType.QUERY else None
        if plan is None or not plan.awaits:
            return usual(serially)

        async def answer(whole: Plan) -> Any:
            try:
                data = (await whole.rows([_ROOT], self._asked))[0]
            except Exception:  # Whatever it is, the usual way meets it again and reports it in its place.
                self._short = False
                found = usual(serially)
                return await found if self.is_awaitable(found) else found
            return self.finish(self.build_response(data))

        return answer(plan)

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Any,
        grouped_field_set: Any,
        position_context: Any,
    ) -> Any:
        usual = super().execute_fields
        again = (parent_type, source_value, path, grouped_field_set, position_context)
        plan = self._plan(parent_type, grouped_field_set)
        if plan is None:
            return usual(*again)
        if plan.awaits:
            return self._awaited(plan, [source_value], usual, again, single=True)
        try:
            return plan.rows_now([source_value])[0]
        except Exception:  # An attribute that raises too: the usual way meets it again and tells it with its path.
            self._short = False
            return usual(*again)

    def complete_iterable_value(
        self, item_type: Any, field_details_list: Any, info: Any, path: Any, items: Any, position_context: Any
    ) -> Any:
        usual = super().complete_iterable_value
        again = (item_type, field_details_list, info, path, items, position_context)
        kind = item_type.of_type if is_non_null_type(item_type) else None
        if not is_object_type(kind) or not isinstance(items, list):
            return usual(*again)
        plan = self._plan(kind, self.collect_subfields(kind, field_details_list)[0])
        if plan is None:
            return usual(*again)
        if plan.awaits:
            return self._awaited(plan, items, usual, again) if items else []
        try:
            return plan.rows_now(items)
        except Exception:  # As above.
            self._short = False
            return usual(*again)

    async def _awaited(self, plan: Plan, items: list[Any], usual: Any, again: Any, *, single: bool = False) -> Any:
        try:
            rows = await plan.rows(items, self._asked)
        except Exception:  # As above.
            self._short = False
            found = usual(*again)
            return await found if self.is_awaitable(found) else found
        return rows[0] if single else rows

    def _whole(self) -> Plan | None:
        """The plan of the operation itself."""
        root = self.schema.query_type
        assert root is not None

        def make() -> Plan | None:
            found = collect_fields(self.schema, self.fragments, self.variable_values, root, self.operation)
            return self._planner.plan(root, found.grouped_field_set)

        return PLANS.plan(root, [self.operation], self._flags, make)

    def _plan(self, parent_type: GraphQLObjectType, grouped_field_set: Any) -> Plan | None:
        if not self._short:
            return None
        named = [one.node for details in grouped_field_set.values() for one in details]
        return PLANS.plan(parent_type, named, self._flags, lambda: self._planner.plan(parent_type, grouped_field_set))

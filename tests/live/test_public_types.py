"""Nothing that everybody may watch leads to a patient (rule 36)."""

from typing import Any, Final

from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLUnionType, get_named_type

from schema.root import schema

BUILT: Final = schema._schema
FIELDS: Final = {
    "AvailabilitySnapshot": {"cursor", "serverTime", "reason", "timeZone", "through", "slots"},
    "AvailabilityDelta": {"cursor", "serverTime", "previousCursor", "opened", "removed"},
    "AvailabilityHeartbeat": {"cursor", "serverTime", "previousCursor"},
    "AvailabilityFrame": {"cursor", "serverTime"},
    "OpenSlot": {"id", "providerId", "startsAt", "endsAt", "localDate", "left", "bookableUntil"},
}


def _reachable(kind: Any, found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Fields by type, through unions, interfaces and whatever implements them."""
    named = get_named_type(kind)
    if isinstance(named, GraphQLUnionType):
        for one in named.types:
            _reachable(one, found)
    elif isinstance(named, GraphQLObjectType | GraphQLInterfaceType) and named.name not in found:
        found[named.name] = set(named.fields)
        for field in named.fields.values():
            _reachable(field.type, found)
        for one in named.interfaces:
            _reachable(one, found)
        if isinstance(named, GraphQLInterfaceType):
            for one in BUILT.get_possible_types(named):
                _reachable(one, found)
    return found


def test_no_type_reachable_from_availability_has_a_patient_field() -> None:
    assert BUILT.subscription_type is not None
    assert BUILT.query_type is not None
    watched = _reachable(BUILT.subscription_type.fields["availability"].type, {})
    read = _reachable(BUILT.query_type.fields["availability"].type, {})
    assert watched == FIELDS
    assert read.items() <= FIELDS.items()
    assert not {name for fields in FIELDS.values() for name in fields if "patient" in name.lower()}

"""Shows a domain object as a GraphQL type without copying it."""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T", bound=type)


def presents(*kinds: type) -> Callable[[T], T]:
    """The decorated type is what objects of these classes look like to clients."""

    def decorate(cls: T) -> T:
        def is_type_of(_cls: Any, obj: object, _info: Any) -> bool:
            return isinstance(obj, kinds)

        setattr(cls, "is_type_of", classmethod(is_type_of))  # noqa: B010 (mypy knows no such attribute)
        setattr(cls, "presented", frozenset(kinds))  # noqa: B010
        return cls

    return decorate

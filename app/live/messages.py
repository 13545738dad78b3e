"""What clients may say over graphql-transport-ws, by shape."""

from collections.abc import Callable
from typing import Any, Final

ID_MAX: Final = 255


def problem(message: Any) -> str | None:
    """What is wrong with a message, or None. What it means is judged elsewhere."""
    if not isinstance(message, dict):
        return "A message is a JSON object"
    kind = message.get("type")
    judge = _JUDGES.get(kind) if isinstance(kind, str) else None
    return "Unknown message type" if judge is None else judge(message)


def _payload(message: dict[str, Any]) -> str | None:
    payload = message.get("payload")
    return None if payload is None or isinstance(payload, dict) else "`payload` is an object"


def _id(message: dict[str, Any]) -> str | None:
    given = message.get("id")
    return (
        None if isinstance(given, str) and 1 <= len(given) <= ID_MAX else f"`id` is a text of 1 to {ID_MAX} characters"
    )


def _subscribe(message: dict[str, Any]) -> str | None:
    payload = message.get("payload")
    if not isinstance(payload, dict):
        return "`payload` is an object"
    if not isinstance(payload.get("query"), str) or not payload["query"]:
        return "`query` is a text"
    if not isinstance(payload.get("operationName"), str | None):
        return "`operationName` is a text"
    for name in ("variables", "extensions"):
        if not isinstance(payload.get(name), dict | None):
            return f"`{name}` is an object"
    return _id(message)


_JUDGES: Final[dict[str, Callable[[dict[str, Any]], str | None]]] = {
    "connection_init": _payload,
    "ping": _payload,
    "pong": _payload,
    "subscribe": _subscribe,
    "complete": _id,
}

"""What every mutation checks before it begins: the idempotency key and texts that people type (rules 14 and 15)."""

from hashlib import sha256
from typing import Any, Final

import orjson

from adapters.postgres.changes import Request
from domain.faults import BadInput

KEY_MAX: Final = 255


def request(operation: str, idempotency_key: str, fields: dict[str, Any]) -> Request:
    """The key with the hash of what is asked. Raises BadInput for a key that is not 1 to 255 printable characters."""
    if not 1 <= len(idempotency_key) <= KEY_MAX or not idempotency_key.isprintable():
        raise BadInput("idempotencyKey", "An idempotency key has 1 to 255 printable characters.")
    plain = orjson.dumps([operation, fields], option=orjson.OPT_SORT_KEYS | orjson.OPT_NAIVE_UTC, default=str)
    return Request(idempotency_key, operation, sha256(plain).digest())


def problem(text: str | None, longest: int) -> str | None:
    """Why a free text can't be taken, or None. Line breaks and tabs are text; other control characters are not."""
    if text is None:
        return None
    if len(text) > longest:
        return f"At most {longest} characters are taken."
    if any(not letter.isprintable() and letter not in "\n\t" for letter in text):
        return "Control characters are not taken."
    return None


def reason(text: str | None, name: str = "reason") -> str | None:
    """The reason, trimmed; None where it is blank. Raises BadInput where it can't be taken."""
    why = problem(text, 255)
    if why is not None:
        raise BadInput(name, why)
    return (text or "").strip() or None

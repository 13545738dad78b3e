"""Advisory locks of write transactions: who waits for whom, in one order, so that nobody waits in a circle (rule 17)."""

from collections.abc import Iterable
from enum import IntEnum
from zlib import crc32

Key = tuple[int, int]


class LockClass(IntEnum):
    """Ascending is the order in which they are taken."""

    IDEMPOTENCY = 1
    CALLER = 2
    PATIENT = 3
    WAITLIST = 4
    RESOURCE = 5
    RECORD = 6  # clinics and visit types, which are no resources
    DELIVERY = 7
    RELAY = 10
    MIGRATION = 11
    SWEEPER = 12
    GROUP = 13
    BUILDING = 14
    PLANNING = 15


def caller(subject: str) -> Key:
    return LockClass.CALLER, _hashed(subject)


def patient(key: int) -> Key:
    return LockClass.PATIENT, key & 0x7FFFFFFF


def waitlist(clinic_key: int) -> Key:
    """Whoever may give time up at the clinic, or changes who waits there."""
    return LockClass.WAITLIST, clinic_key & 0x7FFFFFFF


def resource(key: int) -> Key:
    return LockClass.RESOURCE, key & 0x7FFFFFFF


def record(kind: str, key: int) -> Key:
    return LockClass.RECORD, _hashed(f"{kind}:{key}")


def delivery(provider_id: str) -> Key:
    """Whoever says whose a message found at its provider is."""
    return LockClass.DELIVERY, _hashed(provider_id)


def group(name: str) -> Key:
    """For the member that reads the log for its group."""
    return LockClass.GROUP, _hashed(name)


def building(name: str) -> Key:
    """For who makes that index of search anew."""
    return LockClass.BUILDING, _hashed(name)


def opening(caller_and_key: tuple[str, str] | None, keys: Iterable[Key]) -> str:
    """Statements that begin a transaction and take its locks. Only integers are put into the text.

    A twin with the same key is waited for 1 s; the rest until the statement timeout. Nothing is written before all are had:
    the first write fixes the transaction's place in the stream.
    """
    text = "BEGIN;"
    if caller_and_key is not None:
        twin = _hashed("\x00".join(caller_and_key))
        text += f"SET LOCAL lock_timeout = '1s';SELECT pg_advisory_xact_lock({LockClass.IDEMPOTENCY:d}, {twin:d});"
        text += "SET LOCAL lock_timeout = 0;"
    rest = sorted(set(keys))
    if rest:
        calls = (f"pg_advisory_xact_lock({group:d}, {key:d})" for group, key in rest)
        text += f"SELECT {', '.join(calls)}"
    return text


def _hashed(text: str) -> int:
    return crc32(text.encode()) & 0x7FFFFFFF

"""Opaque, stable ids. A node id names a kind and a key; a slot id names provider, clinic, visit type and start (or opening)."""

import base64
import binascii
import string
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

CLINIC: Final = "C"
PROVIDER: Final = "P"
VISIT_TYPE: Final = "V"
PATIENT: Final = "T"
APPOINTMENT: Final = "A"
HOLD: Final = "H"
EXCEPTION: Final = "X"
WAITLIST_ENTRY: Final = "W"
OFFER: Final = "F"
SLOT: Final = "S"
OPENING_SLOT: Final = "O"
MESSAGE: Final = "M"  # no node: only callbacks name messages
NODE_KINDS: Final = frozenset(
    {CLINIC, PROVIDER, VISIT_TYPE, PATIENT, APPOINTMENT, HOLD, EXCEPTION, WAITLIST_ENTRY, OFFER}
)

_NODE_BYTES = 9
_SLOT_BYTES = 21
_START_MAX = 121_000_000  # The year 2200: no id beyond it was ever given out.
_SIGNS: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_PAIRS: Final = [first + second for first in _SIGNS for second in _SIGNS]


@lru_cache(maxsize=8192)
def node(kind: str, key: int) -> str:
    """Id of a thing that is stored."""
    return base64.urlsafe_b64encode(kind.encode() + key.to_bytes(8, "big")).decode()


def key(node_id: str, kind: str) -> int | None:
    """The key in `node_id`, or None where it is malformed or of another kind."""
    raw = _raw(node_id)
    if raw is None or len(raw) != _NODE_BYTES or chr(raw[0]) != kind:
        return None
    found = int.from_bytes(raw[1:], "big")
    return found if 0 < found < 1 << 63 else None


def kind_of(node_id: str) -> str | None:
    """The kind letter of a well-formed id, slots included."""
    raw = _raw(node_id)
    if raw is None or len(raw) not in (_NODE_BYTES, _SLOT_BYTES):
        return None
    letter = chr(raw[0])
    if len(raw) == _NODE_BYTES:
        return letter if letter in NODE_KINDS else None
    return letter if letter in (SLOT, OPENING_SLOT) else None


@dataclass(frozen=True, slots=True)
class SlotKey:
    """What a slot id names. `start` is in UTC minutes since 1970 and absent for an opening, which has its own."""

    provider_id: int
    clinic_id: int
    visit_type_id: int
    start: int | None = None
    opening_id: int | None = None

    def __str__(self) -> str:
        if self.opening_id is not None:
            return opening_prefix(self.provider_id, self.clinic_id, self.visit_type_id) + suffix(self.opening_id)
        assert self.start is not None
        return slot_prefix(self.provider_id, self.clinic_id, self.visit_type_id) + suffix(self.start)


@lru_cache(maxsize=8192)
def slot_prefix(provider_id: int, clinic_id: int, visit_type_id: int) -> str:
    """The part that all slots of one provider, clinic and visit type share; `suffix` completes it."""
    return _prefix(SLOT, provider_id, clinic_id, visit_type_id)


def opening_prefix(provider_id: int, clinic_id: int, visit_type_id: int) -> str:
    return _prefix(OPENING_SLOT, provider_id, clinic_id, visit_type_id)


def suffix(number: int) -> str:
    """Base64 of the number in six bytes, by table: lists of times are long."""
    pairs = _PAIRS
    return pairs[number >> 36] + pairs[number >> 24 & 4095] + pairs[number >> 12 & 4095] + pairs[number & 4095]


def slot(slot_id: str) -> SlotKey | None:
    """What `slot_id` names, or None where it is malformed."""
    raw = _raw(slot_id)
    if raw is None or len(raw) != _SLOT_BYTES or chr(raw[0]) not in (SLOT, OPENING_SLOT):
        return None
    provider_id = int.from_bytes(raw[1:7], "big")
    clinic_id, visit_type_id = int.from_bytes(raw[7:11], "big"), int.from_bytes(raw[11:15], "big")
    last = int.from_bytes(raw[15:], "big")
    if chr(raw[0]) == OPENING_SLOT:
        return SlotKey(provider_id, clinic_id, visit_type_id, opening_id=last)
    if last > _START_MAX:
        return None
    return SlotKey(provider_id, clinic_id, visit_type_id, start=last)


def _prefix(kind: str, provider_id: int, clinic_id: int, visit_type_id: int) -> str:
    parts = (
        kind.encode(),
        provider_id.to_bytes(6, "big"),
        clinic_id.to_bytes(4, "big"),
        visit_type_id.to_bytes(4, "big"),
    )
    return base64.urlsafe_b64encode(b"".join(parts)).decode()


def _raw(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    # Only the canonical spelling counts, so that one thing has one id.
    return raw if base64.urlsafe_b64encode(raw).decode() == text else None

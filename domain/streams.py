"""Positions in a clinic's availability stream. A mutation's cursor names its outbox row: a point in time (rule 27)."""

import base64
import binascii
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    epoch: str
    clinic_key: int
    xid: int
    outbox_id: int

    def __str__(self) -> str:
        plain = f"1|{self.epoch}|{self.clinic_key}|{self.xid}|{self.outbox_id}"
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def position(cursor: str) -> Position | None:
    """The position in `cursor`, or None where it can't be read."""
    try:
        plain = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
        kind, epoch, clinic, xid, outbox = plain.split("|")
        return Position(epoch, int(clinic), int(xid), int(outbox)) if kind == "1" else None
    except (binascii.Error, ValueError):
        return None

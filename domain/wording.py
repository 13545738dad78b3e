"""Registers shout. Their capitals to normal case, and two spellings of one address to the same key."""

import re
from typing import Final

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_SMALL: Final = {"AND", "OF", "THE", "IN", "AT", "ON", "FOR"}
_KEPT: Final = {"NE", "NW", "SE", "SW", "PO", "US", "II", "III", "IV", "VA", "MLK", "CR", "FM", "SR"}
_ORDINAL = re.compile(r"[0-9]+(?:ST|ND|RD|TH)")

_SHORT: Final = {
    "ALLEY": "ALY", "AVENUE": "AVE", "AV": "AVE", "BOULEVARD": "BLVD", "CENTER": "CTR", "CENTRE": "CTR", "CIRCLE": "CIR",
    "COURT": "CT", "CROSSING": "XING", "DRIVE": "DR", "EXPRESSWAY": "EXPY", "FREEWAY": "FWY", "HEIGHTS": "HTS",
    "HIGHWAY": "HWY", "LANE": "LN", "PARKWAY": "PKWY", "PLACE": "PL", "PLAZA": "PLZ", "POINT": "PT", "ROAD": "RD",
    "SQUARE": "SQ", "STREET": "ST", "TERRACE": "TER", "TRAIL": "TRL", "TURNPIKE": "TPKE", "VALLEY": "VLY",
    "NORTH": "N", "SOUTH": "S", "EAST": "E", "WEST": "W", "NORTHEAST": "NE", "NORTHWEST": "NW",
    "SOUTHEAST": "SE", "SOUTHWEST": "SW", "MOUNT": "MT", "SAINT": "ST", "FORT": "FT",
    "SUITE": "#", "STE": "#", "UNIT": "#", "ROOM": "#", "RM": "#", "APARTMENT": "#", "APT": "#",
    "BUILDING": "BLDG", "FLOOR": "FL", "FLR": "FL",
}  # fmt: skip
_UNIT = re.compile(r" (?:#|BLDG|FL|DEPT)(?: .*)?$| [0-9]+(?:ST|ND|RD|TH) FL(?: .*)?$")


def person(text: str) -> str:
    """MCDONALD is McDonald, O'BRIEN is O'Brien, SMITH-JONES is Smith-Jones; what has small letters stays."""
    return " ".join(_WORD.sub(_name, text).split()) if text.isupper() else text


def place(text: str) -> str:
    """An address or city: 73 E 200 N, 1st Ave NW, Mcallen is McAllen; what has small letters stays."""
    return " ".join(_WORD.sub(_street, text).split()) if text.isupper() else text


def phrase(text: str) -> str:
    """Like place, for what is neither: Physician of the Sea."""
    words = text.split()
    return (
        " ".join(word.lower() if at and word in _SMALL else word.capitalize() for at, word in enumerate(words))
        if text.isupper()
        else text
    )


def address_key(text: str) -> str:
    """The same for ``4510 Medical Center Drive, Suite 206`` and ``4510 MEDICAL CTR DR STE 206``."""
    words = re.sub(r"[^\w#]+|_", " ", text.upper().replace("'", "").replace("#", " # ")).split()
    key = " ".join(_SHORT.get(word, word) for word in words)
    return re.sub(r"#(?: #)+", "#", key)


def building_key(key: str) -> str:
    """An address key without suite, floor or building."""
    return _UNIT.sub("", key)


def _name(match: re.Match[str]) -> str:
    word = match[0]
    if word in {"II", "III", "IV"}:
        return word
    if word.startswith("MC") and len(word) > 3:
        return "Mc" + word[2:].capitalize()
    return "'".join(
        part.capitalize() if len(part) > 1 or not at else part.lower() for at, part in enumerate(word.split("'"))
    )


def _street(match: re.Match[str]) -> str:
    word = match[0]
    if word in _KEPT:
        return word
    return word.lower() if _ORDINAL.fullmatch(word) else _name(match)

"""What a file says about a place: its country, postal code, coordinates and zone (rule 43)."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfoNotFoundError

import tzfpy

from domain import states, zones

_ZIP = re.compile(r"([0-9]{3,5})(?:-([0-9]{1,4})?)?|([0-9]{7,9})", re.ASCII)


def country_of(country: str, state: str) -> str | None:
    """ISO 3166 code: as named, else by the state; None where neither says."""
    if country:
        code = {"USA": "US", "AUS": "AU"}.get(country.upper(), country.upper())
        return code if re.fullmatch(r"[A-Z]{2}", code) else None
    folded = state.lower()
    if not state or folded.upper() in states.US or folded in states.US_NAMES:
        return "US"
    return "AU" if folded in states.AUSTRALIA or folded in states.AUSTRALIA_CODES else None


def region_of(country: str, state: str) -> str | None:
    """US states as their two letters; elsewhere as written."""
    if country != "US":
        return state or None
    return states.US_NAMES.get(state.lower(), state.upper() if len(state) == 2 else state) or None


def postal_code(country: str, text: str) -> str | None:
    """US: five digits or ZIP+4; AU: four digits; lost leading zeros put back. Elsewhere as written. None: broken."""
    if country == "US":
        match = _ZIP.fullmatch(text.replace(" ", ""))
        if match is None:
            return None
        if match[3]:
            digits = match[3].zfill(9)
            return f"{digits[:5]}-{digits[5:]}"
        return match[1].zfill(5) + (f"-{match[2].zfill(4)}" if match[2] else "")
    if country == "AU":
        return text.zfill(4) if re.fullmatch(r"[0-9]{3,4}", text, re.ASCII) else None
    return text if len(text) <= 16 else None


def coordinates(latitude: str, longitude: str) -> tuple[float, float] | None:
    """None where either is missing, is no number or lies off the globe."""
    try:
        place = float(latitude), float(longitude)
    except ValueError:
        return None
    return place if abs(place[0]) <= 90 and abs(place[1]) <= 180 else None


def is_zone(name: str) -> bool:
    try:
        zones.named(name)
    except ZoneInfoNotFoundError:
        return False
    return True


def zone_at(latitude: float, longitude: float) -> str | None:
    """The zone of the land there; None at sea."""
    name = tzfpy.get_tz(longitude, latitude)
    return name if "/" in name and not name.startswith("Etc/") and is_zone(name) else None


def in_state(zone: str, country: str, state: str | None) -> bool:
    """Whether a US state has that time. Coordinates in another time zone than all of their state are mistaken."""
    code = (state or "").upper()
    known = {states.ONE_ZONE[code]} if code in states.ONE_ZONE else set(states.BY_ZIP.get(code, {}).values())
    known.discard(states.UNKNOWN)
    return country != "US" or not known or any(_offsets(zone) == _offsets(one) for one in known)


def _offsets(zone: str) -> list[timedelta | None]:
    return [datetime(2026, month, 1, tzinfo=zones.named(zone)).utcoffset() for month in (1, 7)]


def zone_of_state(country: str, state: str | None, postal: str | None) -> str | None:
    """The state's zone; in a US state with two, that of the ZIP. None: they do not say."""
    folded = (state or "").lower()
    if country == "AU":
        return states.AUSTRALIA.get(folded) or states.AUSTRALIA_CODES.get(folded)
    if country != "US":
        return None
    code = states.US_NAMES.get(folded, folded.upper())
    if code in states.ONE_ZONE:
        return states.ONE_ZONE[code]
    prefixes = states.BY_ZIP.get(code)
    if prefixes is None or not postal:
        return None
    return next(prefixes[postal[:n]] for n in (5, 4, 3, 0) if postal[:n] in prefixes) or None

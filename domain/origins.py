"""Web origins as browsers write them: scheme and host in small letters, the port only where it is not the scheme's own."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import idna

from domain.faults import BadInput

ORIGINS_MAX: Final = 50
LENGTH_MAX: Final = 300
_SHAPE: Final = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[^\s/?#@\\:\[\]*%]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
_OWN_PORTS: Final = {"https": 443, "http": 80}
_WORDING: Final = (
    "An origin reads https://clinic.example or https://clinic.example:8443: no path, no name, no wildcard."
)


def several(field: str, texts: list[str]) -> list[str]:
    """Each once, in the order given. Raises BadInput, which names the first that is none: `origins.2`."""
    if len(texts) > ORIGINS_MAX:
        raise BadInput(field, f"At most {ORIGINS_MAX} are taken.")
    return list(dict.fromkeys(origin(f"{field}.{at}", text) for at, text in enumerate(texts)))


def origin(field: str, text: str) -> str:
    """As a browser sends it. Plain http is taken from the machine itself alone. Raises BadInput."""
    found = _SHAPE.fullmatch(text) if len(text) <= LENGTH_MAX else None
    if found is None:
        raise BadInput(field, _WORDING)
    scheme, port = found[1].lower(), found[3]
    host = _host(field, found[2])
    if port is not None and not 1 <= int(port) <= 65535:
        raise BadInput(field, "A port is a number from 1 to 65535.")
    if scheme == "http" and not _is_here(host):
        raise BadInput(field, "Only https is taken; http from localhost alone.")
    return f"{scheme}://{host}" if port is None or int(port) == _OWN_PORTS[scheme] else f"{scheme}://{host}:{int(port)}"


def _host(field: str, text: str) -> str:
    try:
        if text.startswith("["):
            return f"[{IPv6Address(text[1:-1]).compressed}]"
        host = idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
        # Browsers read a host whose last part is a number as an address, in spellings that we do not take.
        return str(IPv4Address(host)) if re.fullmatch(r"(.*\.)?([0-9]+|0x[0-9a-f]*)", host) else _named(host)
    except (idna.IDNAError, ValueError):
        raise BadInput(field, "That is not the name of a host.") from None


def _named(host: str) -> str:
    if host.endswith("."):
        raise ValueError(host)
    return host


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

"""What people type, cleaned, or BadInput where it can't be taken. `field` is dotted, as clients spell it."""

import re
import unicodedata
from typing import Final

import phonenumbers

from domain.faults import BadInput

EMAIL_MAX: Final = 254
MINUTES_A_YEAR: Final = 525_600
_LOCAL: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL: Final = re.compile(
    rf"({_LOCAL}(?:\.{_LOCAL})*)@(?:{_LABEL}\.)+[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]", re.ASCII
)
_PHONE: Final = re.compile(r"\+?[0-9()./\-\s]{5,40}", re.ASCII)
# RFC 5646: language, extended language, script, region, variants, extensions, private use.
_LANGUAGE: Final = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?",
    re.ASCII | re.IGNORECASE,
)


def line(field: str, text: str, longest: int) -> str:
    """One line of text, not blank: composed characters, single spaces, no control characters."""
    if len(text) > 4 * longest:
        raise BadInput(field, f"At most {longest} characters are taken.")
    if any(not letter.isprintable() and unicodedata.category(letter) != "Zs" for letter in text):
        raise BadInput(field, "Control characters are not taken.")
    clean = " ".join(unicodedata.normalize("NFC", text).split())
    if not clean:
        raise BadInput(field, "It must not be blank.")
    if len(clean) > longest:
        raise BadInput(field, f"At most {longest} characters are taken.")
    return clean


def optional_line(field: str, text: str | None, longest: int) -> str | None:
    """None where it is absent or blank."""
    return None if text is None or not text.strip() else line(field, text, longest)


def email(field: str, text: str | None) -> str | None:
    """An address as it is written, after a look at its form; None where it is absent."""
    if text is None:
        return None
    clean = text.strip()
    match = _EMAIL.fullmatch(clean) if len(clean) <= EMAIL_MAX else None
    if match is None or len(match[1]) > 64:
        raise BadInput(field, "That is not an e-mail address.")
    return clean


def phone(field: str, text: str | None, country: str) -> str | None:
    """E.164 of a valid number, read as dialled within `country` where it has no +; None where it is absent."""
    if text is None:
        return None
    found = e164(text, country)
    if found is None:
        raise BadInput(field, "That is not a telephone number. Write it with + and the country's code.")
    return found


def e164(text: str, country: str) -> str | None:
    """None for what is not one valid number without extension."""
    if not _PHONE.fullmatch(text.strip()):
        return None
    try:
        number = phonenumbers.parse(text.strip(), country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def language(field: str, tag: str) -> str:
    """A BCP 47 tag in the usual letter case (en-US, zh-Hant): tags are compared exactly."""
    if len(tag) > 35 or not _LANGUAGE.fullmatch(tag):
        raise BadInput(field, "That is not a language tag (BCP 47).")
    first, *rest = tag.lower().split("-")
    parts, plain = [first], True
    for part in rest:
        plain = plain and len(part) > 1  # What follows a single letter is an extension: small letters.
        if not plain or not part.isalpha() or len(part) not in (2, 4):
            parts.append(part)
        else:
            parts.append(part.upper() if len(part) == 2 else part.capitalize())
    return "-".join(parts)


def number(field: str, value: int, lowest: int, highest: int, step: int = 1) -> int:
    if not lowest <= value <= highest or value % step:
        of = f", a multiple of {step}" if step > 1 else ""
        raise BadInput(field, f"It is a number from {lowest} to {highest}{of}.")
    return value

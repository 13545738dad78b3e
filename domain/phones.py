"""Telephone numbers as people write them, to E.164."""

import phonenumbers


def e164(text: str, country: str) -> str | None:
    """The first valid number in `text`, read as dialled within `country` (ISO 3166, two letters).

    Extensions and further numbers are dropped. A lost leading zero does no harm where it is only a trunk prefix.
    """
    found = [match.number for match in phonenumbers.PhoneNumberMatcher(text, country)]
    if not found:
        try:
            number = phonenumbers.parse(text, country)
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_valid_number(number):
            return None
        found = [number]
    return phonenumbers.format_number(found[0], phonenumbers.PhoneNumberFormat.E164)

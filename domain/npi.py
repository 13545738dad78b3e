"""National Provider Identifiers: ten digits, the last a Luhn check digit over the prefix 80840."""

import re

_FORM = re.compile(r"[12][0-9]{9}", re.ASCII)
_PREFIX = 24  # what the fixed digits 80840 add to every Luhn sum


def is_valid(npi: str) -> bool:
    if not _FORM.fullmatch(npi):
        return False
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in npi[-2::-2])
    return (_PREFIX + doubled + sum(int(digit) for digit in npi[-1::-2])) % 10 == 0

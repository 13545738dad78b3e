"""The records of a CSV file that can be used; the others are reported."""

from collections.abc import Iterator, Sequence

from domain import tables
from domain.imports import Report
from domain.tables import Columns, Record, Refusal, UnusableFile


def usable(data: bytes, file: str, columns: Columns, required: Sequence[str], report: Report) -> Iterator[Record]:
    """Raises UnusableFile, which names the file."""
    try:
        found = tables.records(data, columns, required)
    except UnusableFile as fault:
        raise UnusableFile(f"{file}: {fault}") from fault
    for one in found:
        if isinstance(one, Refusal):
            report.refuse(file, one.line, one.reason)
        else:
            yield one

"""Reads a bulk publication: the manifest, its files, and of each line what it says."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from adapters.feeds import sources
from domain import feeds
from domain.feeds import FeedLocation, FeedSchedule, FeedSlot
from domain.imports import Report
from domain.tables import RefusedLine, UnusableFile

Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Line(Generic[Said]):
    file: str
    number: int
    said: Said


@dataclass(slots=True)
class Publication:
    """`whole`: every Slot file was read, so what is not in them is gone."""

    feed: str
    locations: list[Line[FeedLocation]] = field(default_factory=list)
    schedules: list[Line[FeedSchedule]] = field(default_factory=list)
    slots: list[Line[FeedSlot]] = field(default_factory=list)
    whole: bool = False


async def read(address: str, report: Report, *, offline: bool) -> Publication:
    """Lines that cannot be used are reported. Raises UnusableFile where there is nothing to read."""
    if offline and sources.is_url(address):
        raise UnusableFile(f"{address}: --offline reads files beside the manifest, so the manifest must be a file")
    data = await sources.read(address)
    try:
        manifest = feeds.manifest(data, address)
    except UnusableFile as fault:
        raise UnusableFile(f"{address}: {fault}") from fault
    publication = Publication(manifest.feed)
    unread: list[str] = []
    for kind, url in manifest.files:
        try:
            file = sources.beside(address, url, offline=offline)
            data = await sources.read(file)
        except UnusableFile as fault:
            unread.append(kind)
            report.refuse_file(str(fault))
            continue
        _take(publication, kind, data, file, report)
    if len(unread) == len(manifest.files):
        raise UnusableFile(f"{address}: none of the manifest's files could be read")
    publication.whole = "Slot" not in unread and any(kind == "Slot" for kind, _ in manifest.files)
    return publication


def _take(publication: Publication, kind: str, data: bytes, file: str, report: Report) -> None:
    match kind:
        case "Location":
            publication.locations.extend(_lines(data, kind, feeds.location, file, report))
        case "Schedule":
            publication.schedules.extend(_lines(data, kind, feeds.schedule, file, report))
        case _:
            publication.slots.extend(_lines(data, kind, feeds.slot, file, report))


def _lines(
    data: bytes, kind: str, said: Callable[[Mapping[str, Any]], Said], file: str, report: Report
) -> Iterator[Line[Said]]:
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            yield Line(file, number, said(feeds.line(raw, kind)))
        except RefusedLine as refusal:
            report.refuse(file, number, str(refusal))

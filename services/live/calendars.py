"""The process's own calendars: changed only by the streams, so that open times are arithmetic in memory.

Each (provider, clinic) has a calendar of its own: each clinic hears of one change by an event of its own.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from adapters.postgres.calendars import Offering, Pair, Triple
from adapters.postgres.database import Reader
from adapters.postgres.open_times import Looked
from domain import calendars
from domain.calendars import CHUNK_TICKS, Calendar
from domain.clinics import VisitType
from domain.schedules import Schedule
from domain.streams import CalendarEvent, Cursor, Pulse
from services.live.altered import Altered
from services.live.catalog import ProcessCatalog
from services.live.trust import Trust

ENTRIES_MAX: Final = 30_000
WEEKS_MAX: Final = 200_000  # In all calendars together: at most 50 MB of bits, half of it read ahead.
WIDEST_WEEKS: Final = 27
HEARD_MAX: Final = 50_000
KINDS_MAX: Final = 1_000
FLOOR_MARGIN: Final = timedelta(seconds=3)  # How far our idea of the database's clock may be off, and more.


@dataclass(slots=True)
class Entry:
    """What decides the open times of a provider at a clinic. Without a calendar nothing is known but what is not offered.

    `derived` is whatever was worked out of the rest: another dict as soon as anything of it changes, so that who worked meanwhile
    writes into one that nobody reads.
    """

    version: int = -1
    numbers: range = range(0)
    calendar: Calendar | None = None
    schedule: Schedule | None = None
    offerings: dict[int, Offering | None] = field(default_factory=dict)
    derived: dict[Hashable, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Floor:
    """What this process wrote, and when: by the database's clock, None until that is known."""

    version: int
    at: datetime | None


class ProcessCalendars:
    """What is kept counts while `trust` says so. Booking never relies on it.

    What was read while it changed is not kept. Filled from the primary only (adapters.postgres.open_times).
    """

    def __init__(self, primary: Reader, trust: Trust, catalog: ProcessCatalog) -> None:
        self.primary = primary
        self._trust = trust
        self._catalog = catalog
        self._epoch: str | None = None
        self._entries: OrderedDict[Pair, Entry] = OrderedDict()
        self._weeks = 0
        self._at: dict[int, set[int]] = {}  # Providers with an entry, by clinic.
        self._kinds: dict[int, VisitType] = {}
        self._points: dict[int, Cursor] = {}
        self._asked: dict[int, tuple[datetime, Cursor]] = {}
        # What in-flight reads are measured by: newest versions heard, and when what was dropped.
        self._heard: dict[Pair, tuple[int, int]] = {}
        self._count = 0
        self._dropped: dict[int, int] = {}
        self._forgotten = 0
        self._newest: dict[int, int] = {}  # Versions heard by resource, at any clinic.
        self._floors: dict[int, _Floor] = {}
        self.altered = Altered()

    # What the hub says.

    def apply(self, event: CalendarEvent) -> None:
        """The next event of its clinic."""
        if self._epoch is not None and event.epoch != self._epoch:
            self.forget()
        clinic_key, provider_key = event.clinic_key, event.provider_key
        self._points[clinic_key] = Cursor(event.epoch, clinic_key, event.seq)
        if provider_key is None:
            if event.invalidated:
                self.drop(clinic_key)
            return
        if event.opening_key is not None:  # Openings are no ticks, and are read where they are asked for.
            self._hear((event.opening_key, clinic_key), event.version)
            if event.invalidated:
                self._changed(clinic_key, provider_key)
            return
        self._hear((provider_key, clinic_key), event.version)
        if event.invalidated:
            self._catalog.drop(clinic_key, provider_key)
        self._follow((provider_key, clinic_key), event)

    def _follow(self, pair: Pair, event: CalendarEvent) -> None:
        """What the next version makes of an entry; one that is as new already stays, one that missed a version goes."""
        entry = self._entries.get(pair)
        if entry is None or event.version <= entry.version:
            return
        changed = None
        if event.version == entry.version + 1 and entry.calendar is not None and not event.invalidated:
            ticks = len(entry.numbers) * CHUNK_TICKS
            changed = calendars.applied(entry.calendar, ticks, event.version, event.opened, event.closed)
        if changed is not None:
            entry.version, entry.calendar = event.version, changed
            self._other(entry, pair)
        elif entry.calendar is not None or event.invalidated:
            self._remove(pair)

    def drop(self, clinic_key: int) -> None:
        """Forgets all of a clinic: events were missed, or more has changed than times."""
        self._count += 1
        self._dropped[clinic_key] = self._count
        for provider_key in list(self._at.get(clinic_key, ())):
            self._remove((provider_key, clinic_key))
        self._catalog.drop(clinic_key)

    def forget(self) -> None:
        """Forgets everything: versions and places in the streams begin anew."""
        self._count += 1
        self._forgotten = self._count
        self._entries.clear()
        self.altered.everybody()
        self._weeks = 0
        self._floors.clear()
        self._newest.clear()
        for known in (self._at, self._kinds, self._points, self._asked, self._heard, self._dropped):
            known.clear()
        self._epoch = None
        self._trust.lost()
        self._catalog.forget()

    def heard(self, pulse: Pulse) -> None:
        if self._epoch is not None and pulse.epoch != self._epoch:
            self.forget()
        self._epoch = pulse.epoch
        self._trust.heard(pulse)
        heard_until = pulse.at - timedelta(seconds=pulse.horizon_age)
        for clinic_key, (at, place) in list(self._asked.items()):
            if at < heard_until:
                self._points.setdefault(clinic_key, place)
                del self._asked[clinic_key]
        self._forget_floors(heard_until)

    def doubt(self) -> None:
        """The log was lost: nothing kept counts until it is known what is missing."""
        self._trust.doubt()

    def settle(self) -> None:
        self._trust.settle()

    # What this process wrote itself: known before the streams tell.

    def wrote(self, versions: Mapping[int, int]) -> None:
        """From here on reads pass over calendars that are older than these versions of their resources."""
        now = self._trust.now()
        for resource_key, version in versions.items():
            before = self._floors.get(resource_key)
            self._floors[resource_key] = _Floor(max(version, before.version) if before else version, now)
            self.altered.note(resource_key)
        if len(self._floors) > HEARD_MAX:
            self._clear()

    def is_behind(self, clinic_key: int, provider_keys: Iterable[int]) -> bool:
        """Whether the streams have yet to tell this clinic of something that we wrote of these providers."""
        if not self._floors:
            return False
        return any(
            self._heard.get((key, clinic_key), (0, 0))[0] < self._floors[key].version
            for key in provider_keys
            if key in self._floors
        )

    def is_behind_anywhere(self) -> bool:
        """Whether they have yet to tell anybody of something that we wrote: of openings, nobody knows here whose they are."""
        return any(self._newest.get(key, 0) < floor.version for key, floor in self._floors.items())

    def _forget_floors(self, heard_until: datetime) -> None:
        """Those of which all was heard: what is kept is as new."""
        now = self._trust.now()
        if now is None:
            return
        for key, floor in list(self._floors.items()):
            floor.at = floor.at or now
            if floor.at + FLOOR_MARGIN < heard_until:
                del self._floors[key]

    def saved(self, clinic_keys: Sequence[int] | None = None, provider_key: int | None = None) -> None:
        """After a save of a record of these clinics, of this provider, or (without clinics) of what any clinic may offer."""
        if clinic_keys is None:
            self._clear()
            return
        for clinic_key in clinic_keys:
            if provider_key is None:
                self.drop(clinic_key)
            else:
                self._changed(clinic_key, provider_key)

    # What reads ask.

    @property
    def life(self) -> int:
        """Another number once everything was forgotten."""
        return self._forgotten

    @property
    def weeks(self) -> int:
        """Kept, in all calendars together."""
        return self._weeks

    def now(self) -> datetime | None:
        """The database's clock; None while nothing counts."""
        return self._trust.now()

    def point(self, clinic_key: int) -> Cursor | None:
        """Where the clinic's stream stands here: nothing kept is older."""
        return self._points.get(clinic_key)

    def learn_point(self, place: Cursor, at: datetime) -> None:
        """For a clinic whose stream is quiet: where it stood in the database at `at`. Counts once all before `at` was heard."""
        if self._trust.now() is not None and place.epoch == self._epoch:
            self._asked[place.clinic_key] = at, place

    def peek(self, keys: Sequence[Triple], numbers: range, *, own: bool = True) -> dict[Triple, Looked | None]:
        """What is known of them over all chunks `numbers`; None for what is not offered. `own`: as new as what we wrote."""
        now = self._trust.now()
        if now is None:
            return {}
        found: dict[Triple, Looked | None] = {}
        for key in keys:
            provider_key, clinic_key, kind_key = key
            entry = self._entries.get((provider_key, clinic_key))
            if entry is None or kind_key not in entry.offerings:
                continue
            offering = entry.offerings[kind_key]
            if offering is None:
                found[key] = None
            elif (
                entry.calendar is not None
                and entry.numbers.start <= numbers.start
                and numbers.stop <= entry.numbers.stop
                and not (own and self._is_below(provider_key, entry.version))
            ):
                found[key] = Looked(offering, entry.schedule, entry.calendar, now)
                self._entries.move_to_end((provider_key, clinic_key))
        return found

    def kept(self, pair: Pair) -> Entry | None:
        """All that is known of a provider at a clinic, if it is as new as what we wrote. Ask `now` first: nothing may count."""
        entry = self._entries.get(pair)
        if entry is None or (self._floors and self._is_below(pair[0], entry.version)):
            return None
        self._entries.move_to_end(pair)
        return entry

    def _is_below(self, resource_key: int, version: int) -> bool:
        floor = self._floors.get(resource_key)
        return floor is not None and version < floor.version

    def ticket(self) -> int | None:
        return None if self._trust.now() is None else self._count

    def hull(self, keys: Sequence[Triple], numbers: range) -> range:
        """The chunks to be read for these, so that what was known before is known after."""
        known = [entry.numbers for key in keys if (entry := self._entries.get(key[:2])) and entry.calendar is not None]
        wide = range(
            min([numbers.start, *(one.start for one in known)]), max([numbers.stop, *(one.stop for one in known)])
        )
        return wide if len(wide) <= WIDEST_WEEKS else numbers

    def learn(self, ticket: int | None, keys: Sequence[Triple], numbers: range, looked: Sequence[Looked]) -> None:
        """What a statement over these keys answered, begun after the ticket was had."""
        if ticket is None or len(numbers) > WIDEST_WEEKS:
            return
        for one in looked:
            self._learn(ticket, numbers, one)
        for provider_key, clinic_key, kind_key in set(keys) - {one.triple for one in looked}:
            pair = (provider_key, clinic_key)
            if self._is_current(ticket, clinic_key) and self._heard.get(pair, (0, 0))[1] <= ticket:
                entry = self._entry(pair)
                entry.offerings[kind_key] = None
                self._other(entry, pair)
        while self._weeks > WEEKS_MAX or len(self._entries) > ENTRIES_MAX:
            self._remove(next(iter(self._entries)))

    def _learn(self, ticket: int, numbers: range, one: Looked) -> None:
        offering, version = one.offering, one.calendar.version
        pair = (offering.provider_key, offering.clinic_key)
        # A calendar of another version than the facts beside it would hide the event in between.
        if offering.epoch != self._epoch or offering.resource_version != version:
            return
        if not self._is_current(ticket, offering.clinic_key) or version < self._heard.get(pair, (0, 0))[0]:
            return
        entry = self._entry(pair)
        if entry.version > version:
            return
        if entry.version < version:
            entry.offerings = {}
            self._weeks -= len(entry.numbers)
            entry.version, entry.numbers, entry.calendar = version, range(0), None
        entry.schedule = one.schedule
        entry.offerings[offering.visit_type.key] = self._sharing(offering)
        self._other(entry, pair)
        if not entry.numbers or (numbers.start <= entry.numbers.start and entry.numbers.stop <= numbers.stop):
            self._weeks += len(numbers) - len(entry.numbers)
            entry.numbers, entry.calendar = numbers, one.calendar

    def _sharing(self, offering: Offering) -> Offering:
        """Thousands offer the same few kinds of visit: each is kept once."""
        kind = offering.visit_type
        known = self._kinds.get(kind.key)
        if known is None or known.version != kind.version or known != kind:
            if len(self._kinds) >= KINDS_MAX:
                self._kinds.clear()
            self._kinds[kind.key] = kind
            return offering
        return replace(offering, visit_type=known)

    def _entry(self, pair: Pair) -> Entry:
        entry = self._entries.get(pair)
        if entry is None:
            entry = self._entries[pair] = Entry()
            self._at.setdefault(pair[1], set()).add(pair[0])
        return entry

    def _other(self, entry: Entry, pair: Pair) -> None:
        """Something of it is another now: what was worked out of it does not count any more."""
        entry.derived = {}
        self.altered.note(pair[0])

    def _remove(self, pair: Pair) -> None:
        entry = self._entries.pop(pair, None)
        if entry is None:
            return
        self.altered.note(pair[0])
        self._weeks -= len(entry.numbers)
        there = self._at[pair[1]]
        there.discard(pair[0])
        if not there:
            del self._at[pair[1]]

    def _changed(self, clinic_key: int, provider_key: int) -> None:
        """More than times has changed of a provider at a clinic, without a version to tell older reads by."""
        self._count += 1
        self._dropped[clinic_key] = self._count
        self._remove((provider_key, clinic_key))
        self._catalog.drop(clinic_key, provider_key)

    def _hear(self, pair: Pair, version: int) -> None:
        self._count += 1
        if len(self._heard) >= HEARD_MAX and pair not in self._heard:
            self._heard.clear()
            self._newest.clear()
            self._forgotten = self._count  # Reads in flight can't be measured any more.
        self._heard[pair] = max(version, self._heard.get(pair, (0, 0))[0]), self._count
        self._newest[pair[0]] = max(version, self._newest.get(pair[0], 0))

    def _clear(self) -> None:
        """Nothing kept counts any more; what comes next does."""
        self._count += 1
        self._forgotten = self._count
        self._entries.clear()
        self.altered.everybody()
        self._weeks = 0
        self._at.clear()
        self._floors.clear()
        self._catalog.forget()

    def _is_current(self, ticket: int, clinic_key: int) -> bool:
        return self._forgotten <= ticket and self._dropped.get(clinic_key, 0) <= ticket

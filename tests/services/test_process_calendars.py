"""What the process keeps, event by event: no I/O, a clock of the test's own."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import pytest

from adapters.postgres.calendars import Offering
from adapters.postgres.database import Reader
from adapters.postgres.open_times import Looked
from domain import zones
from domain.calendars import CHUNK_TICKS, whole
from domain.clinics import Modality, Provider, ProviderKind, VisitType
from domain.streams import CalendarEvent, Cursor, Pulse
from services.live import calendars as kept
from services.live import catalog
from services.live.calendars import ProcessCalendars
from services.live.catalog import ProcessCatalog
from services.live.trust import Trust

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
EPOCH = "one"
NUMBERS = range(int(NOW.timestamp()) // 300 // CHUNK_TICKS, int(NOW.timestamp()) // 300 // CHUNK_TICKS + 2)
BASE = NUMBERS.start * CHUNK_TICKS
KIND = VisitType(7, 1, True, "Visit", 30, 0, 0, None, 0, 90, 0, Modality.IN_PERSON)
TRIPLE = (5, 3, 7)


class Here:
    """Everything that one process keeps."""

    def __init__(self) -> None:
        self.seconds = 999.0
        self.trust = Trust(lambda: self.seconds)
        self.catalog = ProcessCatalog(self.trust)
        self.kept = ProcessCalendars(cast(Reader, None), self.trust, self.catalog)
        self.pulse()
        self.next_pulse()

    def pulse(self, *, age: float = 0.0, shift: float = 0.0, epoch: str = EPOCH) -> None:
        self.kept.heard(Pulse(epoch, NOW + timedelta(seconds=self.seconds - 1000 + shift), age))

    def next_pulse(self, **more: Any) -> None:
        self.seconds += 1
        self.pulse(**more)

    def read(self, version: int, triple: tuple[int, int, int] = TRIPLE, numbers: range = NUMBERS) -> Looked:
        offering = Offering(
            triple[0], triple[1], ProviderKind.PERSON, zones.named("UTC"), KIND, version, 0, True, EPOCH
        )  # fmt: skip
        return Looked(offering, None, whole(version, numbers, ([], [], [])), NOW)

    def learn(self, version: int, ticket: int | None = None, **more: Any) -> None:
        one = self.read(version, **more)
        ticket = self.kept.ticket() if ticket is None else ticket
        self.kept.learn(ticket, [one.triple], more.get("numbers", NUMBERS), [one])

    def version(self, *, own: bool = True) -> int | None:
        found = self.kept.peek([TRIPLE], NUMBERS, own=own).get(TRIPLE)
        return None if found is None else found.calendar.version


@pytest.fixture
def here() -> Here:
    return Here()


def told(version: int, *, clinic: int = 3, provider: int | None = 5, **more: Any) -> CalendarEvent:
    closed = () if more.get("invalidated") else (((BASE + version) * 300, (BASE + version + 1) * 300, 0),)
    more = {"closed": closed, "epoch": EPOCH, "opening_key": None, **more}
    return CalendarEvent(
        clinic_key=clinic, seq=1, at=NOW, xid=1, outbox_id=version, provider_key=provider, version=version, **more
    )


def test_the_next_version_is_applied_an_older_one_dropped_and_a_later_one_ends_it(here: Here) -> None:
    here.learn(4)
    here.kept.apply(told(4))
    here.kept.apply(told(3))
    assert here.version() == 4
    here.kept.apply(told(5))
    found = here.kept.peek([TRIPLE], NUMBERS)[TRIPLE]
    assert found is not None
    assert (found.calendar.version, found.calendar.booked) == (5, 1 << 5)
    here.kept.apply(told(7))
    assert here.version() is None


def test_each_clinic_hears_for_itself(here: Here) -> None:
    other = (5, 4, 7)
    here.learn(4)
    here.learn(4, triple=other)
    here.kept.apply(told(5))
    assert here.version() == 5
    found = here.kept.peek([other], NUMBERS)[other]
    assert found is not None
    assert found.calendar.version == 4
    here.kept.drop(4)
    assert here.kept.peek([other, TRIPLE], NUMBERS).keys() == {TRIPLE}


def test_a_read_that_raced_with_an_event_counts_only_if_it_saw_it(here: Here) -> None:
    before = here.kept.ticket()
    here.kept.apply(told(5))
    here.learn(4, before)
    assert here.version() is None
    here.learn(5, before)
    assert here.version() == 5
    here.learn(4)
    assert here.version() == 5


@pytest.mark.parametrize("what", ["clinic", "everything", "gap", "epoch", "saved", "pool"])
def test_a_read_that_raced_with_more_than_times_is_not_kept(here: Here, what: str) -> None:
    ticket = here.kept.ticket()
    match what:
        case "clinic":
            here.kept.apply(told(0, provider=None, invalidated=True))
        case "everything":
            here.kept.saved()
        case "gap":
            here.kept.drop(3)
        case "saved":
            here.kept.saved([3], 5)
        case "pool":
            here.kept.apply(told(9, opening_key=99, invalidated=True))
        case _:
            here.kept.apply(told(1, epoch="two", clinic=9))
            here.pulse()
            here.next_pulse()
    here.learn(4, ticket)
    here.kept.learn(ticket, [(5, 3, 8)], NUMBERS, [])
    assert here.kept.peek([TRIPLE, (5, 3, 8)], NUMBERS) == {}
    here.learn(4)
    assert here.version() == 4


def test_facts_that_were_read_before_their_change_go_and_those_read_after_stay(here: Here) -> None:
    here.learn(4)
    here.kept.apply(told(5, invalidated=True))
    assert here.version() is None
    here.learn(6)
    here.kept.apply(told(6, invalidated=True))
    assert here.version() == 6


def test_what_is_not_offered_is_known_until_it_may_be(here: Here) -> None:
    other = (5, 3, 8)
    ticket = here.kept.ticket()
    here.kept.learn(ticket, [other], NUMBERS, [])
    here.kept.apply(told(5))
    assert here.kept.peek([other], NUMBERS) == {other: None}
    here.kept.apply(told(6, invalidated=True))
    assert here.kept.peek([other], NUMBERS) == {}
    here.kept.learn(ticket, [other], NUMBERS, [])
    assert here.kept.peek([other], NUMBERS) == {}


def test_what_we_wrote_is_a_floor_for_reads_and_not_for_frames(here: Here) -> None:
    here.learn(4)
    here.kept.wrote({5: 5})
    assert (here.version(), here.version(own=False)) == (None, 4)
    here.kept.apply(told(5))
    assert here.version() == 5
    here.kept.wrote({5: 6})
    here.learn(6)
    assert here.version() == 6


def test_a_floor_is_forgotten_once_all_of_it_was_heard(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "HEARD_MAX", 20)
    here.learn(4)
    for number in range(100):
        here.kept.wrote({100 + number: 2})
        here.next_pulse()
        assert here.version() == 4
    assert len(here.kept._floors) < 6
    here.kept.wrote({5: 5})
    for _ in range(5):
        here.next_pulse(age=2.9)
        assert here.version() is None  # what was written may not have been heard yet
    here.next_pulse(age=2.9)
    assert here.version() == 4
    here.seconds += 10
    here.kept.wrote({6: 6})  # while nobody knows what time it is
    here.next_pulse()
    here.next_pulse()
    assert 6 in here.kept._floors


def test_whether_the_streams_have_told_of_what_we_wrote(here: Here) -> None:
    assert not here.kept.is_behind(3, [5])
    here.kept.wrote({5: 5, 900: 2})
    assert here.kept.is_behind(3, [4, 5])
    assert not here.kept.is_behind(3, [4])
    here.kept.apply(told(5, clinic=4))
    assert here.kept.is_behind(3, [5])
    here.kept.apply(told(5))
    assert not here.kept.is_behind(3, [5])
    assert here.kept.is_behind_anywhere()
    here.kept.apply(told(2, opening_key=900))
    assert not here.kept.is_behind_anywhere()


def test_a_calendar_of_another_version_than_its_facts_is_not_kept(here: Here) -> None:
    one = here.read(4)
    one.calendar = whole(5, NUMBERS, ([], [], []))
    here.kept.learn(here.kept.ticket(), [TRIPLE], NUMBERS, [one])
    assert here.version() is None


def test_wider_reads_widen_what_is_kept_and_very_wide_ones_are_not(here: Here) -> None:
    here.learn(4)
    later = range(NUMBERS.stop, NUMBERS.stop + 1)
    assert here.kept.peek([TRIPLE], later) == {}
    wide = here.kept.hull([TRIPLE], later)
    assert wide == range(NUMBERS.start, NUMBERS.stop + 1)
    here.learn(4, numbers=wide)
    assert here.kept.peek([TRIPLE], later).keys() == here.kept.peek([TRIPLE], NUMBERS).keys() == {TRIPLE}
    far = range(NUMBERS.start, NUMBERS.start + kept.WIDEST_WEEKS + 1)
    assert here.kept.hull([TRIPLE], range(far.stop, far.stop + 1)) == range(far.stop, far.stop + 1)
    here.learn(4, numbers=far)
    assert here.kept.peek([TRIPLE], far) == {}


def test_memory_is_bounded_and_what_is_asked_for_stays(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "WEEKS_MAX", 20)
    for provider in range(100):
        here.learn(4)
        here.learn(1, triple=(1000 + provider, 3, 7))
        assert here.version() == 4
    known = here.kept.peek([(1000 + provider, 3, 7) for provider in range(100)], NUMBERS)
    assert 5 < len(known) <= 10
    monkeypatch.setattr(kept, "HEARD_MAX", 10)
    before = here.kept.ticket()
    for provider in range(30):
        here.kept.apply(told(5, provider=provider + 50))
        here.kept.wrote({provider: 9})
    here.learn(5, before, triple=(49, 3, 7))  # Nobody can say any more whether it is as new as what was heard.
    assert here.kept.peek([(49, 3, 7)], NUMBERS) == {}


def test_nothing_counts_without_a_pulse_and_all_of_it_again_with_one(here: Here) -> None:
    here.learn(4)
    here.seconds += 2.9
    assert here.version() == 4
    here.seconds += 0.2
    assert here.version() is None
    assert here.kept.ticket() is None
    here.kept.apply(told(5))
    here.pulse()
    assert here.version() == 5
    here.pulse(age=3.0)
    assert here.version() is None


def test_a_pulse_of_another_epoch_ends_everything(here: Here) -> None:
    here.learn(4)
    here.pulse(epoch="two")
    assert here.trust.now() is None
    here.next_pulse(epoch="two")
    assert here.trust.now() is not None
    assert here.version() is None
    here.learn(4)  # Read from the database of before.
    assert here.version() is None


def test_the_clock_goes_on_between_pulses_and_never_back(here: Here) -> None:
    here.seconds += 1
    assert here.trust.now() == NOW + timedelta(seconds=1)
    here.pulse(shift=-0.4)  # It came late.
    assert here.trust.now() == NOW + timedelta(seconds=1)
    here.seconds += 1
    now = here.trust.now()
    assert now is not None
    assert timedelta(seconds=1.9) < now - NOW <= timedelta(seconds=2)


def test_a_clock_that_was_set_shows_with_the_next_pulse(here: Here) -> None:
    here.pulse(shift=3600)
    assert here.trust.now() == NOW + timedelta(hours=1)
    here.next_pulse()
    assert here.trust.now() is None  # Late or set back? Nobody knows yet, so others are asked.
    here.next_pulse()
    assert here.trust.now() == NOW + timedelta(seconds=2)


@pytest.mark.parametrize("fresh", [True, False])
def test_pulses_of_a_backlog_are_not_believed(here: Here, fresh: bool) -> None:
    here.seconds += 60
    trust = Trust(lambda: here.seconds) if fresh else here.trust
    at = NOW + timedelta(seconds=here.seconds - 1000)
    for late in range(60, -1, -1):
        trust.heard(Pulse(EPOCH, at - timedelta(seconds=late), 0.0))
        here.seconds += 0.01
        assert trust.now() is None
    here.seconds += 1 - 0.01
    trust.heard(Pulse(EPOCH, at + timedelta(seconds=1), 0.0))
    assert trust.now() is not None


def test_nothing_counts_while_something_may_be_missing_whatever_pulses_come(here: Here) -> None:
    here.learn(4)
    here.kept.doubt()
    for _ in range(3):
        here.next_pulse()
        assert (here.version(), here.kept.ticket(), here.kept.now()) == (None, None, None)
    here.kept.settle()
    assert here.version() == 4


def test_one_old_pulse_is_no_sign_of_life(here: Here) -> None:
    trust = Trust(lambda: here.seconds)
    trust.heard(Pulse(EPOCH, NOW - timedelta(hours=1), 0.0))
    assert trust.now() is None
    here.seconds += 10
    trust.heard(Pulse(EPOCH, NOW + timedelta(seconds=10), 0.0))
    assert trust.now() is None


def test_a_quiet_clinics_place_counts_once_all_before_was_heard(here: Here) -> None:
    place = Cursor(EPOCH, 3, 10)
    here.kept.learn_point(place, NOW)
    here.pulse()
    assert here.kept.point(3) is None
    here.seconds += 1
    here.pulse(age=2)
    assert here.kept.point(3) is None
    here.seconds += 1
    here.pulse()
    assert here.kept.point(3) == place
    here.kept.apply(told(1))
    assert here.kept.point(3) == Cursor(EPOCH, 3, 1)


def provider(key: int, clinics: tuple[int, ...], types: tuple[int, ...]) -> Provider:
    return Provider(key, 1, True, ProviderKind.PERSON, None, "Dr", [], [], True, clinics, types)


def test_only_what_somebody_would_be_told_of_is_kept_of_the_catalog(here: Here) -> None:
    catalog = here.catalog
    catalog.learn(catalog.ticket(), "visit type", {7: KIND})
    assert catalog.find("visit type", [7]) == {}
    nowhere, somewhere = provider(1, (), (7,)), provider(2, (3,), (7,))
    catalog.learn(catalog.ticket(), "provider", {1: nowhere, 2: somewhere})
    assert catalog.find("provider", [1, 2]) == {2: somewhere}
    catalog.learn(catalog.ticket(), "visit type", {7: KIND})
    assert catalog.find("visit type", [7]) == {7: KIND}
    here.kept.apply(told(2, provider=9, invalidated=True))
    assert catalog.find("visit type", [7]) == {}
    assert catalog.find("provider", [2]) == {2: somewhere}
    here.kept.apply(told(3, provider=None, invalidated=True))
    assert catalog.find("provider", [2]) == {}


def test_a_catalog_read_that_raced_with_a_change_is_not_kept(here: Here) -> None:
    catalog = here.catalog
    for change in (told(2, invalidated=True), told(0, provider=None, invalidated=True)):
        ticket = catalog.ticket()
        here.kept.apply(change)
        catalog.learn(ticket, "provider", {2: provider(2, (3,), ())})
        catalog.learn_lists(ticket, "offering", {3: [2]})
        assert catalog.find("provider", [2]) == {} == catalog.find_lists([3], "offering")
    catalog.learn_lists(catalog.ticket(), "offering", {3: [2]})
    here.kept.apply(told(4))
    assert catalog.find_lists([3], "offering") == {3: [2]}
    here.seconds += 3
    assert catalog.find_lists([3], "offering") == {}


def test_dates_far_away_are_no_trouble(here: Here) -> None:
    assert date(2027, 3, 1) == NOW.date()
    here.learn(4)
    here.kept.apply(told(5, closed=((0, 300, 0), (10**11, 10**11 + 300, 0))))
    assert here.version() == 5


def test_lists_are_bounded_over_all_clinics(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "ALL_LISTS_MAX", 50)
    memory = here.catalog
    for clinic in range(20):
        for page in range(10):
            memory.learn_lists(memory.ticket(), ("page", page), {clinic: [page]})
            memory.learn_lists(memory.ticket(), ("page", page), {clinic: [page]})
    known = [clinic for clinic in range(20) for page in range(10) if memory.find_lists([clinic], ("page", page))]
    assert len(known) == memory._listed == 50
    assert min(known) == 15
    memory.drop(17)
    assert memory._listed == 40
    memory.forget()
    assert memory._listed == 0

"""Every field that takes an id, found in the schema, called as every wrong viewer and with every wrong id (rules 18 to 20)."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLSchema,
    get_named_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)

from domain import ids
from schema.root import schema
from tests import builders, indexed
from tests.api.client import Answer, Client
from tests.api.town import Place, Town, today

UNKNOWN = 987_654_321
_numbers = count(1)


def places(graph: GraphQLSchema) -> Iterator[str]:
    """ "Type.field argument.field" of everything that takes an id, lists marked with []. Subscriptions: test_live_appointments."""
    for kind in graph.type_map.values():
        if is_object_type(kind) and kind is not graph.subscription_type and not kind.name.startswith("__"):
            for name, one in kind.fields.items():
                for argument, asked in one.args.items():
                    for path in _ids(asked.type, argument):
                        yield f"{kind.name}.{name} {path}"


def _ids(kind: Any, path: str) -> Iterator[str]:
    bare = kind.of_type if is_non_null_type(kind) else kind
    if is_list_type(bare):
        yield from _ids(bare.of_type, f"{path}[]")
        return
    named: GraphQLNamedType = get_named_type(bare)
    if named.name == "ID":
        yield path
    elif isinstance(named, GraphQLInputObjectType):
        for name, one in named.fields.items():
            yield from _ids(one.type, f"{path}.{name}")


PUBLIC, SIGNED_IN, STAFF, ADMIN = "public", "signed in", "staff", "admin"
NULL, NOT_FOUND, FORBIDDEN, BAD_INPUT = "null", "NotFound", "FORBIDDEN", "BAD_USER_INPUT"
Variables = Callable[[Place], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Case:
    """One id among the right ones. `foreign`: ids of the other place that are not the viewer's; `empty`: what lists answer.

    `as_role`: the roles that have the right, each of the place; admin has no foreign ids.
    """

    document: str
    variables: Variables
    right: str
    answer: Any
    as_roles: tuple[str, ...]
    foreign: tuple[Callable[[Place], str], ...] = ()
    other_kinds: tuple[Callable[[Place], str], ...] = field(
        default=(lambda p: p.clinic_id, lambda p: p.visit_type_id, lambda p: p.patient_id, lambda p: p.slot_in())
    )
    finds: tuple[str, ...] | None = None


def _mutation(name: str, kind: str, variables: Variables) -> tuple[str, Variables]:
    document = f"mutation M($input: {kind}!) {{ {name}(input: $input) {{ __typename ... on Refusal {{ message }} }} }}"

    def with_key(place: Place) -> dict[str, Any]:
        return {"input": {**variables(place), "idempotencyKey": f"key-{next(_numbers)}"}}

    return document, with_key


def _provider(selection: str, **types: str) -> str:
    declared = ", ".join(f"${name}: {kind}" for name, kind in types.items())
    return f"query Q($p: ID!, {declared}) {{ node(id: $p) {{ ... on Provider {{ {selection} }} }} }}"


NODE = "query Q($id: ID!) { node(id: $id) { __typename id } }"
NODES = "query Q($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
DAYS = {"from": "2027-01-04", "to": "2027-01-10"}
AVAILABILITY = "query Q($filter: AvailabilityFilter!) { availability(filter: $filter) { timeZone slots { id } } }"
SEARCH = "query Q($filter: SearchFilter!) { search(filter: $filter) { edges { node { provider { id } } } totalCount } }"
NOTHING_FOUND = {"search": {"edges": [], "totalCount": 0}}
SCHEDULE = "query Q($p: ID!, $c: ID!) { schedule(providerId: $p, clinicId: $c) { version } }"
SLOTS = _provider(
    "slots(clinicId: $c, visitTypeId: $v, from: $a, to: $b) { id }", c="ID!", v="ID!", a="Date!", b="Date!"
)
NEXT = _provider("nextSlot(clinicId: $c, visitTypeId: $v) { id }", c="ID!", v="ID!")
VERSIONS = {"provider": 1, "schedule": 1, "entry": 1}  # The present ones: a stale version would be told first.
HOURS = [{"weekday": "MONDAY", "opens": "09:00", "closes": "17:00"}]
ADDRESS = {"lines": ["1 Elm Street"], "city": "Elmton", "country": "US"}
ENTRIES: dict[int, str] = {}
OFFERS: dict[int, str] = {}
PRIVATE_NODES = (
    lambda p: ENTRIES[p.clinic],
    lambda p: OFFERS[p.clinic],
    lambda p: p.patient_id,
    lambda p: p.appointment_id,
    lambda p: p.exception_id,
)


def _wanted(p: Place) -> dict[str, Any]:
    return {"filter": {"clinicId": p.clinic_id, "visitTypeId": p.visit_type_id, "providerIds": [p.provider_id], **DAYS}}


def _searched(p: Place) -> dict[str, Any]:
    return {"filter": {"clinicIds": [p.clinic_id], "visitTypeId": p.visit_type_id}}


def _of_provider(p: Place) -> dict[str, Any]:
    return {"p": p.provider_id, "c": p.clinic_id, "v": p.visit_type_id, "a": DAYS["from"], "b": DAYS["to"]}


def _provider_input(p: Place) -> dict[str, Any]:
    return {
        "id": p.provider_id, "version": VERSIONS["provider"], "name": "Dr", "specialties": ["Dermatology"],
        "clinicIds": [p.clinic_id], "visitTypeIds": [p.visit_type_id],
    }  # fmt: skip


def _hours_input(p: Place) -> dict[str, Any]:
    hours = [{**HOURS[0], "visitTypeIds": [p.visit_type_id]}]
    return {"providerId": p.provider_id, "clinicId": p.clinic_id, "version": VERSIONS["schedule"], "hours": hours}


ANY = ("patient", "staff", "admin")
DESK = ("staff", "admin")
EVERYONE = ("anonymous", *ANY)
HOLD = _mutation("holdSlot", "HoldSlotInput", lambda p: {"slotId": p.slot_in()})
RELEASE = _mutation("releaseHold", "ReleaseHoldInput", lambda p: {"holdId": HOLDS[p.clinic]})
BOOK = _mutation(
    "bookAppointment", "BookAppointmentInput", lambda p: {"slotId": p.slot_in(4), "patientId": p.patient_id}
)
MOVE = _mutation(
    "rescheduleAppointment", "RescheduleAppointmentInput",
    lambda p: {"appointmentId": p.appointment_id, "slotId": p.slot_in(6), "version": 99},
)  # fmt: skip
CANCEL = _mutation(
    "cancelAppointment", "CancelAppointmentInput", lambda p: {"appointmentId": p.appointment_id, "version": 99}
)
SET_STATUS = _mutation(
    "setAppointmentStatus", "SetAppointmentStatusInput",
    lambda p: {"appointmentId": p.appointment_id, "version": 99, "status": "ARRIVED"},
)  # fmt: skip
REGISTER = _mutation("registerPatient", "RegisterPatientInput", lambda p: {"name": "New One", "clinicId": p.clinic_id})
CORRECT = _mutation(
    "updatePatient", "UpdatePatientInput", lambda p: {"id": p.patient_id, "version": 99, "email": "new@example.org"}
)
PREFER = _mutation(
    "setNotificationPreferences", "NotificationPreferencesInput", lambda p: {"patientId": p.patient_id, "channels": []}
)
SAVE_CLINIC = _mutation(
    "saveClinic", "SaveClinicInput",
    lambda p: {"id": p.clinic_id, "version": 99, "name": "N", "timeZone": "America/New_York", "address": ADDRESS},
)  # fmt: skip
SET_ORIGINS = _mutation(
    "setClinicOrigins", "SetClinicOriginsInput", lambda p: {"clinicId": p.clinic_id, "origins": ["*"]}
)
SAVE_PROVIDER = _mutation("saveProvider", "SaveProviderInput", _provider_input)
SAVE_VISIT_TYPE = _mutation(
    "saveVisitType", "SaveVisitTypeInput",
    lambda p: {"id": p.visit_type_id, "version": 99, "name": "Check-up", "durationMinutes": 30},
)  # fmt: skip
SET_HOURS = _mutation("setWeeklyHours", "SetWeeklyHoursInput", _hours_input)
ADD_EXCEPTION = _mutation(
    "addScheduleException", "AddScheduleExceptionInput",
    lambda p: {"providerId": p.provider_id, "clinicId": p.clinic_id, "kind": "CLOSED", "date": "2027-01-05"},
)  # fmt: skip
REMOVE_EXCEPTION = _mutation(
    "removeScheduleException", "RemoveScheduleExceptionInput", lambda p: {"id": p.exception_id}
)
JOIN = _mutation(
    "joinWaitlist", "JoinWaitlistInput",
    lambda p: {"clinicId": p.clinic_id, "visitTypeId": p.visit_type_id, "providerIds": [p.provider_id],
        "appointmentId": p.appointment_id, "patientId": p.patient_id, "from": str(today()), "to": str(today())},
)  # fmt: skip
WISH = _mutation(
    "updateWaitlistEntry", "UpdateWaitlistEntryInput",
    lambda p: {"entryId": ENTRIES[p.clinic], "version": VERSIONS["entry"], "providerIds": [p.provider_id]},
)  # fmt: skip
LEAVE = _mutation("leaveWaitlist", "LeaveWaitlistInput", lambda p: {"entryId": ENTRIES[p.clinic]})
ACCEPT = _mutation("acceptOffer", "AcceptOfferInput", lambda p: {"offerId": OFFERS[p.clinic]})
DECLINE = _mutation("declineOffer", "DeclineOfferInput", lambda p: {"offerId": OFFERS[p.clinic]})
HOLDS: dict[int, str] = {}


def _own(name: str) -> Callable[[Place], str]:
    def get(place: Place) -> str:
        found: str = getattr(place, name)
        return found

    return get


CLINIC, PROVIDER, PATIENT = _own("clinic_id"), _own("provider_id"), _own("patient_id")
VISIT_TYPE, APPOINTMENT, EXCEPTION = _own("visit_type_id"), _own("appointment_id"), _own("exception_id")


def _slot(place: Place) -> str:
    return place.slot_in()


def _held(place: Place) -> str:
    return HOLDS[place.clinic]


def _waits(place: Place) -> str:
    return ENTRIES[place.clinic]


def _offered(place: Place) -> str:
    return OFFERS[place.clinic]


CASES: dict[str, Case] = {
    "Query.node id": Case(
        NODE, lambda p: {"id": p.patient_id}, ids.PATIENT, {"node": None}, EVERYONE, (*PRIVATE_NODES, _held), ()
    ),
    "Query.nodes ids[]": Case(
        NODES, lambda p: {"ids": [p.appointment_id]}, ids.APPOINTMENT, {"nodes": [None]}, EVERYONE,
        (*PRIVATE_NODES, _held), (),
    ),
    "Query.providers clinicId": Case(
        "query Q($c: ID!) { providers(clinicId: $c) { edges { node { id } } pageInfo { hasNextPage } } }",
        lambda p: {"c": p.clinic_id}, ids.CLINIC, {"providers": {"edges": [], "pageInfo": {"hasNextPage": False}}}, EVERYONE,
        (), (PROVIDER, VISIT_TYPE, PATIENT),
    ),
    "Query.availability filter.clinicId": Case(
        AVAILABILITY, _wanted, ids.CLINIC, BAD_INPUT, EVERYONE, (), (PROVIDER, VISIT_TYPE, PATIENT)
    ),
    "Query.availability filter.visitTypeId": Case(
        AVAILABILITY, _wanted, ids.VISIT_TYPE, BAD_INPUT, EVERYONE, (), (PROVIDER, CLINIC, PATIENT)
    ),
    "Query.availability filter.providerIds[]": Case(
        AVAILABILITY, _wanted, ids.PROVIDER, BAD_INPUT, EVERYONE, (), (VISIT_TYPE, CLINIC, PATIENT)
    ),
    "Query.search filter.visitTypeId": Case(
        SEARCH, _searched, ids.VISIT_TYPE, NOTHING_FOUND, EVERYONE, (), (PROVIDER, CLINIC, PATIENT)
    ),
    "Query.search filter.clinicIds[]": Case(
        SEARCH, _searched, ids.CLINIC, NOTHING_FOUND, EVERYONE, (), (PROVIDER, VISIT_TYPE, PATIENT)
    ),
    "Query.appointment id": Case(
        "query Q($id: ID!) { appointment(id: $id) { id } }", lambda p: {"id": p.appointment_id}, ids.APPOINTMENT,
        {"appointment": None}, ANY, (APPOINTMENT,), (PATIENT, CLINIC),
    ),
    "Query.patient id": Case(
        "query Q($id: ID!) { patient(id: $id) { id } }", lambda p: {"id": p.patient_id}, ids.PATIENT,
        {"patient": None}, ANY, (PATIENT,), (APPOINTMENT, CLINIC),
    ),
    "Query.schedule providerId": Case(
        SCHEDULE, lambda p: {"p": p.provider_id, "c": p.clinic_id}, ids.PROVIDER, FORBIDDEN, DESK, (PROVIDER,),
        (CLINIC, PATIENT),
    ),
    "Query.schedule clinicId": Case(
        SCHEDULE, lambda p: {"p": p.provider_id, "c": p.clinic_id}, ids.CLINIC, FORBIDDEN, DESK, (CLINIC,),
        (PROVIDER, PATIENT),
    ),
    "Query.clinicDay clinicId": Case(
        'query Q($c: ID!) { clinicDay(clinicId: $c, date: "2027-01-04") { date } }', lambda p: {"c": p.clinic_id},
        ids.CLINIC, FORBIDDEN, DESK, (CLINIC,), (PROVIDER, PATIENT),
    ),
    "Query.waitlist clinicId": Case(
        "query Q($c: ID!) { waitlist(clinicId: $c) { edges { node { id } } } }", lambda p: {"c": p.clinic_id},
        ids.CLINIC, FORBIDDEN, DESK, (CLINIC,), (PROVIDER, PATIENT),
    ),
    "Provider.visitTypes clinicId": Case(
        _provider("visitTypes(clinicId: $c) { id }", c="ID!"), lambda p: {"p": p.provider_id, "c": p.clinic_id},
        ids.CLINIC, {"node": {"visitTypes": []}}, EVERYONE, (CLINIC,), (PROVIDER, VISIT_TYPE),
    ),
    "Provider.slots clinicId": Case(SLOTS, _of_provider, ids.CLINIC, BAD_INPUT, EVERYONE, (), (PROVIDER, VISIT_TYPE)),
    "Provider.slots visitTypeId": Case(SLOTS, _of_provider, ids.VISIT_TYPE, BAD_INPUT, EVERYONE, (), (PROVIDER, CLINIC)),
    "Provider.nextSlot clinicId": Case(NEXT, _of_provider, ids.CLINIC, BAD_INPUT, EVERYONE, (), (PROVIDER, VISIT_TYPE)),
    "Provider.nextSlot visitTypeId": Case(NEXT, _of_provider, ids.VISIT_TYPE, BAD_INPUT, EVERYONE, (), (PROVIDER, CLINIC)),
    "Mutation.holdSlot input.slotId": Case(*HOLD, ids.SLOT, NOT_FOUND, ANY, (_slot,), (CLINIC, APPOINTMENT)),
    "Mutation.releaseHold input.holdId": Case(*RELEASE, ids.HOLD, NOT_FOUND, ANY, (_held,), (CLINIC, APPOINTMENT), ("patient",)),
    "Mutation.bookAppointment input.slotId": Case(*BOOK, ids.SLOT, NOT_FOUND, ANY, (_slot,), (CLINIC, APPOINTMENT)),
    "Mutation.bookAppointment input.patientId": Case(*BOOK, ids.PATIENT, NOT_FOUND, ANY, (PATIENT,), (CLINIC, APPOINTMENT)),
    "Mutation.rescheduleAppointment input.appointmentId": Case(
        *MOVE, ids.APPOINTMENT, NOT_FOUND, ANY, (APPOINTMENT,), (CLINIC, PATIENT)
    ),
    "Mutation.rescheduleAppointment input.slotId": Case(*MOVE, ids.SLOT, NOT_FOUND, ANY, (_slot,), (CLINIC, APPOINTMENT)),
    "Mutation.cancelAppointment input.appointmentId": Case(
        *CANCEL, ids.APPOINTMENT, NOT_FOUND, ANY, (APPOINTMENT,), (CLINIC, PATIENT)
    ),
    "Mutation.setAppointmentStatus input.appointmentId": Case(
        *SET_STATUS, ids.APPOINTMENT, NOT_FOUND, DESK, (APPOINTMENT,), (CLINIC, PATIENT)
    ),
    "Mutation.registerPatient input.clinicId": Case(
        *REGISTER, ids.CLINIC, NOT_FOUND, DESK, (CLINIC,), (PROVIDER, PATIENT)
    ),
    "Mutation.updatePatient input.id": Case(
        *CORRECT, ids.PATIENT, NOT_FOUND, ANY, (PATIENT,), (CLINIC, APPOINTMENT)
    ),
    "Mutation.setNotificationPreferences input.patientId": Case(
        *PREFER, ids.PATIENT, NOT_FOUND, ANY, (PATIENT,), (CLINIC, APPOINTMENT)
    ),
    "Mutation.saveClinic input.id": Case(*SAVE_CLINIC, ids.CLINIC, NOT_FOUND, ("admin",), (), (PROVIDER, PATIENT)),
    "Mutation.setClinicOrigins input.clinicId": Case(
        *SET_ORIGINS, ids.CLINIC, NOT_FOUND, ("admin",), (), (PROVIDER, PATIENT)
    ),
    "Mutation.saveProvider input.id": Case(*SAVE_PROVIDER, ids.PROVIDER, NOT_FOUND, ("admin",), (), (CLINIC, PATIENT)),
    "Mutation.saveProvider input.clinicIds[]": Case(
        *SAVE_PROVIDER, ids.CLINIC, NOT_FOUND, ("admin",), (), (PROVIDER, PATIENT)
    ),
    "Mutation.saveProvider input.visitTypeIds[]": Case(
        *SAVE_PROVIDER, ids.VISIT_TYPE, NOT_FOUND, ("admin",), (), (PROVIDER, PATIENT)
    ),
    "Mutation.saveVisitType input.id": Case(
        *SAVE_VISIT_TYPE, ids.VISIT_TYPE, NOT_FOUND, ("admin",), (), (CLINIC, PATIENT)
    ),
    "Mutation.setWeeklyHours input.providerId": Case(
        *SET_HOURS, ids.PROVIDER, NOT_FOUND, DESK, (PROVIDER,), (CLINIC, PATIENT)
    ),
    "Mutation.setWeeklyHours input.clinicId": Case(*SET_HOURS, ids.CLINIC, NOT_FOUND, DESK, (CLINIC,), (PROVIDER, PATIENT)),
    "Mutation.setWeeklyHours input.hours[].visitTypeIds[]": Case(
        *SET_HOURS, ids.VISIT_TYPE, NOT_FOUND, DESK, (), (CLINIC, PATIENT)
    ),
    "Mutation.addScheduleException input.providerId": Case(
        *ADD_EXCEPTION, ids.PROVIDER, NOT_FOUND, DESK, (PROVIDER,), (CLINIC, PATIENT)
    ),
    "Mutation.addScheduleException input.clinicId": Case(
        *ADD_EXCEPTION, ids.CLINIC, NOT_FOUND, DESK, (CLINIC,), (PROVIDER, PATIENT)
    ),
    "Mutation.removeScheduleException input.id": Case(
        *REMOVE_EXCEPTION, ids.EXCEPTION, NOT_FOUND, DESK, (EXCEPTION,), (CLINIC, PATIENT), ("staff",)
    ),
    "Mutation.joinWaitlist input.clinicId": Case(*JOIN, ids.CLINIC, NOT_FOUND, ANY, (CLINIC,), (PROVIDER, PATIENT)),
    "Mutation.joinWaitlist input.visitTypeId": Case(*JOIN, ids.VISIT_TYPE, NOT_FOUND, ANY, (), (PROVIDER, PATIENT)),
    "Mutation.joinWaitlist input.providerIds[]": Case(*JOIN, ids.PROVIDER, NOT_FOUND, ANY, (PROVIDER,), (CLINIC, PATIENT)),
    "Mutation.joinWaitlist input.appointmentId": Case(
        *JOIN, ids.APPOINTMENT, NOT_FOUND, ANY, (APPOINTMENT,), (CLINIC, PATIENT)
    ),
    "Mutation.joinWaitlist input.patientId": Case(*JOIN, ids.PATIENT, NOT_FOUND, ANY, (PATIENT,), (CLINIC, APPOINTMENT)),
    "Mutation.acceptOffer input.offerId": Case(*ACCEPT, ids.OFFER, NOT_FOUND, ANY, (_offered,), (CLINIC, APPOINTMENT)),
    "Mutation.declineOffer input.offerId": Case(*DECLINE, ids.OFFER, NOT_FOUND, ANY, (_offered,), (CLINIC, APPOINTMENT)),
    "Mutation.updateWaitlistEntry input.entryId": Case(*WISH, ids.WAITLIST_ENTRY, NOT_FOUND, ANY, (_waits,), (CLINIC, PATIENT)),
    "Mutation.updateWaitlistEntry input.providerIds[]": Case(
        *WISH, ids.PROVIDER, NOT_FOUND, ANY, (PROVIDER,), (CLINIC, PATIENT)
    ),
    "Mutation.leaveWaitlist input.entryId": Case(
        *LEAVE, ids.WAITLIST_ENTRY, NOT_FOUND, ANY, (_waits,), (CLINIC, PATIENT), ("patient",)
    ),
}  # fmt: skip


def test_every_field_that_takes_an_id_is_tried() -> None:
    """Whoever adds one says here what the wrong viewer is told."""
    assert sorted(places(schema._schema)) == sorted(CASES)


@pytest.fixture(scope="module")
async def holding(client: Client, town: Town) -> None:
    """Each patient holds a time and waits, after an offer that ran out: so there are holds, entries and offers of others.
    Both places can be searched."""
    await indexed.fill(town.pool)
    for place in (town.east, town.west):
        document = "mutation M($input: HoldSlotInput!) { holdSlot(input: $input) { ... on SlotHeld { hold { id } } } }"
        variables = {"input": {"slotId": place.slot_in(8), "idempotencyKey": "holding"}}
        found = await client.ask(document, variables, client.patient(place.patient))
        HOLDS[place.clinic] = found.data["holdSlot"]["hold"]["id"]
        entry, offer = await builders.offered(town.pool, place)
        ENTRIES[place.clinic], OFFERS[place.clinic] = ids.node(ids.WAITLIST_ENTRY, entry), ids.node(ids.OFFER, offer)


@pytest.mark.parametrize("where", CASES)
async def test_no_wrong_id_tells_anything_or_changes_anything(
    where: str, client: Client, town: Town, holding: None
) -> None:
    case = CASES[where]
    for viewer in case.finds or case.as_roles:
        answer = await _ask(client, case, viewer, town.east)
        private = viewer == "anonymous" and where in ("Query.node id", "Query.nodes ids[]")
        assert _refused(answer) == private, f"{viewer} with the right ids: {answer.body}"
    versions = "SELECT p.version AS provider, s.version AS schedule FROM providers AS p JOIN schedules AS s ON s.provider_id = p.id"
    VERSIONS.update(dict(await town.pool.fetchrow(f"{versions} WHERE p.id = $1", town.east.provider)))
    of_entry = "SELECT version FROM waitlist_entries WHERE id = $1"
    VERSIONS["entry"] = await town.pool.fetchval(of_entry, ids.key(ENTRIES[town.east.clinic], ids.WAITLIST_ENTRY))
    before = await town.counts()
    for viewer in EVERYONE:
        if viewer in case.as_roles:
            await _right_role(client, case, where, viewer, town)
        else:
            await _wrong_role(client, case, where, viewer, town)
    assert await town.counts() == before


async def _right_role(client: Client, case: Case, where: str, viewer: str, town: Town) -> None:
    """Malformed, of another type, unknown, somebody else's: all the same, to the byte."""
    wrong = [*_malformed(), _unknown(case.right, town.east), *(make(town.east) for make in case.other_kinds)]
    if viewer != "admin" and not _public_to(viewer, where):
        wrong += [make(town.west) for make in case.foreign]
    answers = [await _ask(client, case, viewer, town.east, where, one) for one in wrong]
    for one, answer in zip(wrong, answers, strict=True):
        _assert_answer(case, answer, f"{viewer} with {one[:40]!r}")
    assert len({answer.raw for answer in answers}) == 1, [answer.body for answer in answers]


async def _wrong_role(client: Client, case: Case, where: str, viewer: str, town: Town) -> None:
    """Told before any id is looked at: the same for right and wrong ids."""
    code = "UNAUTHENTICATED" if viewer == "anonymous" else "FORBIDDEN"
    wrong = [*_malformed(), _unknown(case.right, town.east)]
    answers = [await _ask(client, case, viewer, town.east)]
    answers += [await _ask(client, case, viewer, town.east, where, one) for one in wrong]
    assert [answer.codes for answer in answers] == [[code]] * len(answers)
    assert len({answer.raw for answer in answers}) == 1


def _assert_answer(case: Case, answer: Answer, about: str) -> None:
    if case.answer in (FORBIDDEN, BAD_INPUT):
        assert answer.codes == [case.answer], f"{about}: {answer.body}"
    elif case.answer == NOT_FOUND:
        (found,) = answer.data.values()
        assert found["__typename"] == "NotFound", f"{about}: {answer.body}"
    else:
        assert answer.data == case.answer, about


def _refused(answer: Answer) -> bool:
    if answer.codes:
        return True
    (found,) = answer.data.values()
    return found in (None, [None], [], {"edges": []}) or (
        isinstance(found, dict) and found.get("__typename") == "NotFound"
    )


def _public_to(viewer: str, where: str) -> bool:
    """Slots and waitlists are public: a patient may hold, book and wait at any clinic."""
    return viewer == "patient" and where.endswith((".slotId", "joinWaitlist input.clinicId"))


def _malformed() -> list[str]:
    return ["nonsense", "", "é", "Q" * 2000, "Q\x00\n", "12", "QwAAAAAAAAAB==", ids.node(ids.CLINIC, (1 << 63) + 1)]


def _unknown(kind: str, place: Place) -> str:
    if kind == ids.SLOT:
        return str(ids.SlotKey(UNKNOWN, place.clinic, place.visit_type, 30_000_000))
    return ids.node(kind, UNKNOWN)


async def _ask(
    client: Client, case: Case, viewer: str, place: Place, where: str | None = None, wrong: str | None = None
) -> Answer:
    variables = case.variables(place)
    if where is not None and wrong is not None:
        variables = _with(variables, case, where, wrong)
    token = {
        "anonymous": lambda: None,
        "patient": lambda: client.patient(place.patient),
        "staff": lambda: client.staff([place.clinic]),
        "admin": client.admin,
    }[viewer]()
    return await client.ask(case.document, variables, token)


def _with(variables: dict[str, Any], case: Case, where: str, wrong: str) -> dict[str, Any]:
    """The variables with one id replaced. Fields of providers take it in a variable named after its first letter."""
    owner, _, path = where.partition(" ")
    changed = deepcopy(variables)
    at: Any = changed
    steps = path.replace("[]", ".0").split(".")
    if steps[0] not in changed:
        steps[0] = {"clinicId": "c", "visitTypeId": "v", "providerId": "p"}[steps[0]]
    for step in steps[:-1]:
        at = at[int(step) if step.isdigit() else step]
    last = steps[-1]
    at[int(last) if last.isdigit() else last] = wrong
    assert changed != variables, owner
    return changed

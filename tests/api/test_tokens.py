"""Whose token counts: what is broken is refused even for public fields, and the token is the truth about the rest (rule 21)."""

import asyncio
import base64
import hashlib
import hmac
import json
from time import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey, RSAKey

from app.auth import ALGORITHMS, development_key, development_token
from domain import ids
from tests.api.client import Client
from tests.api.town import Town

PUBLIC = "{ visitTypes { id } viewer { role } }"


def _part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _claims(**more: Any) -> dict[str, Any]:
    return {"sub": "someone", "role": "admin", "iat": int(time()), "exp": int(time()) + 600, **more}


def _signed(client: Client, claims: dict[str, Any], key: Any = None, **header: Any) -> str:
    return jwt.encode(
        {"alg": "Ed25519", **header}, claims, key or development_key(client.settings), algorithms=ALGORITHMS
    )


def _broken(client: Client) -> dict[str, str]:
    key = development_key(client.settings)
    good = _signed(client, _claims())
    head, body, signature = good.split(".")
    public = key.as_dict(private=False)
    secrets = {"json": json.dumps(public).encode(), "x": public["x"].encode(), "pem": key.as_pem(private=False)}
    stolen = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(_claims())}"
    return {
        "a word": "nonsense",
        "two parts": f"{head}.{body}",
        "four parts": f"{good}.x",
        "five parts": f"{good}.x.y",
        "not base64": "!.!.!",
        "not JSON": f"{_part(b'x')}.{_part(b'x')}.{_part(b'x')}",
        "deeply nested": f"{_part(b'[' * 9000)}.{body}.{signature}",
        "deeply nested claims": f"{head}.{_part(b'[' * 9000)}.{signature}",
        "alg none": f"{_part({'alg': 'none'})}.{body}.",
        "alg None": f"{_part({'alg': 'None'})}.{body}.{signature}",
        "no alg": f"{_part({})}.{body}.{signature}",
        "unknown alg": f"{_part({'alg': 'XX999'})}.{body}.{signature}",
        "a list as header": f"{_part([])}.{body}.{signature}",
        "another body": f"{head}.{_part(_claims(sub='other'))}.{signature}",
        "another signature": f"{head}.{body}.{_part(b'0' * 64)}",
        "no signature": f"{head}.{body}.",
        "another key": _signed(client, _claims(), OKPKey.generate_key("Ed25519")),
        "another key of our kid": _signed(client, _claims(), OKPKey.generate_key("Ed25519"), kid=key.kid or "1"),
        "a key of its own": _signed(client, _claims(), OKPKey.generate_key("Ed25519"), jwk=public),
        "another algorithm": jwt.encode({"alg": "RS256"}, _claims(), RSAKey.generate_key(2048), algorithms=["RS256"]),
        **{
            f"our public key as a secret ({name})": f"{stolen}.{_part(hmac.digest(secret, stolen.encode(), hashlib.sha256))}"
            for name, secret in secrets.items()
        },
        "expired": _signed(client, _claims(exp=int(time()) - 1)),
        "expired this very second": _signed(client, _claims(exp=time())),
        "no end": _signed(client, {"sub": "someone", "role": "admin"}),
        "an end that is no number": _signed(client, _claims(exp="tomorrow")),
        "an end that is nothing": _signed(client, _claims(exp=None)),
        "an end that is not a number": _signed(client, _claims(exp=float("nan"))),
        "not valid yet": _signed(client, _claims(nbf=int(time()) + 100)),
        "no subject": _signed(client, {"role": "admin", "exp": int(time()) + 9}),
        "an empty subject": _signed(client, _claims(sub="")),
        "a subject that is no text": _signed(client, _claims(sub=7)),
        "a subject of control characters": _signed(client, _claims(sub="a\x00b")),
        "no role": _signed(client, {"sub": "someone", "exp": int(time()) + 9}),
        "an unknown role": _signed(client, _claims(role="root")),
        "the system's role": _signed(client, _claims(role="system")),
        "a role that is no text": _signed(client, _claims(role=["admin"])),
        "a patient without a patient": _signed(client, _claims(role="patient")),
        "a patient of nonsense": _signed(client, _claims(role="patient", patient="nonsense")),
        "a patient that is a clinic": _signed(client, _claims(role="patient", patient=ids.node(ids.CLINIC, 1))),
        "clinics that are no list": _signed(client, _claims(role="staff", clinics={"a": 1})),
    }


async def test_a_token_that_is_not_right_is_refused_even_for_public_fields(client: Client) -> None:
    for what, token in _broken(client).items():
        answer = await client.ask(PUBLIC, token=token)
        assert answer.status == 401, what
        assert answer.codes == ["UNAUTHENTICATED"], what
        assert "data" not in answer.body, what
        assert answer.headers["www-authenticate"].startswith("Bearer"), what


@pytest.mark.parametrize("header", ["Basic dTpw", "Bearer", "bearer", "nonsense", "", "Bearer a b"])
async def test_an_authorization_header_of_another_kind_is_refused(client: Client, header: str) -> None:
    answer = await client.ask(PUBLIC, Authorization=header)
    assert (answer.status, answer.codes) == (401, ["UNAUTHENTICATED"])


async def test_without_a_token_one_is_anonymous(client: Client) -> None:
    answer = await client.ask("{ viewer { role patient { id } clinics { id } holds { id } } }")
    assert answer.data["viewer"] == {"role": "ANONYMOUS", "patient": None, "clinics": [], "holds": []}


async def test_a_token_ends_on_its_second_though_it_was_good_before(client: Client) -> None:
    token = _signed(client, _claims(exp=time() + 0.4))
    assert (await client.ask(PUBLIC, token=token)).status == 200
    await asyncio.sleep(0.5)
    assert (await client.ask(PUBLIC, token=token)).status == 401


async def test_the_token_is_the_truth_about_role_patient_and_clinics(client: Client, town: Town) -> None:
    asked = "{ viewer { role patient { id } clinics { id } } patients: __typename }"
    east = town.east
    patient = await client.ask(asked, token=client.patient(east.patient))
    assert patient.data["viewer"] == {"role": "PATIENT", "patient": {"id": east.patient_id}, "clinics": []}
    staff = await client.ask(asked, token=client.staff([east.clinic]))
    assert staff.data["viewer"] == {"role": "STAFF", "patient": None, "clinics": [{"id": east.clinic_id}]}
    assert (await client.ask(asked, token=client.admin())).data["viewer"]["role"] == "ADMIN"


@pytest.mark.parametrize("clinics", [{}, {"clinics": []}, {"clinics": None}, {"clinics": ["nonsense", 7]}])
async def test_staff_without_clinics_see_none(client: Client, town: Town, clinics: dict[str, Any]) -> None:
    token = _signed(client, _claims(role="staff", **clinics))
    east = town.east
    found = await client.ask(
        """query Q($t: ID!, $a: ID!) { patient(id: $t) { id } appointment(id: $a) { id }
            patients(search: "Pat") { edges { node { id } } } viewer { clinics { id } } }""",
        {"t": east.patient_id, "a": east.appointment_id}, token,
    )  # fmt: skip
    assert found.data == {"patient": None, "appointment": None, "patients": {"edges": []}, "viewer": {"clinics": []}}
    day = await client.ask(
        'query Q($c: ID!) { clinicDay(clinicId: $c, date: "2027-01-04") { date } }', {"c": east.clinic_id}, token
    )
    assert day.codes == ["FORBIDDEN"]


async def test_staff_of_all_clinics_and_admins_see_every_patient(client: Client, town: Town) -> None:
    everywhere = development_token(client.settings, role="staff")
    for token in (everywhere, client.admin()):
        for place in (town.east, town.west):
            found = await client.ask("query Q($t: ID!) { patient(id: $t) { id } }", {"t": place.patient_id}, token)
            assert found.data == {"patient": {"id": place.patient_id}}


async def test_patients_and_appointments_belong_to_the_clinics_of_rule_18(client: Client, town: Town) -> None:
    """A patient of the east who had a visit in the west is seen there, but of their visits only that one."""
    east, west = town.east, town.west
    visit = await town.pool.fetchval(
        """INSERT INTO appointments (status, patient_id, provider_id, clinic_id, visit_type_id, starts_at, ends_at)
        VALUES ('cancelled', $1, $2, $3, $4, now() - interval '9 days', now() - interval '9 days' + interval '1 hour')
        RETURNING id""",
        east.patient, west.provider, west.clinic, west.visit_type,
    )  # fmt: skip
    asked = "query Q($t: ID!) { patient(id: $t) { name appointments { edges { node { id } } } } }"

    async def seen(token: str) -> list[str]:
        found = (await client.ask(asked, {"t": east.patient_id}, token)).data["patient"]
        return sorted(edge["node"]["id"] for edge in found["appointments"]["edges"])

    there = ids.node(ids.APPOINTMENT, visit)
    try:
        assert await seen(client.staff([east.clinic])) == [east.appointment_id]
        assert await seen(client.staff([west.clinic])) == [there]
        both = sorted([east.appointment_id, there])
        assert await seen(client.staff([east.clinic, west.clinic])) == both
        assert await seen(client.patient(east.patient)) == both
        assert await seen(client.admin()) == both
    finally:
        await town.pool.execute("DELETE FROM appointments WHERE id = $1", visit)

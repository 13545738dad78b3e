"""Our own pages for patients, and the calendar for other web sites: finding, choosing, booking, waiting, answering an offer."""

from collections.abc import Awaitable, Callable
from html import escape
from typing import Any, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from adapters.postgres import examples
from app import pages
from app.auth import development_token
from app.wiring import Product
from domain import ids

PATIENTS_SHOWN: Final = 6
POLICY: Final = pages.HOME_POLICY.replace("form-action 'none'", "form-action 'self'")
CALENDAR: Final = """
query CalendarPage($clinic: ID!, $chosen: Boolean!) {
  clinics(first: 100) { edges { node { id name address { city region } } } }
  node(id: $clinic) @include(if: $chosen) { ...Place }
}
fragment Place on Clinic {
  id name phone timeZone
  address { lines city region postalCode }
  visitTypes { id name durationMinutes }
  providers(first: 100) { edges { node { id name } } }
}
"""
BOOK: Final = """
query BookPage($slot: ID!) { node(id: $slot) { ... on Slot { clinic { name phone } } } }
"""
WAIT: Final = """
query WaitPage($clinic: ID!) { node(id: $clinic) { ... on Clinic { name phone } } }
"""
Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


def routes(product: Product, ask: Ask) -> list[Route]:
    """`ask` answers a query as anonymous."""

    async def calendar(request: Request) -> Response:
        return _page(await _calendar(request, ask))

    async def book(request: Request) -> Response:
        return _page(await _book(request, ask, mode))

    # What is looked for is asked for by the page itself: here it is the same for everybody.
    async def find(_: Request) -> Response:
        return _page(_filled("find.html"))

    async def offer(_: Request) -> Response:
        return _page(_filled("offer.html", mode=mode))

    async def wait(request: Request) -> Response:
        place = (await ask(WAIT, {"clinic": request.query_params.get("clinic", "")})).get("node") or {}
        return _page(_filled("wait.html", mode=mode, call=_call(place)))

    mode = "production" if product.settings.production else "development"

    found = [
        Route("/calendar", calendar, name="calendar"),
        Route("/book", book, name="book"),
        Route("/find", find, name="find"),
        Route("/wait", wait, name="wait"),
        Route("/offer/{id}", offer, name="offer"),
        Route("/embed/v1/{name}", embed, name="embed"),
    ]
    if not product.settings.production:
        found.append(Route("/dev/patients.json", patients(product)))
    return found


# Not async, as in pages.static_file. Which web sites may run it, app/cors.py says.
def embed(request: Request) -> Response:
    """The element's script under its lasting name, and the parts that it loads beside itself."""
    name = request.path_params["name"]
    built = pages.entries()["widget.js"] if name == "widget.js" else name
    if built not in pages.embedded_names():
        raise HTTPException(404)
    tag = f'"{built}"'
    headers = {
        "Cache-Control": pages.FOR_A_WHILE if name == "widget.js" else pages.FOR_EVER,
        "Cross-Origin-Resource-Policy": "cross-origin",
        "ETag": tag,
        # Also where nobody asked from elsewhere: a cache may not give that answer to another site.
        "Vary": "Accept-Encoding, Origin",
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return pages.built_file(request, built, headers)


def patients(product: Product) -> Callable[[Request], Awaitable[Response]]:
    """Some patients to be, with their tokens; `?offer=ID`: those with an offer, first whose that one is. In development only."""

    async def answer(request: Request) -> Response:
        named = request.query_params.get("offer")
        if named is None:
            found = await examples.first_patients(product.database.primary, PATIENTS_SHOWN)
        else:
            key = ids.key(named, ids.OFFER)
            found = await examples.offered_patients(product.database.primary, key, PATIENTS_SHOWN)
        body = [
            {"id": node, "name": name, "token": development_token(product.settings, role="patient", patient=node)}
            for node, name in ((ids.node(ids.PATIENT, key), name) for key, name in found)
        ]
        return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})

    return answer


def _page(html: str) -> Response:
    return HTMLResponse(html, headers={**pages.SECURITY, "Content-Security-Policy": POLICY})


def _filled(template: str, **values: str) -> str:
    html = pages.page(template)
    for name, value in values.items():
        html = html.replace(f"{{{{{name}}}}}", value)
    return html


async def _calendar(request: Request, ask: Ask) -> str:
    asked = request.query_params
    found = await ask(CALENDAR, {"clinic": asked.get("clinic", ""), "chosen": "clinic" in asked})
    clinics = [edge["node"] for edge in found["clinics"]["edges"]]
    place = found.get("node") or {}
    if not place.get("name") and clinics:
        place = (await ask(CALENDAR, {"clinic": clinics[0]["id"], "chosen": True}))["node"]
    if not place.get("name"):
        return _filled(
            "calendar.html",
            clinic="No clinics yet",
            address="<code>appointments demo</code> makes some up.",
            **dict.fromkeys(("phone", "clinics", "visit_types", "providers", "calendar", "snippet"), ""),
        )
    kinds = [(one["id"], _kind(one)) for one in place["visitTypes"]]
    people = [("", "Any provider")] + [
        (edge["node"]["id"], edge["node"]["name"]) for edge in place["providers"]["edges"]
    ]
    kind = _chosen(asked.get("visit-type"), kinds)
    person = _chosen(asked.get("provider"), people)
    element = _element(place["id"], kind, person) if kind else ""
    script = f'<script type="module" src="{request.base_url}embed/v1/widget.js"></script>'
    return _filled(
        "calendar.html",
        clinic=escape(place["name"]),
        address=escape(_address(place["address"])),
        phone=_phone(place["phone"]),
        clinics=_options([(one["id"], _clinic(one)) for one in clinics], place["id"], (place["id"], place["name"])),
        visit_types=_options(kinds, kind),
        providers=_options(people, person),
        calendar=element or "<p>This clinic offers no visits at the moment.</p>",
        snippet=escape(f"{script}\n{element}"),
    )


async def _book(request: Request, ask: Ask, mode: str) -> str:
    slot = request.query_params.get("slot", "")
    clinic = ((await ask(BOOK, {"slot": slot})).get("node") or {}).get("clinic") or {}
    return _filled("book.html", mode=mode, call=_call(clinic))


def _call(clinic: dict[str, Any]) -> str:
    if not clinic.get("phone"):
        return "Please call the clinic."
    return f"Please call {escape(clinic['name'])}: {_phone(clinic['phone'])}"


def _element(clinic: str, kind: str, person: str) -> str:
    provider = f' provider="{escape(person)}"' if person else ""
    return f'<clinic-calendar clinic="{escape(clinic)}" visit-type="{escape(kind)}"{provider}></clinic-calendar>'


def _chosen(asked: str | None, offered: list[tuple[str, str]]) -> str:
    """What was asked for if it is offered, else the first."""
    known = [value for value, _ in offered]
    return asked if asked in known else next(iter(known), "")


def _options(offered: list[tuple[str, str]], chosen: str, missing: tuple[str, str] | None = None) -> str:
    if missing is not None and missing[0] not in [value for value, _ in offered]:
        offered = [missing, *offered]
    return "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(label)}</option>'
        for value, label in offered
    )


def _clinic(one: dict[str, Any]) -> str:
    return ", ".join(part for part in (one["name"], one["address"]["city"], one["address"]["region"]) if part)


def _kind(one: dict[str, Any]) -> str:
    return f"{one['name']}, {one['durationMinutes']} minutes" if one["durationMinutes"] else str(one["name"])


def _address(one: dict[str, Any]) -> str:
    last = " ".join(part for part in (one["region"], one["postalCode"]) if part)
    return ", ".join(part for part in (*one["lines"], one["city"], last) if part)


def _phone(number: str | None) -> str:
    return f'<a href="tel:{escape(number)}">{escape(number)}</a>' if number else ""

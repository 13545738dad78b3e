"""Letters as SMS through Twilio's REST interface, and what it calls back with."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx2

from domain.letters import Accepted, AddressRefused, Letter, NotSent, OutcomeUnknown

TRY_SECONDS: Final = 10.0
STOPPED: Final = 21610  # its owner answered STOP
TOO_MANY: Final = 429
OURS: Final = frozenset({401, 403, 404, 405, 407, 408, 421, 425})  # our account, our address, our haste
CLOCKS_APART: Final = timedelta(minutes=5)  # between the provider's and this machine's
UNDER_WAY: Final = timedelta(minutes=5)  # A claim, a call that hangs, and what lies between.
STATUS_PATH: Final = "/hooks/sms/status"


class Texter:
    """`url` is the base; `sender` a number, or a messaging service (MG…)."""

    # The provider knows no keys: before a second try it is asked whether the first arrived.
    asks_first = True

    def __init__(self, url: str, account: str, token: str, sender: str, public_url: str) -> None:
        self._address = f"{url.rstrip('/')}/2010-04-01/Accounts/{quote(account, safe='')}/Messages.json"
        self._sender = ("MessagingServiceSid" if sender.startswith("MG") else "From", sender)
        self._callback = f"{public_url.rstrip('/')}{STATUS_PATH}"
        self._client = httpx2.AsyncClient(auth=(account, token), timeout=httpx2.Timeout(TRY_SECONDS))

    async def send(self, letter: Letter) -> Accepted:
        """Raises NotSent, AddressRefused or OutcomeUnknown."""
        form = {
            "To": letter.to,
            self._sender[0]: self._sender[1],
            "Body": letter.sms,
            "StatusCallback": f"{self._callback}?{urlencode({'message': letter.key_id})}",
        }
        answer = await self._call("POST", data=form)
        if answer.status_code == TOO_MANY:
            raise NotSent("the SMS provider asks for patience")
        if answer.status_code >= 500:
            raise OutcomeUnknown(f"the SMS provider answered {answer.status_code}")
        said = _json(answer)
        if answer.is_success:
            if not isinstance(said.get("sid"), str):
                raise OutcomeUnknown("the SMS provider's answer can't be read")
            return Accepted(said["sid"], _text(said.get("status")))
        if answer.status_code in OURS or answer.status_code < 400:
            raise NotSent(f"the SMS provider answered {answer.status_code}")
        raise AddressRefused(f"the SMS provider answered {said.get('code')}", stopped=said.get("code") == STOPPED)

    async def find(self, letter: Letter, called_at: datetime) -> list[Accepted]:
        """What the provider got of this text to this number at about then, latest first. Raises OutcomeUnknown.

        What came earlier or later is another message that says the same: a visit moved back to a time that it had.
        """
        try:
            answer = await self._call("GET", params={"To": letter.to, "PageSize": "100"})
        except NotSent as fault:
            raise OutcomeUnknown(str(fault)) from fault
        found = _json(answer).get("messages")
        if not answer.is_success or not isinstance(found, list):
            raise OutcomeUnknown(f"the SMS provider answered {answer.status_code} when asked")
        return [
            Accepted(one["sid"], _text(one.get("status")))
            for one in found
            if isinstance(one, dict) and isinstance(one.get("sid"), str)
            and one.get("to") == letter.to and one.get("body") == letter.sms and _about(one, called_at)
        ]  # fmt: skip

    async def _call(self, method: str, **what: Any) -> httpx2.Response:
        try:
            async with asyncio.timeout(TRY_SECONDS):
                return await self._client.request(method, self._address, **what)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise NotSent(f"the SMS provider can't be reached: {type(error).__name__}") from None
        except (httpx2.HTTPError, TimeoutError, OSError) as error:
            raise OutcomeUnknown(f"the SMS provider did not answer: {type(error).__name__}") from None

    async def close(self) -> None:
        await self._client.aclose()


def signature(token: str, url: str, fields: Sequence[tuple[str, str]]) -> str:
    """What the provider puts into X-Twilio-Signature for a form that it posts to `url`."""
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def is_signed(token: str, url: str, fields: Sequence[tuple[str, str]], given: str | None) -> bool:
    return given is not None and hmac.compare_digest(signature(token, url, fields).encode(), given.encode())


def _json(answer: httpx2.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _about(message: dict[str, Any], called_at: datetime) -> bool:
    """A date that can't be read does not rule a message out: better found than sent twice."""
    try:
        created = parsedate_to_datetime(str(message.get("date_created")))
        return called_at - CLOCKS_APART <= created <= called_at + UNDER_WAY + CLOCKS_APART
    except (ValueError, TypeError):
        return True

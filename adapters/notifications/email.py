"""Letters as e-mail: text, HTML and a calendar file, handed to an SMTP server."""

import asyncio
import ssl
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import aiosmtplib
import jinja2

from adapters.notifications.calendars import WITH_CALENDAR, calendar, method
from domain.letters import (
    Accepted,
    AddressRefused,
    Letter,
    NotSent,
    OutcomeUnknown,
    date_in_full,
    day_and_time,
    time_of_day,
)
from domain.messages import MessageRule

TRY_SECONDS: Final = 10.0
PERMANENT: Final = 500
# Long lines are whole: folded, a link in a header would be written as an encoded word that no program follows.
WRITTEN: Final = SMTP.clone(max_line_length=998, cte_type="7bit")
LEADS: Final = {
    MessageRule.CONFIRMATION: "Your appointment is booked.",
    MessageRule.DAY_BEFORE: "You have an appointment soon.",
    MessageRule.TWO_HOURS_BEFORE: "You have an appointment soon.",
    MessageRule.MOVED: "Your appointment was moved.",
    MessageRule.CANCELLED: "Your appointment was cancelled.",
    MessageRule.OFFER: "A time is free for you.",
}
_TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
)


class Paper:
    """Writes letters as e-mail. `sender` is MAIL_FROM, `public_url` where the links lead."""

    def __init__(self, sender: str, public_url: str) -> None:
        name, self.address = parseaddr(sender)
        self._from = Address(display_name=name, addr_spec=self.address)
        self._public_url = public_url.rstrip("/")
        self._host = urlsplit(public_url).hostname or "localhost"

    def write(self, letter: Letter) -> EmailMessage:
        """Whole, and the same for every try."""
        stop_link = f"{self._public_url}/unsubscribe/{letter.stop_token}"
        message = EmailMessage(policy=WRITTEN)
        message["From"] = self._from
        message["To"] = letter.to
        message["Subject"] = letter.subject
        message["Date"] = letter.written_at
        message["Message-ID"] = f"<{letter.id}@{self._host}>"
        message["Auto-Submitted"] = "auto-generated"
        message["List-Unsubscribe"] = f"<{stop_link}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        values = _values(letter, stop_link)
        message.set_content(_TEMPLATES.get_template("letter.txt").render(values))
        message.add_alternative(_TEMPLATES.get_template("letter.html").render(values), subtype="html")
        if letter.rule in WITH_CALENDAR:
            file = calendar(letter, self.address)
            message.add_alternative(file.decode(), subtype="calendar", params={"method": method(letter)})
            message.add_attachment(file, maintype="application", subtype="ics", filename="appointment.ics")
        return message


def _values(letter: Letter, stop_link: str) -> dict[str, Any]:
    zone = getattr(letter.starts_at.tzinfo, "key", "UTC")
    before = letter.starts_at_before
    return {
        "letter": letter,
        "lead": LEADS[letter.rule],
        "day": date_in_full(letter.starts_at),
        "hours": f"{time_of_day(letter.starts_at)} to {time_of_day(letter.ends_at)}",
        "zone": zone.rpartition("/")[2].replace("_", " "),
        "before": day_and_time(before) if before and letter.rule is MessageRule.MOVED else None,
        "cancelled": letter.rule is MessageRule.CANCELLED,
        "offer": letter.rule is MessageRule.OFFER,
        "answer_by": day_and_time(letter.answer_by) if letter.answer_by else None,
        "present": day_and_time(before) if before and letter.rule is MessageRule.OFFER else None,
        "stop_link": stop_link,
    }


class Mailer:
    """One connection a letter. `url` is smtp://user:password@host:port, or smtps:// for TLS from the first byte."""

    # A letter whose outcome is unknown goes again with its Message-ID: mail programs show it once.
    asks_first = False

    def __init__(self, url: str, paper: Paper) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname or "localhost"
        self._port = parts.port or (465 if self._tls else 25)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._paper = paper

    async def send(self, letter: Letter) -> Accepted:
        """Raises NotSent, AddressRefused or OutcomeUnknown."""
        message = self._paper.write(letter)
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._tls,
            username=self._user,
            password=self._password,
            timeout=TRY_SECONDS,
        )
        connected = False
        try:
            async with asyncio.timeout(TRY_SECONDS):
                await client.connect()
                connected = True
                await client.sendmail(self._paper.address, [letter.to], message.as_bytes())
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _answer(min((one.code for one in error.recipients), default=0)) from None
        except aiosmtplib.SMTPSenderRefused as error:
            raise NotSent(f"the mail server refused MAIL_FROM with {error.code}") from None
        except aiosmtplib.SMTPDataError as error:
            raise _answer(error.code) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ssl.SSLError) as error:
            fault = OutcomeUnknown if connected else NotSent
            raise fault(f"the mail server did not take it: {type(error).__name__}") from None
        finally:
            client.close()
        return Accepted()

    async def find(self, letter: Letter, called_at: datetime) -> list[Accepted]:
        """A mail server can't be asked."""
        return []

    async def close(self) -> None:
        """Nothing stays open."""


def _answer(code: int) -> Exception:
    """By the server's answer: 4xx is for another time, 5xx for ever."""
    said = f"the mail server answered {code}"
    return AddressRefused(said) if code >= PERMANENT else NotSent(said)

"""Where letters lie while nobody carries them away: files that /dev/messages shows."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Final

import structlog

from adapters.notifications.carriers import Carrier
from adapters.notifications.email import Paper
from domain.letters import Accepted, Letter
from domain.recipients import Channel

KEPT: Final = 2_000
SUFFIX: Final = {Channel.EMAIL: ".eml", Channel.SMS: ".sms"}
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shown:
    """One message as it was written. `html` and `calendar` are of e-mails."""

    name: str
    channel: Channel
    at: datetime
    to: str
    subject: str
    text: str
    html: str | None = None
    calendar: str | None = None


class Folder:
    """A carrier too: the file is the delivery. A letter that comes twice is one file; only the newest are kept."""

    asks_first = False

    def __init__(self, path: Path, paper: Paper) -> None:
        self._path = path
        self._paper = paper
        self._written = 0

    async def send(self, letter: Letter) -> Accepted:
        await asyncio.to_thread(self._write, letter)
        return Accepted()

    async def find(self, letter: Letter, called_at: datetime) -> list[Accepted]:
        """A second try writes the same file."""
        return []

    async def close(self) -> None:
        """Nothing stays open."""

    def _write(self, letter: Letter) -> None:
        self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if letter.channel is Channel.EMAIL:
            content = self._paper.write(letter).as_bytes()
        else:
            content = f"{letter.to}\n{letter.sms}\n".encode()
        file = self._path / f"{letter.id}{SUFFIX[letter.channel]}"
        new = file.with_suffix(".new")
        new.write_bytes(content)
        new.replace(file)
        self._written += 1
        if self._written % 100 == 0:
            for old in self._newest()[KEPT:]:
                old.unlink(missing_ok=True)

    def latest(self, count: int) -> list[Shown]:
        """Newest first. Reads files: call it in a thread."""
        return [_shown(file) for file in self._newest()[:count]]

    def _newest(self) -> list[Path]:
        if not self._path.is_dir():
            return []
        some = [(one.stat().st_mtime_ns, one) for one in self._path.iterdir() if one.suffix in SUFFIX.values()]
        return [one for _, one in sorted(some, reverse=True)]


class Copied:
    """Carries, and leaves a copy in the folder: for looking at in development."""

    def __init__(self, carrier: Carrier, folder: Folder) -> None:
        self.asks_first = carrier.asks_first
        self._carrier = carrier
        self._folder = folder

    async def send(self, letter: Letter) -> Accepted:
        accepted = await self._carrier.send(letter)
        try:
            await self._folder.send(letter)
        except OSError as error:  # It has gone: what becomes of the copy decides nothing.
            log.warning("no copy of a message was kept", reason=type(error).__name__)
        return accepted

    async def find(self, letter: Letter, called_at: datetime) -> list[Accepted]:
        return await self._carrier.find(letter, called_at)

    async def close(self) -> None:
        await self._carrier.close()


def _shown(file: Path) -> Shown:
    at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    if file.suffix == SUFFIX[Channel.SMS]:
        to, _, text = file.read_text("utf-8").partition("\n")
        return Shown(file.name, Channel.SMS, at, to, "", text.strip())
    message = message_from_bytes(file.read_bytes(), policy=default)
    assert isinstance(message, EmailMessage)
    parts = {part.get_content_type(): part for part in message.walk() if not part.is_multipart()}
    html, calendar = parts.get("text/html"), parts.get("text/calendar")
    return Shown(
        file.name, Channel.EMAIL, at, str(message["To"]), str(message["Subject"]), parts["text/plain"].get_content(),
        html.get_content() if html else None, calendar.get_content() if calendar else None,
    )  # fmt: skip

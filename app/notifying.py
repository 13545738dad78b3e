"""Which carriers take messages, by the settings: SMTP and an SMS provider, or a folder; in development a copy in the folder."""

from dataclasses import dataclass

import structlog

from adapters.notifications.carriers import Carrier
from adapters.notifications.email import Mailer, Paper
from adapters.notifications.folder import Copied, Folder
from adapters.notifications.sms import Texter
from app.settings import Settings
from domain.recipients import Channel

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Post:
    """`public_url` is what links, callbacks and their signatures use."""

    carriers: dict[Channel, Carrier]
    folder: Folder
    public_url: str


def post(settings: Settings, public_url: str) -> Post:
    paper = Paper(settings.mail_from, public_url)
    folder = Folder(settings.data_dir / "outbox", paper)
    found: dict[Channel, Carrier | None] = {Channel.EMAIL: None, Channel.SMS: None}
    if settings.smtp_url:
        found[Channel.EMAIL] = Mailer(settings.smtp_url, paper)
    if settings.sms_url and settings.sms_account and settings.sms_token and settings.sms_from:
        token = settings.sms_token.get_secret_value()
        found[Channel.SMS] = Texter(settings.sms_url, settings.sms_account, token, settings.sms_from, public_url)
    carriers: dict[Channel, Carrier] = {}
    for channel, carrier in found.items():
        if carrier is None:
            carriers[channel] = folder
            if settings.production:
                log.warning("messages only go to a folder", channel=channel.value)
        else:
            carriers[channel] = carrier if settings.production else Copied(carrier, folder)
    return Post(carriers, folder, public_url)


def own_address(settings: Settings) -> str:
    """PUBLIC_URL, or what HOST and PORT make of it."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return settings.public_url or f"http://{host}:{settings.port}"

"""Messages to customers: the link over e-mail, the code over the phone.

Files in the embedded default, SMTP by setting.
"""

import os
import secrets
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from protocol.errors import EvidenceError
from runtime.clock import Clocks
from runtime.settings import Settings

Kind = Literal["invitation", "code", "lost"]
_POLICY = SMTP.clone(cte_type="8bit", max_line_length=998)  # links stay whole, Chinese stays readable
_TIMEOUT = 20.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The channels on file of one customer; None where there is none. Never logged, never stored.

    `replaced`: neither is the one that came with the customer, nor put there at the customer's word before two of us.
    """

    email: str | None
    phone: str | None
    replaced: bool = False


class MailError(Exception):
    """A message could not be handed over. `code` is `mail_failed`; it never says to whom."""

    code = "mail_failed"


class Carrier(Protocol):
    """Takes a message to where it is sent from."""

    def send(self, kind: Kind, to: str, title: str, text: str) -> None:
        """Hand one message over. Raises MailError."""
        ...


class FileCarrier:
    """One `.eml` file per message, readable by its owner only: the embedded default,
    and the hand-over to an SMS gateway.
    """

    def __init__(self, directory: Path, clock: Clocks) -> None:
        self._directory, self._clock = directory, clock

    def send(self, kind: Kind, to: str, title: str, text: str) -> None:
        """Write `<utc>-<kind>-<random>.eml`; it appears whole or not at all. Raises MailError."""
        message = _message(to, title, text)
        name = f"{self._clock.now():%Y%m%dT%H%M%S%f}Z-{kind}-{secrets.token_hex(4)}.eml"
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            hidden = self._directory / f".{name}.part"
            descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(message.as_bytes())
            hidden.rename(self._directory / name)
        except OSError:
            raise MailError("the mail directory cannot be written") from None


class SmtpCarrier:
    """A mail server by URL: `smtps://user:password@host:465/sender@example.com`,
    or `smtp://…` with STARTTLS where offered.
    """

    def __init__(self, url: str) -> None:
        """ValueError for a URL without host or sender."""
        parts = urlsplit(url)
        sender = unquote(parts.path.lstrip("/"))
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or "@" not in sender:
            raise ValueError("smtp_url must look like smtps://user:password@host:465/sender@example.com")
        self._parts, self._sender = parts, sender

    def send(self, kind: Kind, to: str, title: str, text: str) -> None:
        """Hand the message to the server. Raises MailError."""
        message = _message(to, title, text)
        message["From"] = self._sender
        parts, secure = self._parts, ssl.create_default_context()
        host = parts.hostname or ""
        try:
            if parts.scheme == "smtps":
                server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=_TIMEOUT, context=secure)
            else:
                server = smtplib.SMTP(host, parts.port or 25, timeout=_TIMEOUT)
            with server:
                if parts.scheme == "smtp" and server.has_extn("starttls"):
                    server.starttls(context=secure)
                if parts.username:
                    server.login(unquote(parts.username), unquote(parts.password or ""))
                server.send_message(message)
        except (OSError, smtplib.SMTPException):
            # the server's answer may repeat the address: it goes no further
            raise MailError("the mail server did not take the message") from None


@dataclass(frozen=True, slots=True)
class Post:
    """The two channels: `email` carries links, `phone` carries codes."""

    email: Carrier
    phone: Carrier


def post_of(settings: Settings, clock: Clocks) -> Post:
    """The carriers that the settings name. Codes always go to files: an SMS gateway takes them from there.

    Raises EvidenceError `bad_setting`.
    """
    files = FileCarrier(settings.mail_dir, clock)
    try:
        return Post(SmtpCarrier(settings.smtp_url) if settings.smtp_url else files, files)
    except ValueError as error:
        raise EvidenceError("bad_setting", str(error), field="smtp_url") from None


def _message(to: str, title: str, text: str) -> EmailMessage:
    message = EmailMessage(policy=_POLICY)
    try:
        message["To"] = to
        message["Subject"] = title
    except ValueError:
        # a line break in an address would add headers of somebody's choosing
        raise MailError("the channel on file is not usable") from None
    message.set_content(text, cte="8bit")
    return message

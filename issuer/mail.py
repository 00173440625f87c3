"""Messages to customers: files in the embedded default, SMTP by setting."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The channels on file of one customer; None where there is none. Never logged, never stored."""

    email: str | None
    phone: str | None

"""The channels on file, read through the gate by the internal reader `mailer` for the purpose `invitation`."""

from collections.abc import Callable

from crm_core import origin
from crm_core.reading.planner import Planner
from crm_core.seal import Value
from issuer.mail import Channels
from protocol.consent import Field, SubjectId
from runtime.platform import Platform
from verifier.gate import Gate, Reader

ROLE = "mailer"
PURPOSE = "invitation"
_EMAIL, _PHONE = Field("contact.email"), Field("contact.phone")


def channels(platform: Platform, gate: Gate) -> Callable[[SubjectId], Channels]:
    """What the issuer's mailer asks for a customer's channels; each answer is a release on record.

    The function raises Problem 404 `unknown_subject` and what the gate raises; a withheld channel is None.
    """
    planner = Planner(platform, gate)
    reader = Reader(did=platform.controller, role=ROLE, account=ROLE)

    def read(subject: SubjectId) -> Channels:
        visit = gate.visit(reader, PURPOSE)
        with planner.one(visit, subject, (_EMAIL, _PHONE)) as (_, page):
            fields = page.items[0].fields
        with platform.database.read() as session:
            first = origin.first_hand(session, subject, by=platform.controller)
        return Channels(
            email=_text(fields.get(_EMAIL)), phone=_text(fields.get(_PHONE)), replaced=not first & {_EMAIL, _PHONE}
        )

    return read


def _text(value: Value | None) -> str | None:
    return None if value is None else str(value)

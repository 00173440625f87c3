"""What customers send sealed: the controller's key of the month, and the boxes of corrections until they are decided.

The private half lies in the key-ring. A box goes with the decision, and the month's key with its last box, so that an
old copy of the database does not open corrections of customers who are long gone.
"""

import calendar
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from issuer.catalogue import Catalogue
from issuer.requests import DataRequest
from protocol import canonical, consent, proof, sealed
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.request import DataSubjectRequest
from runtime.keyring import KeyGone
from runtime.platform import Platform

PREFIX = "requests-"
MAX_BOX = 48 * 1024  # bytes; it travels in a JSON body of 64 KiB
MAX_VALUE = 10_000  # characters
Values = Mapping[str, Any]


def period_of(at: datetime) -> str:
    """The name of the month's key."""
    return f"{PREFIX}{at:%Y-%m}"


def statement(platform: Platform) -> dict[str, Any]:
    """This month's key, signed by the controller; it is good for a week into the next month."""
    at = platform.clock.now()
    period = period_of(at)
    last = at.replace(day=calendar.monthrange(at.year, at.month)[1])
    unsigned = sealed.build_key(
        platform.keyring.archive.public(period), id=consent.fresh_id(), controller=platform.controller, period=period,
        at=at, until=last + timedelta(days=7),
    )  # fmt: skip
    return dict(proof.sign(unsigned, platform.signer, created=at))


def seal(platform: Platform, sender: Did, values: Values) -> tuple[bytes, str]:
    """Values that came to the desk, sealed at the door: the box and its period."""
    period = period_of(platform.clock.now())
    return sealed.seal(platform.keyring.archive.public(period), inside(platform.controller, sender, values)), period


def inside(controller: Did, sender: Did, values: Values) -> bytes:
    """What a box of corrections holds: who sends it to whom, so that nobody sends another's box as their own."""
    return canonical.jcs({"controller": controller, "sender": sender, "values": dict(values)})


def open_box(platform: Platform, box: bytes, period: str, asked: DataSubjectRequest, sender: Did) -> Values:
    """The values that a request proposes, opened in memory.

    EvidenceError `digest_mismatch`, `bad_box`, `bad_correction`, `key_gone`.
    """
    if canonical.digest(box) != asked.correction:
        raise EvidenceError("digest_mismatch", "the sealed values are not those of the request", field="sealed")
    try:
        data = sealed.open_with(platform.keyring.archive.private(period), box)
        node = canonical.parse(data)
    except KeyGone:
        raise EvidenceError("key_gone", "the key of these values has ended", field="sealed") from None
    values = node.get("values")
    if node.get("controller") != platform.controller or node.get("sender") != sender:
        raise EvidenceError("bad_correction", "these values were sealed by somebody else", field="sealed")
    if not isinstance(values, dict) or frozenset(values) != asked.fields:
        raise EvidenceError("bad_correction", "the sealed values are not of the fields named", field="sealed")
    return values


def check(catalogue: Catalogue, values: Values) -> None:
    """Refuse values that could never be written. EvidenceError `unknown_field`, `bad_correction`."""
    for field, value in values.items():
        entry = catalogue.field(field)
        texts = value if isinstance(value, list) else [value]
        fits = isinstance(value, (str, int, float, bool, list)) and len(texts) <= 64
        if not fits or any(isinstance(one, (dict, list)) or one is None for one in texts):
            raise EvidenceError("bad_correction", f"{entry.id} takes another kind of value", field=entry.id)
        if sum(len(str(one)) for one in texts) > MAX_VALUE:
            raise EvidenceError("bad_correction", f"the value for {entry.id} is too long", field=entry.id)


def find_period(platform: Platform, box: bytes, candidates: Iterable[str]) -> str:
    """Which month's key opens the box; EvidenceError `bad_box`."""
    for period in candidates:
        try:
            sealed.open_with(platform.keyring.archive.private(period), box)
        except (EvidenceError, KeyGone):
            continue
        return period
    raise EvidenceError("bad_box", "this was not sealed to our key of this month", field="sealed")


def recent(at: datetime) -> tuple[str, ...]:
    """The months whose key may be in use: this one and the one before."""
    return period_of(at), period_of(at.replace(day=1) - timedelta(days=1))


def forget(platform: Platform, session: Session) -> int:
    """Destroy the keys of past months that no open box needs; how many. Idempotent."""
    past = forgettable(platform, session)
    for name in past:
        platform.keyring.archive.destroy(name)
    return len(past)


def forgettable(platform: Platform, session: Session) -> list[str]:
    """The months whose key nobody needs any more."""
    recent_ = recent(platform.clock.now())
    names = [one for one in platform.keyring.archive.names() if one.startswith(PREFIX) and one not in recent_]
    if not names:
        return []
    in_use = set(session.exec(select(DataRequest.box_period).where(col(DataRequest.box).is_not(None))).all())
    return [one for one in names if one not in in_use]

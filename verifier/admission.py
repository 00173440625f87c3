"""Admission: may this visit be paid at all? Asked when it is opened, and again as each passage begins. Pure."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from issuer import transfers
from issuer.catalogue import Catalogue
from issuer.transfers import Home
from protocol.errors import EvidenceError
from verifier.passage import Visit
from verifier.rule import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Why not: as a Problem says it, and what else goes on record (`named`; never a value)."""

    status: int
    code: str
    detail: str
    field: str
    named: Mapping[str, str] = dataclasses.field(default_factory=dict)


def bar(catalogue: Catalogue, visit: Visit, home: Home, at: datetime) -> Bar | None:
    """What stands in the way under this version of the catalogue at this instant; None: nothing.

    `unknown_purpose` (it was removed), `role`, `transfer_not_allowed`.
    """
    try:
        purpose = catalogue.purpose(visit.purpose)
    except EvidenceError as error:
        return Bar(status=404, code=error.code, detail="The catalogue has no such purpose.", field="purpose")
    if visit.reader.role not in purpose.roles:
        return Bar(
            status=403, code=Reason.ROLE.value, detail="Your role may not act for this purpose.", field="purpose"
        )
    lack = transfers.missing(catalogue, purpose, visit.recipient, visit.jurisdiction, home=home, at=at)
    if lack is None:
        return None
    return Bar(
        status=403,
        code="transfer_not_allowed",
        detail=transfers.SAID[lack],
        field="jurisdiction" if lack == "jurisdiction" else "recipient",
        named={"recipient": visit.recipient, "jurisdiction": visit.jurisdiction, "missing": lack},
    )

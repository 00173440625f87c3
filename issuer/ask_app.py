"""What staff do with an ask that waits: hand its link over, end it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from issuer import ask_ending, attempts, signed
from issuer.credentials import Credential
from issuer.registry import Registry
from runtime.limits import RateLimit
from runtime.staff import ROLES, Staff, signed_in

Json = dict[str, Any]
PER_TOKEN = "600/minute"  # noqa: S105 - a rate
UUID = "urn:uuid:3f0d8a52-8f0e-4d8c-9a2e-4ac3f9f2b1de"


class AskLink(BaseModel):
    """Where the customer's wallet shows an ask; to be given to them as a link or as a QR code."""

    link: str = Field(examples=["https://wallet.example.com/#/ask/did:web:crm.example.com/urn:uuid:3f0d8a52-…"])


def router(registry: Registry) -> APIRouter:
    """Routes for staff."""
    routes, platform = APIRouter(prefix="/issuer", tags=["staff"]), registry.platform
    anybody = Depends(signed_in(platform, frozenset(ROLES), limit=RateLimit(PER_TOKEN)))
    Anybody = Annotated[Staff, anybody]  # noqa: N806 - a type
    Id = Annotated[str, Path(examples=[UUID])]  # noqa: N806

    @routes.get("/asks/{id}/link", summary="The link of an ask")
    def link(id: Id, staff: Anybody) -> AskLink:
        """Opens the wallet's page at this ask. It carries no personal data and no secret: only the wallet that was
        asked is shown the ask.
        """
        with attempts.recorded(platform, "ask-link", did=staff.did):
            return AskLink(link=ask_ending.link(registry, staff, id))

    @routes.post("/asks/{id}/end", summary="End an ask")
    def end(id: Id, staff: Anybody) -> Json:
        """For good: it can be neither given nor refused any more, and the wallet says so. For whoever may act for all
        of its purposes, and for the data protection officer.
        """
        with attempts.recorded(platform, "ask-end", did=staff.did):
            return _shown(ask_ending.end(registry, staff, id), registry)

    return routes


def _shown(row: Credential, registry: Registry) -> Json:
    return {
        "id": row.id,
        "standing": ask_ending.standing(registry.platform, row),
        "at": row.at,
        "valid_until": row.valid_until,
        "ended_at": row.ended_at,
        "credential": signed.document(row),
    }

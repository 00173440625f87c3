"""The answers to requests of data subjects, over HTTP: sealed for the wallet, or a file for who has none."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from crm_core.rights import answer as rights_answer
from crm_core.rights.answer import Records
from crm_core.rights.copies import Beyond
from issuer import attempts
from issuer.catalogue import Catalogue
from issuer.wallet_auth import WalletCaller, wallet_caller
from runtime.limits import RateLimit
from runtime.platform import Platform
from runtime.staff import Staff, signed_in

UUID = "urn:uuid:3f0d8a52-8f0e-4d8c-9a2e-4ac3f9f2b1de"
PER_WALLET = "10/hour"  # answers: each opens a whole record
Id = Annotated[str, Path(examples=[UUID])]


class AnswerBody(BaseModel):
    """Which request is to be answered."""

    model_config = ConfigDict(extra="forbid")
    request: str = Field(max_length=64, examples=[UUID])


class SealedAnswer(BaseModel):
    """The answer, for the wallet alone."""

    receipt: dict[str, Any] = Field(description="A DataSubjectReceiptCredential with the digest of `sealed`.")
    sealed: str = Field(description="base64: a libsodium sealed box to the X25519 form of the wallet's key.")


class Passphrase(BaseModel):
    """What opens the file."""

    passphrase: str = Field(examples=["abcde-fghij-klmno-pqrst-uvwxy-z"])


def router(platform: Platform, catalogue: Catalogue, beyond: Beyond) -> APIRouter:
    """Routes under `/crm/rights`; `beyond` is what archive and log know."""
    routes = APIRouter(prefix="/rights", tags=["rights"])
    house, limit = Records(platform, catalogue, beyond), RateLimit(PER_WALLET)
    Wallet = Annotated[WalletCaller, Depends(wallet_caller(platform, service="crm"))]  # noqa: N806 - a type
    Officer = Annotated[Staff, Depends(signed_in(platform, frozenset({"dpo"})))]  # noqa: N806
    Corrector = Annotated[Staff, Depends(signed_in(platform, frozenset({"dpo", "service"})))]  # noqa: N806
    Second = Annotated[Staff, Depends(signed_in(platform, frozenset({"dpo", "admin", "service"})))]  # noqa: N806

    @routes.post("/answers", summary="Fetch your copy")
    def answers(body: AnswerBody, wallet: Wallet) -> SealedAnswer:
        """The answer to your request for access or portability, sealed to your wallet's key; for seven days.

        Everything held, granted to anybody or not; it is made now and kept nowhere. On record as a release to you.
        """
        limit.hit(wallet.did)
        with attempts.recorded(platform, "request-answer", did=wallet.did, subject=wallet.subject):
            return SealedAnswer(**rights_answer.for_wallet(house, wallet.did, wallet.subject, body.request))

    @routes.post(
        "/requests/{id}/file",
        summary="The answer as a file",
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {}}, "description": "The sealed file."}},
    )
    def file(id: Id, staff: Officer) -> Response:
        """For a customer without a wallet, in person or by post. Who confirmed the request gives the passphrase."""
        with attempts.recorded(platform, "request-file", did=staff.did):
            data = rights_answer.for_post(house, staff, id)
        headers = {"content-disposition": 'attachment; filename="answer.fieldgrant"', "cache-control": "no-store"}
        return Response(data, media_type="application/octet-stream", headers=headers)

    @routes.post("/requests/{id}/passphrase", summary="The passphrase of the file")
    def secret(id: Id, staff: Second) -> Passphrase:
        """For who confirmed the request, to give to the customer apart from the file. Each time is on record."""
        with attempts.recorded(platform, "request-passphrase", did=staff.did):
            return Passphrase(passphrase=rights_answer.passphrase(platform, staff, id))

    @routes.post("/requests/{id}/correction", summary="Accept a correction")
    def correct(id: Id, staff: Corrector) -> dict[str, Any]:
        """Write the values that the customer sent sealed. They are not shown here."""
        with attempts.recorded(platform, "request-correction", did=staff.did):
            return {"receipt": rights_answer.correct(house, staff, id)}

    return routes

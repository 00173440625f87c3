"""What anybody may read: the controller's DID document, the catalogue, notices, status lists, the consent context."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from issuer.catalogue import Catalogue
from issuer.statuslists import SignedLists
from protocol import canonical, context
from protocol.credential import CONSENT_V1
from protocol.status import DEFAULT_TTL
from protocol.times import iso
from runtime.platform import Platform

Json = dict[str, Any]


def router(platform: Platform, catalogue: Catalogue) -> APIRouter:
    """Routes without sign-in."""
    routes = APIRouter(tags=["public"])
    lists = SignedLists(platform)

    @routes.get("/.well-known/did.json", summary="The controller's DID document")
    def did_document() -> JSONResponse:
        """The did:web document with the controller's keys and services. An invitation pins its digest."""
        return JSONResponse(dict(platform.document), media_type="application/did+json")

    @routes.get("/issuer/catalogue", summary="Fields and purposes")
    def shown_catalogue() -> Json:
        """Every field and purpose with labels in English and Chinese, the necessity per field,
        and the catalogue's digest.
        """
        return catalogue_document(catalogue)

    @routes.get(
        "/issuer/notices/{purpose}/{version}",
        summary="A notice",
        responses={200: {"content": {"text/plain": {}, "application/json": {}}}},
    )
    def notice(
        request: Request,
        purpose: Annotated[str, Path(examples=["marketing"])],
        version: Annotated[str, Path(examples=["1"])],
        lang: Annotated[str, Query(examples=["en", "zh-CN"])] = "en",
    ) -> Response:
        """The text that people read before they decide. With `Accept: text/plain` the very bytes that the digest
        is over.

        An ask for several purposes joins their keys and versions by `+`.
        """
        found = catalogue.joint_notice(purpose.split("+"), lang, version.split("+"))
        if "text/plain" in request.headers.get("accept", ""):
            return Response(found.text.encode(), media_type="text/plain; charset=utf-8")
        body = {
            "purpose": found.purpose,
            "version": found.version,
            "language": found.language,
            "text": found.text,
            "digestMultibase": found.digest,
        }
        return JSONResponse(body)

    @routes.get("/issuer/status/{n}", summary="A status list")
    def status_list(n: int) -> JSONResponse:
        """A Bitstring Status List of 131,072 entries, signed by the controller.

        Our registry is the truth; this is for others.
        """
        headers = {"Cache-Control": f"max-age={int(DEFAULT_TTL.total_seconds())}"}
        return JSONResponse(lists.get(n), media_type="application/vc+json", headers=headers)

    @routes.get("/issuer/contexts/consent/v1", summary="The JSON-LD context of our credentials")
    def consent_context() -> Response:
        """The same document that wallets and verifiers carry with them: none of them ever fetches it."""
        return Response(canonical.jcs(context.load(CONSENT_V1)), media_type="application/ld+json")

    return routes


def catalogue_document(catalogue: Catalogue) -> Json:
    """The catalogue as JSON."""
    catalogue = catalogue.current()
    return {
        "version": catalogue.version,
        "number": catalogue.number,
        "digest": catalogue.digest,
        "fields": {
            entry.id: {
                "bit": entry.bit,
                "category": entry.category,
                "sensitive": entry.sensitive,
                "labels": dict(entry.labels),
                "type": entry.type,
                "many": entry.many,
                "item": entry.item,
                "disposition": entry.disposition,
                "legal_ground": entry.legal_ground,
                "destroy_after": entry.destroy_after,
            }
            for entry in catalogue.fields.values()
        },
        "purposes": {
            entry.key: {
                "iri": entry.iri,
                "labels": dict(entry.labels),
                "necessity": dict(entry.necessity),
                "separate_consent": entry.separate_consent,
                "consent_only": entry.consent_only,
                "roles": sorted(entry.roles),
                "duration": entry.duration,
                "consent_life": entry.consent_life,
                "processing": sorted(entry.processing),
                "ask_again_after": entry.ask_again_after,
                "recipients": sorted(entry.recipients),
                "jurisdictions": sorted(entry.jurisdictions),
                "notice": max((one.version for one in catalogue.notices if one.purpose == entry.key), key=int),
            }
            for entry in catalogue.purposes.values()
        },
        "recipients": {
            entry.key: {
                "did": entry.did,
                "labels": dict(entry.labels),
                "jurisdiction": entry.jurisdiction,
                "mechanism": entry.mechanism,
                "mechanism_until": None if entry.mechanism_until is None else iso(entry.mechanism_until),
            }
            for entry in catalogue.recipients.values()
        },
    }

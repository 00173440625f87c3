"""Staff and the catalogue: its versions, drafts with their diff and impact, approval, rolling back, and transfers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from issuer import attempts, editions, publication, signed, transfers
from issuer.catalogue import CatalogueError, changes, content, loading
from issuer.catalogue.content import Version
from issuer.credentials import Credential
from issuer.editions import DRAFT, CatalogueContent, Proved
from issuer.registry import Registry
from issuer.transfers import Home
from protocol.edition import Edition
from protocol.times import iso
from runtime.limits import RateLimit
from runtime.problem import Problem
from runtime.staff import Staff, signed_in

Json = dict[str, Any]
PER_TOKEN = "120/minute"  # noqa: S105 - a rate
BODY_LIMITS = {"/issuer/catalogue/drafts": 512 * 1024}
UUID = "urn:uuid:3f0d8a52-8f0e-4d8c-9a2e-4ac3f9f2b1de"
_WRITTEN = {
    "requestBody": {
        "required": True,
        "description": "The whole catalogue as YAML or JSON: version, fields, purposes, recipients, notices.",
        "content": {
            "application/yaml": {"schema": {"type": "string"}, "example": 'version: "2026-12-01"\nfields: …'},
            "application/json": {
                "schema": {"type": "object"},
                "example": {"version": "2026-12-01", "fields": {}, "purposes": {}, "recipients": {}, "notices": {}},
            },
        },
    }
}


@dataclass(frozen=True, slots=True)
class Counts:
    """What composition hands in, for it needs the verifier: a draft's impact, and the paths of living consents."""

    impact: Callable[[Version, bytes], Json]
    abroad: Callable[[], Iterable[tuple[str, str, str]]]


class RollbackBody(BaseModel):
    """Which version's content is to come back, and under which name."""

    model_config = ConfigDict(extra="forbid")
    number: int = Field(ge=0, description="0 is the catalogue that came with the software.", examples=[1])
    version: str = Field(min_length=1, max_length=64, examples=["2026-12-01 as before"])


async def _body(request: Request) -> bytes:
    return await request.body()


def router(registry: Registry, counts: Counts | None = None) -> APIRouter:
    """Routes for staff with a bearer token. Without `counts` (the issuer alone) there is no impact and no list."""
    routes = APIRouter(prefix="/issuer", tags=["catalogue"])
    limit = RateLimit(PER_TOKEN)

    def role(*roles: str) -> Any:
        return Depends(signed_in(registry.platform, frozenset(roles), limit=limit))

    _reading(routes, registry, role)
    _drafting(routes, registry, role, counts)
    _transferring(routes, registry, role, counts)
    return routes


def _reading(routes: APIRouter, registry: Registry, role: Callable[..., Any]) -> None:
    platform = registry.platform
    Overseer = Annotated[Staff, role("dpo", "admin", "auditor")]  # noqa: N806 - a type

    @routes.get("/catalogue/versions", summary="Versions of the catalogue")
    def versions(staff: Overseer) -> Json:
        """All of them, newest first, down the chain of digests. `proved`: is it what was signed?"""
        with platform.database.read() as session:
            found = editions.chain(session, platform, platform.journal.catalogue)
        told = [{"number": number, "proved": one is not None, **_told(one)} for number, one in found]
        first = content.packaged().catalogue
        return {"items": [*told, {"number": 0, "proved": True, "version": first.version, "digest": first.digest}]}

    @routes.get("/catalogue/versions/{number}", summary="One version of the catalogue")
    def version(staff: Overseer, number: Annotated[int, Path(ge=0, examples=[1])]) -> Json:
        """What it says, as it was written, and the signed statement."""
        return {"number": number, "catalogue": publication.written_of(registry, number)}

    @routes.get("/catalogue/status", summary="Which version is in effect")
    def status(staff: Overseer) -> Json:
        """Its number and digest, and how many customers have been compiled under it."""
        now = publication.standing(registry).catalogue
        with platform.database.read() as session:
            waiting = publication.unfinished(session)
            work = session.get(CatalogueContent, waiting[0]) if waiting else None
        told = {"number": now.number, "version": now.version, "digest": now.digest, "settled": work is None}
        return told if work is None else {**told, "done": work.done, "of": work.total}


def _drafting(routes: APIRouter, registry: Registry, role: Callable[..., Any], counts: Counts | None) -> None:
    platform = registry.platform
    Officer = Annotated[Staff, role("dpo")]  # noqa: N806 - a type
    Second = Annotated[Staff, role("dpo", "admin")]  # noqa: N806
    Overseer = Annotated[Staff, role("dpo", "admin", "auditor")]  # noqa: N806
    Id = Annotated[str, Path(examples=[UUID])]  # noqa: N806

    @routes.post("/catalogue/drafts", status_code=201, summary="Declare a version", openapi_extra=_WRITTEN)
    def declare(staff: Officer, body: Annotated[bytes, Depends(_body)]) -> Json:
        """A draft of the next version, signed by you. It changes nothing until somebody else approves it."""
        with attempts.recorded(platform, "catalogue", did=staff.did):
            row = publication.declare(registry, staff, written(body))
            return _draft(registry, row.id)

    @routes.post("/catalogue/rollbacks", status_code=201, summary="Go back to an older version")
    def roll_back(staff: Officer, body: RollbackBody) -> Json:
        """A draft with an older version's content. It ends what that did not have, and revives no consent."""
        with attempts.recorded(platform, "catalogue-rollback", did=staff.did):
            row = publication.roll_back(registry, staff, body.number, name=body.version)
            return _draft(registry, row.id)

    @routes.get("/catalogue/drafts", summary="Drafts")
    def drafts(staff: Overseer) -> Json:
        """Those that wait for approval, oldest first."""
        with platform.database.read() as session:
            waiting = [row for row in _drafts(session) if not platform.journal.ended(row[0].id)]
            return {"items": [_listed(row) for row in waiting]}

    @routes.get("/catalogue/drafts/{id}", summary="One draft")
    def draft(id: Id, staff: Overseer) -> Json:
        """What it says and what it ends."""
        found = publication.proposed(registry, id)
        return {**_draft(registry, id), "catalogue": found.version.written}

    @routes.get("/catalogue/drafts/{id}/diff", summary="What a draft changes")
    def diff(id: Id, staff: Overseer) -> Json:
        """Each difference to the version in effect, as data and as a line to read, and what grounds would not cover."""
        found = publication.proposed(registry, id)
        listed = list(changes.diff(publication.standing(registry).written, found.version.written))
        return {
            "changes": [
                {"place": one.place, "kind": one.kind, "before": one.before, "after": one.after} for one in listed
            ],
            "lines": [str(one) for one in listed],
            "ends": _ends(found),
        }

    @routes.get("/catalogue/drafts/{id}/impact", summary="What a draft would do")
    def impact(id: Id, staff: Overseer) -> Json:
        """Counted from verified evidence: grounds touched, whom to ask again, fields that lapse and what follows."""
        found = publication.proposed(registry, id)
        return _counting(counts).impact(found.version, found.content)

    @routes.post("/catalogue/drafts/{id}/approval", summary="Approve a draft")
    def approve(id: Id, staff: Second) -> Json:
        """As the second person. Answers when no read under way can return what it ended; compiling goes on."""
        with attempts.recorded(platform, "catalogue-approval", did=staff.did):
            row = publication.approve(registry, staff, id)
            found = publication.proposed(registry, row.id)
            return {"number": found.edition.number, **_told(found)}

    @routes.post("/catalogue/drafts/{id}/withdrawal", summary="Withdraw a draft")
    def withdraw(id: Id, staff: Officer) -> Json:
        """For good: nobody can approve it any more. Whoever made it; a version in effect is not taken back by this."""
        with attempts.recorded(platform, "catalogue-withdrawal", did=staff.did):
            row = publication.withdraw(registry, staff, id)
            return {"id": row.id, "withdrawn_at": row.ended_at}


def _transferring(routes: APIRouter, registry: Registry, role: Callable[..., Any], counts: Counts | None) -> None:
    platform = registry.platform
    Overseer = Annotated[Staff, role("dpo", "admin", "auditor")]  # noqa: N806 - a type

    @routes.get("/transfers", summary="Where data may go")
    def listed(staff: Overseer) -> Json:
        """Every path to a third party or another country: mechanism, until when, living consents, and problems."""
        home = Home(platform.controller, platform.settings.home_jurisdiction)
        abroad = _counting(counts).abroad()
        now = registry.catalogue.current()
        return {"items": transfers.listed(now, abroad, home=home, at=platform.clock.now())}


def written(body: bytes) -> Json:
    """A catalogue in YAML or JSON as plain data. Problem 422 `bad_catalogue` with the place as its field."""
    try:
        found = loading.parse(body.decode("utf-8"))
    except CatalogueError as error:
        raise Problem(422, error.code, error.detail, field=error.place) from None
    except UnicodeDecodeError:
        raise Problem(422, CatalogueError.code, "this is not UTF-8", field="file") from None
    if not isinstance(found, dict):
        raise Problem(422, CatalogueError.code, "must be a mapping", field="catalogue")
    return found


def _counting(counts: Counts | None) -> Counts:
    if counts is None:
        raise Problem(503, "impact_unavailable", "This process runs without the verifier, which counts.")
    return counts


def _draft(registry: Registry, id_: str) -> Json:
    found = publication.proposed(registry, id_)
    return {"id": id_, "number": found.edition.number, **_told(found)}


def _told(found: Proved | None) -> Json:
    if found is None:
        return {}
    edition: Edition = found.edition
    return {
        "id": edition.id,
        "version": found.version.catalogue.version,
        "digest": edition.digest,
        "previous": edition.previous,
        "declared_by": edition.declared_by,
        "signers": sorted(edition.signers),
        "in_effect": None if edition.in_effect is None else iso(edition.in_effect),
        "ends": _ends(found),
    }


def _ends(found: Proved) -> list[Json]:
    return [{"purpose": purpose, "field": field} for purpose, field in content.ends_of(found.content)]


def _drafts(session: Session) -> list[tuple[Credential, CatalogueContent]]:
    statement = (
        select(Credential, CatalogueContent)
        .join(CatalogueContent, col(CatalogueContent.id) == col(Credential.id))
        .where(Credential.kind == DRAFT, col(Credential.ended_at).is_(None))
        .order_by(col(Credential.at))
    )
    return list(session.exec(statement))


def _listed(row: tuple[Credential, CatalogueContent]) -> Json:
    return {"id": row[0].id, "number": row[1].number, "at": row[0].at, "credential": signed.document(row[0])}

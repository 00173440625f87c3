"""Versions of the catalogue as they rest: signed statements with their content, believed only once both are proved.

The newest one is named by the journal, outside the database: a database that was rolled back, or whose rows somebody
took away or put back, cannot show an older version as the one in effect. Each version names the one before it by
digest, so that the newest vouches for all.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from sqlmodel import Field, Session, SQLModel, col, select

from issuer import signed
from issuer.catalogue import content as contents
from issuer.catalogue.content import Version
from issuer.credentials import Credential
from protocol import canonical, credential, edition, times
from protocol.did import Did
from protocol.edition import Edition
from protocol.errors import EvidenceError
from runtime.platform import Platform
from runtime.problem import Problem

KIND, DRAFT = "catalogue", "catalogue-draft"
ABOUT = "catalogue"  # the column `subject` of such a row: it is about no customer


class CatalogueContent(SQLModel, table=True):
    """What a version or a draft says (its digest is in the credential), and how far its compiling has come."""

    __tablename__ = "catalogue_content"

    id: str = Field(primary_key=True)  # the credential's
    number: int = Field(index=True)
    content: bytes
    drained_at: str | None = None
    reached: str = ""  # the last subject that was compiled
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """A stored version whose signatures and content were found good."""

    edition: Edition
    version: Version
    content: bytes


def prove(platform: Platform, row: Credential, content: bytes, *, approved: bool = True) -> Proved:
    """Verify a stored version. EvidenceError: those of `credential.verify` and `parse_edition`, `foreign_catalogue`,

    `digest_mismatch`, `bad_catalogue`.
    """
    at = platform.clock.now()
    verified = credential.verify(row.body, platform.keys, at=at, expected_type=edition.EDITION_TYPE, check_dates=False)
    found = edition.parse_edition(verified, approved=approved)
    if found.controller != platform.controller:
        raise EvidenceError("foreign_catalogue", "a catalogue of another controller", field="hasDataController")
    if found.id != row.id:  # who approves one draft by its id must not sign another that was put in its place
        raise EvidenceError("foreign_catalogue", "this is another version than the row says", field="id")
    if canonical.digest(content) != found.content:
        raise EvidenceError("digest_mismatch", "this is not the content that was signed", field="contentDigest")
    version = contents.read(
        content, number=found.number, digest=found.digest, in_effect=found.in_effect or verified.valid_from
    )
    return Proved(edition=found, version=version, content=content)


def newest(session: Session, platform: Platform, mark: tuple[int, str]) -> Proved | None:
    """The version that the journal names; None where the database does not hold it as it was signed."""
    number, digest = mark
    statement = (
        select(Credential, CatalogueContent)
        .join(CatalogueContent, col(CatalogueContent.id) == col(Credential.id))
        .where(Credential.digest == digest)
    )
    found = session.exec(statement).first()
    if found is None:
        return None
    try:
        proved = prove(platform, *_bytes(*found))
    except EvidenceError:
        return None
    return proved if (proved.edition.number, proved.edition.digest) == (number, digest) else None


def row_of(session: Session, id_: str) -> tuple[Credential, CatalogueContent]:
    """A version or a draft by id; Problem 404 `unknown_catalogue`."""
    row, content = session.get(Credential, id_), session.get(CatalogueContent, id_)
    if row is None or content is None or row.kind not in (KIND, DRAFT):
        raise Problem(404, "unknown_catalogue", "There is no such version or draft of the catalogue.")
    return row, content


def published(session: Session, number: int) -> tuple[Credential, CatalogueContent]:
    """The version of a number; Problem 404 `unknown_catalogue`."""
    statement = (
        select(Credential, CatalogueContent)
        .join(CatalogueContent, col(CatalogueContent.id) == col(Credential.id))
        .where(Credential.kind == KIND, CatalogueContent.number == number)
    )
    found = session.exec(statement).first()
    if found is None:
        raise Problem(404, "unknown_catalogue", "There is no such version or draft of the catalogue.")
    return found


def chain(session: Session, platform: Platform, mark: tuple[int, str] | None) -> list[tuple[int, Proved | None]]:
    """Every published version, newest first, down the digests by which each names the one before.

    None stands for one that is missing or is not what was signed, and ends the chain: those before it prove nothing.
    """
    found: list[tuple[int, Proved | None]] = []
    while mark is not None:
        proved = newest(session, platform, mark)
        found.append((mark[0], proved))
        mark = (mark[0] - 1, proved.edition.previous) if proved is not None and mark[0] > 1 else None
    return found


def lost(session: Session, platform: Platform) -> Literal["ahead", "behind"] | None:
    """Who knows a newer version than the other: the journal is `ahead` (a restored database), or `behind` (it was cut).

    Signatures decide, not rows that somebody wrote beside them.
    """
    mark = platform.journal.catalogue
    if mark is not None and newest(session, platform, mark) is None:
        return "ahead"
    statement = (
        select(Credential, CatalogueContent)
        .join(CatalogueContent, col(CatalogueContent.id) == col(Credential.id))
        .where(Credential.kind == KIND, CatalogueContent.number > (0 if mark is None else mark[0]))
    )
    for row, content in session.exec(statement):
        with suppress(EvidenceError):
            prove(platform, row, content.content)
            return "behind"
    return None


def restore(session: Session, platform: Platform, entry: Mapping[str, Any]) -> str | None:
    """Put a version back that the journal's entry carries and the database lacks; its id, None when it was there."""
    mark = (int(entry["number"]), str(entry["digest"]))
    if newest(session, platform, mark) is not None:
        return None
    document, said = entry["evidence"]["catalogue"], canonical.jcs(entry["evidence"]["content"])
    at = times.parse(entry["at"], field="at")
    row = signed.row(document, KIND, subject=ABOUT, did=Did(document["issuer"]), at=at)
    prove(platform, row, said)
    for old in (session.get(Credential, row.id), session.get(CatalogueContent, row.id)):
        if old is not None:
            session.delete(old)
    session.flush()
    session.add(row)
    session.add(CatalogueContent(id=row.id, number=mark[0], content=said))
    session.flush()
    return row.id


def _bytes(row: Credential, content: CatalogueContent) -> tuple[Credential, bytes]:
    return row, content.content

"""Organisations that customers work for: no personal data of theirs, but sealed as everything is.

One row each under a key of the key-ring. Who works there is not written here: it is the customer's own field
(`employment.organisation`), so the link is seen by whom that customer lets see it. For the same reason an
organisation can always be deleted: a refusal would tell of links that are withheld; a dangling link shows as unknown.
Of two that are one, the absorbed one points to the other and its links count for that.
"""

import base64
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import NewType

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Table, delete, select
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel

from crm_core import seal
from crm_core.reading.folding import fold
from protocol import canonical, event
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.platform import Platform

OrganisationId = NewType("OrganisationId", str)
ID = re.compile(r"org_[a-z2-7]{26}")
MAX_TEXT = 512
_PAD = 64
_DEEPEST = 16


class OrganisationRow(SQLModel, table=True):
    """Table `organisation`."""

    __tablename__ = "organisation"
    __table_args__ = {"sqlite_with_rowid": False}

    id: str = Column(primary_key=True)
    revision: int
    box: bytes


TABLE: Table = SQLModel.metadata.tables["organisation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is known of an organisation; empty texts where nothing is."""

    name: str
    domain: str = ""
    registration_number: str = ""
    address: str = ""
    country: str = ""
    website: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """One organisation; `revision` rises with each change, `aliases` are the ids of those that it absorbed."""

    id: OrganisationId
    revision: int
    content: Content
    aliases: tuple[OrganisationId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """What a box holds: the content and what was absorbed, or where an absorbed one points to."""

    content: Content
    aliases: tuple[OrganisationId, ...]
    merged_into: OrganisationId | None


def new_id() -> OrganisationId:
    """`org_` and 128 random bits in lower-case base32."""
    return OrganisationId("org_" + base64.b32encode(secrets.token_bytes(16)).decode("ascii").rstrip("=").lower())


def checked(content: Content) -> Content:
    """The content with its texts trimmed. EvidenceError `no_name`, `too_long`; the field is named."""
    texts = {name: " ".join(text.split()) for name, text in asdict(content).items()}
    for name, text in texts.items():
        if len(text) > MAX_TEXT:
            raise EvidenceError("too_long", f"a text has more than {MAX_TEXT} characters", field=name)
    if not texts["name"]:
        raise EvidenceError("no_name", "an organisation has a name", field="name")
    return Content(**texts)


def create(session: Session, platform: Platform, content: Content, *, by: Did, at: datetime) -> Organisation:
    """A new organisation. Raises what `checked` raises."""
    made = Organisation(id=new_id(), revision=1, content=checked(content))
    _put(session, platform, made)
    _tell(session, made.id, "created", by, at)
    return made


def find(session: Session, platform: Platform, id_: str) -> Organisation | None:
    """The organisation of that id, or the one that absorbed it; None when there is none (any more).

    A row that does not open is none.
    """
    for _ in range(_DEEPEST):
        row = session.connection().execute(select(TABLE).where(TABLE.c.id == id_)).one_or_none()
        stored = None if row is None else _open(platform, row.id, row.revision, row.box)
        if row is None or stored is None:
            return None
        if stored.merged_into is None:
            return _organisation(row.id, row.revision, stored)
        id_ = stored.merged_into
    return None


def search(session: Session, platform: Platform, text: str, limit: int) -> list[Organisation]:
    """At most `limit` organisations whose name or domain contains the text (folded), by name."""
    wanted = fold(text)
    found = [
        one
        for one in _every(session, platform)
        if wanted in fold(one.content.name) or wanted in fold(one.content.domain)
    ]
    return sorted(found, key=lambda one: (fold(one.content.name), one.id))[:limit]


def change(
    session: Session, platform: Platform, id_: str, content: Content, *, if_revision: int | None, by: Did, at: datetime
) -> Organisation:
    """Put new content in the place of the old. EvidenceError `unknown_organisation`, `conflict`, and of `checked`."""
    old = _existing(session, platform, id_)
    if if_revision is not None and if_revision != old.revision:
        raise EvidenceError("conflict", "it was changed since you read it: read it again", field="if_revision")
    new = Organisation(id=old.id, revision=old.revision + 1, content=checked(content), aliases=old.aliases)
    _put(session, platform, new)
    _tell(session, new.id, "changed", by, at)
    return new


def merge(session: Session, platform: Platform, id_: str, other: str, *, by: Did, at: datetime) -> Organisation:
    """Let `id_` absorb `other`: links to either count for both ids from now on.

    EvidenceError `unknown_organisation`, `same_organisation`.
    """
    into, absorbed = _existing(session, platform, id_), _existing(session, platform, other)
    if into.id == absorbed.id:
        raise EvidenceError("same_organisation", "these two are one already", field="other")
    aliases = tuple(dict.fromkeys((*into.aliases, absorbed.id, *absorbed.aliases)))
    new = Organisation(id=into.id, revision=into.revision + 1, content=into.content, aliases=aliases)
    _put(session, platform, new)
    _put(session, platform, absorbed, merged_into=into.id)
    _tell(session, absorbed.id, "merged", by, at, into=into.id)
    return new


def remove(session: Session, platform: Platform, id_: str, *, by: Did, at: datetime) -> bool:
    """Delete an organisation and what it absorbed; False when there is none. Links to it show as unknown then."""
    found = find(session, platform, id_)
    if found is None:
        return False
    session.connection().execute(delete(TABLE).where(TABLE.c.id.in_([found.id, *found.aliases])))
    _tell(session, found.id, "deleted", by, at)
    return True


def _existing(session: Session, platform: Platform, id_: str) -> Organisation:
    found = find(session, platform, id_)
    if found is None:
        raise EvidenceError("unknown_organisation", "there is no such organisation", field="id")
    return found


def _every(session: Session, platform: Platform) -> Iterator[Organisation]:
    for row in session.connection().execute(select(TABLE).order_by(TABLE.c.id)):
        stored = _open(platform, row.id, row.revision, row.box)
        if stored is not None and stored.merged_into is None:
            yield _organisation(row.id, row.revision, stored)


def _organisation(id_: str, revision: int, stored: _Stored) -> Organisation:
    return Organisation(id=OrganisationId(id_), revision=revision, content=stored.content, aliases=stored.aliases)


def _put(session: Session, platform: Platform, one: Organisation, *, merged_into: OrganisationId | None = None) -> None:
    inside = {"content": asdict(one.content), "aliases": one.aliases, "merged_into": merged_into}
    plain = orjson.dumps(inside)
    plain += b" " * (-len(plain) % _PAD)
    nonce = secrets.token_bytes(seal.NONCE)
    box = nonce + _key(platform).encrypt(nonce, plain, _bound(platform, one.id, one.revision))
    session.connection().execute(delete(TABLE).where(TABLE.c.id == one.id))
    session.connection().execute(TABLE.insert(), {"id": one.id, "revision": one.revision, "box": box})


def _open(platform: Platform, id_: str, revision: int, box: bytes) -> _Stored | None:
    try:
        plain = _key(platform).decrypt(box[: seal.NONCE], box[seal.NONCE :], _bound(platform, id_, revision))
        inside = orjson.loads(plain)
    except (InvalidTag, ValueError):
        return None
    known = {field.name for field in fields(Content)}
    return _Stored(
        content=Content(**{name: text for name, text in inside["content"].items() if name in known}),
        aliases=tuple(inside["aliases"]),
        merged_into=inside["merged_into"],
    )


def _key(platform: Platform) -> AESGCM:
    return AESGCM(platform.keyring.secret("organisations"))


def _bound(platform: Platform, id_: str, revision: int) -> bytes:
    return canonical.jcs(["organisation", platform.controller, id_, revision])


def _tell(session: Session, id_: str, change_: str, by: Did, at: datetime, **more: str) -> None:
    data = {"organisation": id_, "change": change_, **more}
    outbox.emit(session, event.ORGANISATION_CHANGED, at=at, header={"by": by}, records=[(None, data)])

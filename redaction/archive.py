"""The archive: write-only for the application. Each field is a sealed box to the public key of its period.

A box is an envelope and a ciphertext. The envelope is a libsodium sealed box, made once for all fields of a customer
that are archived together under one key: inside it lie its context (organisation, subject, generation, destroy-by, the
fields) and a random key. Under that key the field's value is encrypted (AES-256-GCM), its own context as associated
data. So a box that somebody moves to another row opens to a contradiction and is refused. Each field's row carries its
own copy of the envelope: what becomes of one field touches no other. The row bears a MAC: what it says of whose box it
is and until when is ours, or it counts for nothing. The private half is the key-ring's: present, with the data
protection officer, or destroyed, which ends every copy of every box under it.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.bindings import crypto_box_seal
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox
from sqlalchemy import Column as SaColumn
from sqlalchemy import Index, LargeBinary, UniqueConstraint, insert, text
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, select

from crm_core.archiving import Archivable
from issuer.catalogue import Catalogue
from protocol import canonical
from protocol.consent import Field, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime import bulk
from runtime.platform import Platform


class Archived(SQLModel, table=True):
    """One sealed field. Instants are ISO with milliseconds."""

    __tablename__ = "archive"
    __table_args__ = (
        UniqueConstraint("subject", "job", "field"),  # also the index by subject
        Index(  # of the few that are asked for: each other index costs a page for each box
            "archive_wanted",
            "wanted_by",
            sqlite_where=text("wanted_by IS NOT NULL"),
            postgresql_where=text("wanted_by IS NOT NULL"),
        ),
    )

    id: int | None = Column(default=None, primary_key=True)
    job: str
    subject: str
    field: str
    period: str
    ground: str
    generation: int
    archive_key: str = Column(index=True)  # the key pair: period and destroy-by day
    box: bytes = Column(sa_column=SaColumn(LargeBinary, nullable=False))
    digest: str
    destroy_by: str
    at: str
    mac: bytes = Column(sa_column=SaColumn(LargeBinary, nullable=False))
    wanted_by: str | None = None  # the living consent that asks for it back
    wanted_at: str | None = None
    waiting: str | None = None  # why it has not come back: key_gone, bad_box, bad_row

    @property
    def key(self) -> int:
        """The primary key of a stored row."""
        if self.id is None:
            raise ValueError("the row is not stored yet")
        return self.id

    @property
    def field_id(self) -> Field:
        """The field's name as the protocol's type."""
        return Field(self.field)

    def context(self, org: Did) -> "Context":
        """What the box must say of itself to belong to this row."""
        return Context(
            org=org,
            subject=SubjectId(self.subject),
            field=self.field_id,
            generation=self.generation,
            ground=self.ground,
            destroy_by=self.destroy_by,
        )


_TABLE = SQLModel.metadata.tables["archive"]
COLUMNS: Final = tuple(_TABLE.c.keys())


class Context(NamedTuple):
    """What a box says of itself: its legal ground, and until when at most it is kept (ISO with milliseconds)."""

    org: Did
    subject: SubjectId
    field: Field
    generation: int
    ground: str
    destroy_by: str


_KEY: Final = 32
_NONCE: Final = 12
_LENGTH: Final = 2  # bytes that say how long the envelope is


def seal(public: bytes, values: Sequence[tuple[Archivable, Context]]) -> list[tuple[bytes, str]]:
    """Boxes for these values, all of one customer, generation and destroy-by date; each with its digest
    (digestMultibase).
    """
    key = secrets.token_bytes(_KEY)
    first = values[0][1]
    inside = _shared(first) | {"fields": [context.field for _, context in values]}
    closed = crypto_box_seal(orjson.dumps({"context": inside, "key": base64.b64encode(key).decode("ascii")}), public)
    head = len(closed).to_bytes(_LENGTH, "big") + closed
    cipher, nonces = AESGCM(key), secrets.token_bytes(_NONCE * len(values))
    boxes = []
    for number, (value, context) in enumerate(values):
        nonce = nonces[number * _NONCE : (number + 1) * _NONCE]
        box = head + nonce + cipher.encrypt(nonce, orjson.dumps([value]), _bound(context))
        boxes.append((box, canonical.digest(box)))
    return boxes


def parted(box: bytes) -> tuple[bytes, bytes]:
    """A box in two: its envelope, which others of the customer have too, and what is its own."""
    end = _LENGTH + int.from_bytes(box[:_LENGTH], "big")
    return box[:end], box[end:]


def open_box(private: PrivateKey, box: bytes, expected: Context) -> Archivable:
    """The value of a box. Raises EvidenceError `bad_box` when it was changed, and when its context is another."""
    envelope, own = parted(box)
    try:
        inside = orjson.loads(SealedBox(private).decrypt(envelope[_LENGTH:]))
        context = inside["context"]
        if {**context, "fields": None} != _shared(expected) | {"fields": None} or expected.field not in context[
            "fields"
        ]:
            raise EvidenceError("bad_box", "an archived box belongs elsewhere", field=expected.field)
        cipher = AESGCM(base64.b64decode(inside["key"]))
        (value,) = orjson.loads(cipher.decrypt(own[:_NONCE], own[_NONCE:], _bound(expected)))
    except (CryptoError, InvalidTag, ValueError):
        raise EvidenceError("bad_box", "an archived box does not open", field=expected.field) from None
    known: Archivable = value
    return known


def _shared(context: Context) -> dict[str, Any]:
    """What the fields of one envelope have in common."""
    return {
        "org": context.org,
        "subject": context.subject,
        "generation": context.generation,
        "destroy_by": context.destroy_by,
    }


def _bound(context: Context) -> bytes:
    """What a field's ciphertext is bound to."""
    one = context
    return orjson.dumps(["archive", one.org, one.subject, one.field, one.generation, one.ground, one.destroy_by])


_INSERT = insert(_TABLE)


def store(session: Session, platform: Platform, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add rows by their columns, each with our MAC over everything that it says of its box; the rows as they rest.

    What a restore asks for is not under it.
    """
    key = platform.keyring.secret("archive-row")
    marked = [row | {"mac": _mac(key, row)} for row in rows]
    bulk.execute(session, _INSERT, marked)
    return marked


def authentic(platform: Platform, row: Archived) -> bool:
    """Whether the row is as we wrote it, and its box the one that we sealed."""
    return genuine(platform, {name: getattr(row, name) for name in (*_FACTS, "mac", "box")})


def genuine(platform: Platform, row: Mapping[str, Any]) -> bool:
    """The same of a row's columns."""
    mac = _mac(platform.keyring.secret("archive-row"), row)
    return hmac.compare_digest(row["mac"], mac) and canonical.digest(row["box"]) == row["digest"]


_FACTS = (
    "job", "subject", "field", "period", "ground", "generation", "archive_key", "digest", "destroy_by", "at",
)  # fmt: skip


def _mac(key: bytes, row: Mapping[str, Any]) -> bytes:
    return hashlib.blake2b(orjson.dumps([row[name] for name in _FACTS]), key=key, digest_size=32).digest()


_OF_SUBJECTS = select(*_TABLE.c).where(_TABLE.c.subject.in_(bulk.these())).order_by(_TABLE.c.id)


def columns(session: Session, subjects: Collection[SubjectId]) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of these customers (at most 500) as they rest, oldest first, by customer."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in bulk.rows(session, _OF_SUBJECTS, subjects):
        known = dict(zip(COLUMNS, row, strict=True))
        found.setdefault(known["subject"], []).append(known)
    return found


def of_subject(session: Session, subject: SubjectId) -> list[Archived]:
    """The archived fields of a subject, oldest first."""
    return list(session.exec(select(Archived).where(Archived.subject == subject).order_by(col(Archived.id))))


def returns(catalogue: Catalogue, field: Field, stored: Collection[Field]) -> bool:
    """Whether an archived field may come back at all: a value that was collected anew since then is younger and stays.

    A field of items comes back item by item: what is there stays there.
    """
    entry = catalogue.fields.get(field)
    return field not in stored or getattr(entry, "item", None) is not None


def wanted(session: Session, *, again: bool = True) -> list[SubjectId]:
    """The subjects to whom something is to be restored; `again`: those too for whom it waits, for a key perhaps."""
    statement = select(Archived.subject).where(col(Archived.wanted_by).is_not(None)).distinct()
    if not again:
        statement = statement.where(col(Archived.waiting).is_(None))
    return [SubjectId(subject) for subject in session.exec(statement.order_by(col(Archived.subject)))]

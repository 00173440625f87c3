"""The gated way in: values are sealed before they reach the database, and each tells where it came from."""

from collections.abc import Mapping

from sqlmodel import Session

from crm_core.origin import Origin
from crm_core.seal import Value
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from runtime.platform import Platform

Values = Mapping[Field, Value]


def new_subject() -> SubjectId:
    """A fresh opaque reference: `sub_` and 128 random bits in lower-case base32."""
    raise NotImplementedError


def create(
    session: Session, platform: Platform, catalogue: Catalogue, values: Values, origin: Origin, *, row: int = 0
) -> SubjectId:
    """Make a customer out of values, with origin, event, standing and allowances, in the caller's write transaction.

    Raises EvidenceError `unknown_field`.
    """
    raise NotImplementedError


def put(
    session: Session,
    platform: Platform,
    catalogue: Catalogue,
    subject: SubjectId,
    values: Values,
    origin: Origin,
    *,
    row: int = 0,
) -> frozenset[Field]:
    """Write values of one customer; returns the fields that changed. Equal values write nothing, blanks erase nothing.

    Raises EvidenceError `unknown_subject`, `unknown_field`.
    """
    raise NotImplementedError

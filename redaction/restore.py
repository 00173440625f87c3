"""Restore: sealed fields come back under a new consent, at once where the key is at hand. Shredded ones never."""

from datetime import datetime

from sqlmodel import Session

from crm_core import archiving, records
from issuer import registry
from issuer.catalogue import Catalogue
from protocol import event
from protocol.consent import GroundId, SubjectId
from protocol.errors import EvidenceError
from redaction import archive, crash, disposition, lapse, looking
from redaction.archive import Archived
from redaction.disposition import RESTORED
from runtime import outbox
from runtime.keyring import KeyGone
from runtime.platform import Platform


def restore(platform: Platform, catalogue: Catalogue, subject: SubjectId) -> int:
    """Bring back what the subject's living consents ask for; how many fields came.

    Without its key a field stays archived and says that it waits (`key_gone`); so does one whose box is not what its
    row says (`bad_box`). One whose consent ended meanwhile is no longer asked for.
    """
    crash.point("restore.before")
    with platform.database.write("keeper") as session:
        if disposition.open_job(session, subject) is not None:
            return 0  # its dispositions end first
        at = platform.clock.now()
        grants = looking.proved(platform, catalogue, registry.evidence(session, subject), at)
        consents = [grant for grant in grants if grant.kind == "consent" and grant.not_before <= at]
        came = 0
        for row in archive.of_subject(session, subject):
            if row.wanted_by is None:
                continue
            holder = lapse.holder(row.field_id, consents, at)
            came += _return(session, platform, catalogue, row=row, holder=holder, at=at)
        crash.point("restore.within")
    crash.point("restore.after")
    return came


def _return(
    session: Session, platform: Platform, catalogue: Catalogue, *, row: Archived, holder: GroundId | None, at: datetime
) -> bool:
    stored = records.stored_fields(session, platform, SubjectId(row.subject))
    if holder is None or not archive.returns(catalogue, row.field_id, stored):
        row.wanted_by = row.wanted_at = row.waiting = None
        session.add(row)
        return False
    try:
        if not archive.authentic(platform, row):
            return _wait(session, row, "bad_row")
        private = platform.keyring.archive.private(row.archive_key)
        value = archive.open_box(private, row.box, row.context(platform.controller))
    except KeyGone:
        return _wait(session, row, "key_gone")
    except EvidenceError as error:
        return _wait(session, row, error.code)
    subject = SubjectId(row.subject)
    record = archiving.give_back(session, platform, subject, row.field_id, value)
    disposition.mark(session, row.job, row.field_id, RESTORED)
    data = {"field": row.field, "ground": holder, "digest": row.digest, "generation": record.generation}
    key = f"{event.VALUE_RESTORED}:{row.job}:{row.field}"
    outbox.emit(session, event.VALUE_RESTORED, at=at, records=[(subject, data | {"job": row.job})], key=key)
    session.delete(row)
    return True


def _wait(session: Session, row: Archived, code: str) -> bool:
    if row.waiting != code:
        row.waiting = code
        session.add(row)
    return False

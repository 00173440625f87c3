"""Jobs that dropped a data key and never came to a certificate, made anew from the journal.

Whoever makes such a job vanish from the database would spare the bucket key that an older copy opens with; and a
restore of an older database would cost the customer the certificate.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

from sqlmodel import col, delete, select

from crm_core.records import RecordRow
from issuer.credentials import Credential
from protocol.consent import SubjectId
from redaction import disposition
from redaction.disposition import DONE, Disposition, Job
from runtime.platform import Platform

LOG: Final = logging.getLogger(__name__)


def revive(platform: Platform) -> int:
    """Put back the jobs of which the journal knows and that have neither a certificate nor a true row; how many.

    Raises JournalError.
    """
    wanted = missing(platform)
    if not wanted:
        return 0
    told = {str(one.body["job"]): one.body for one in platform.journal.entries() if one.body.get("job") in wanted}
    return sum(_revived(platform, told[id_]) for id_ in sorted(wanted) if "told" in told[id_])


def missing(platform: Platform) -> frozenset[str]:
    """The jobs that `revive` would look at. Raises JournalError."""
    platform.journal.refresh()
    dropped = platform.journal.every_dropped()
    with platform.database.read() as session:
        certified = select(Credential.id).where(Credential.kind == "certificate")
        left = dropped.keys() - set(session.exec(certified))
        open_ = set(session.exec(select(Job.id).where(Job.step != DONE)))
        return frozenset(
            id_
            for id_ in left
            if id_ not in open_
            or not disposition.sworn(session.get_one(Job, id_), disposition.of_job(session, id_), dropped[id_])
        )


def _revived(platform: Platform, told: Mapping[str, Any]) -> bool:
    """One job as the journal has it, from where its survivors are journalled; False while another one is under way."""
    subject, id_ = SubjectId(str(told["subject"])), str(told["job"])
    with platform.database.write() as session:
        under_way = disposition.open_job(session, subject)
        record = session.get(RecordRow, subject)
        if record is None or (under_way is not None and under_way.id != id_):
            return False
        if record.generation <= int(told["generation"]):
            return False  # it did not come to that: what is lapsed is planned and carried out
        session.exec(delete(Disposition).where(col(Disposition.job) == id_))
        session.exec(delete(Job).where(col(Job.id) == id_))
        session.expire_all()
        disposition.put_back(session, told)
    LOG.warning("a job that had vanished is there again")
    return True

"""What every change of a standing needs: the platform, the catalogue, and the two verbs that composition hands in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from issuer import credentials
from issuer.catalogue import Catalogue
from issuer.credentials import EVERYONE
from protocol.consent import SubjectId
from protocol.times import iso_ms
from runtime.journal_given import ANSWER
from runtime.platform import Platform


@dataclass(frozen=True, slots=True)
class Desk:
    """`compile(session, subject)` shares the transaction; `drain()` follows the commit. Both are handed in."""

    platform: Platform
    catalogue: Catalogue
    compile: Callable[[Session, SubjectId], None]
    drain: Callable[[], None]

    def moved(self, session: Session, subject: SubjectId) -> int:
        """The subject's grounds grew: raise the standing version, compile the allowances; the new version."""
        version = self.raised(session, subject)
        self.compile(session, subject)
        return version

    def note(self, subject: SubjectId, version: int, evidence: Mapping[str, Any], *, at: datetime) -> None:
        """Keep an answer that takes nothing away in the journal too, for whoever rolls a restored database forward.

        Call it last. It ends nothing and moves no floor: if the commit then fails, nothing was given.
        """
        entry = {"kind": ANSWER, "subject": subject, "version": version, "evidence": dict(evidence), "at": iso_ms(at)}
        self.platform.journal.append(entry)

    def raised(self, session: Session, subject: SubjectId) -> int:
        """Raise the standing version for a narrowing, whose allowances `journal` compiles; the new version."""
        credentials.mend_version(session, subject, self.platform.journal.floor(subject))
        credentials.raise_versions(session, [subject])
        return credentials.version(session, subject)

    def journal(
        self,
        session: Session,
        subject: str,
        version: int,
        ended: Sequence[str],
        evidence: Mapping[str, Any],
        *,
        at: datetime,
        closed: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Make a narrowing durable outside the database, then compile. Call it last: only the commit may follow.

        The allowances are compiled after it, for they are bound to the subject's last entry in the journal: one
        compiled before it never counts again, whatever version somebody gave it.

        If the commit then fails, the journal knows an end that the database does not: gates deny, and the retry
        with the same bytes brings the database up to it. The other way round a restore could revive what was withdrawn.

        `closed` are lines of asks that ended with it (`issuer.closing`).
        """
        if closed:  # first: what is compiled must not wait for an answer to one of them
            self.platform.journal.append_all(closed)
        self.platform.journal.append(narrowing(subject, version, ended, evidence, at=at))
        if subject != EVERYONE:  # a ground for many: `grounds.finish` compiles them
            self.compile(session, SubjectId(subject))

    def journal_all(self, session: Session, lines: Sequence[Mapping[str, Any]]) -> None:
        """The same for several subjects' narrowings, and lines of asks, in one transaction, with one fsync.

        Until the commit none of them can be read: let them be few, the compiling takes its time.
        """
        self.platform.journal.append_all(lines)
        for subject in dict.fromkeys(one["subject"] for one in lines):
            self.compile(session, SubjectId(subject))


def narrowing(
    subject: str, version: int, ended: Sequence[str], evidence: Mapping[str, Any], *, at: datetime
) -> dict[str, Any]:
    """The journal's entry for what a subject's standing lost."""
    return {
        "kind": "narrowing",
        "subject": subject,
        "version": version,
        "ended": list(ended),
        "evidence": dict(evidence),
        "at": iso_ms(at),
    }

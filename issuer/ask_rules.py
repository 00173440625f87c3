"""When an ask may not be answered any more, and when a customer may not be asked again yet."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from issuer import transfers
from issuer.catalogue import Catalogue, PurposeEntry
from issuer.transfers import Home
from protocol import times
from protocol.consent import Ask, Process
from protocol.errors import EvidenceError
from runtime.platform import Platform
from runtime.problem import Problem


def outdated(ask: Ask, platform: Platform, catalogue: Catalogue) -> bool:
    """Has the catalogue changed what this ask is about since it was made, so that it must be made anew?

    A purpose that is gone or stands alone now, a field that is not needed or was ended, a recipient that may not be
    served, or a notice with a newer version.
    """
    catalogue = catalogue.current()
    try:
        entries = [catalogue.purpose(process.purpose) for process in ask.processes]
        if ask.replaces is None and _notice_digest(ask, catalogue) != ask.notice.digest:
            return True
    except EvidenceError:
        return True
    if len(entries) > 1 and any(entry.separate_consent for entry in entries):
        return True
    kept = unended(ask.processes, ask.issued, catalogue)
    return tuple(kept) != ask.processes or any(
        _beyond(process, entry, platform, catalogue) for process, entry in zip(ask.processes, entries, strict=True)
    )


def unended(processes: Iterable[Process], made: datetime, catalogue: Catalogue) -> list[Process]:
    """The processes of a ground that was made then, without the fields that a version of the catalogue ended since."""
    over = {(one.purpose, one.field) for one in catalogue.current().endings if made < one.at}
    found = []
    for process in processes:
        fields = frozenset(field for field in process.fields if (process.purpose, field) not in over)
        if fields:
            found.append(process if fields == process.fields else replace(process, fields=fields))
    return found


def leave_in_peace(entries: Sequence[PurposeEntry], asked: Sequence[Ask], at: datetime) -> None:
    """Refuse to ask a customer again before the time that the catalogue names for the purpose.

    `asked`: what they were asked before, whatever came of it. Problem 429 `asked_too_often` with Retry-After.
    """
    for entry in entries:
        if entry.ask_again_after is None:
            continue
        before = [one.issued for one in asked if any(process.purpose == entry.iri for process in one.processes)]
        again = max(before, default=None)
        if again is not None and at < again + times.duration(entry.ask_again_after):
            until = again + times.duration(entry.ask_again_after)
            raise Problem(
                429,
                "asked_too_often",
                f"This customer was asked for {entry.key} already; ask again from {times.iso(until)}.",
                field="processes",
                headers={"Retry-After": str(math.ceil((until - at).total_seconds()))},
            )


def _beyond(process: Process, entry: PurposeEntry, platform: Platform, catalogue: Catalogue) -> bool:
    home, at = Home(platform.controller, platform.settings.home_jurisdiction), platform.clock.now()
    return not process.fields <= frozenset(entry.necessity) or any(
        transfers.missing(catalogue, entry, recipient, place, home=home, at=at) is not None
        for recipient in process.recipients
        for place in process.jurisdictions
    )


def _notice_digest(ask: Ask, catalogue: Catalogue) -> str:
    """The digest of the newest notice for the purposes of the ask, in its language and order."""
    purposes = ask.notice.id.rsplit("/", 2)[-2].split("+")
    return catalogue.joint_notice(purposes, ask.notice.language).digest

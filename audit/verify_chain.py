"""From the bundle's files to its events: manifest, checkpoint, each record's way to the root, the chain."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from audit import chain, statement
from audit.event_file import Event, EventFile, Head, is_event
from audit.report import IncompleteError
from audit.statement import Claim
from protocol import note, times
from protocol.errors import EvidenceError

FIXED = frozenset({"manifest.json", "statement.dsse.json", "checkpoint", "controller.json", "chain.json", "README.txt"})


@dataclass(frozen=True, slots=True)
class Story:
    """The verified events: `own` of the subject in the order of their chain, `organisation` in that of the log."""

    claim: Claim
    own: tuple[Event, ...]
    organisation: tuple[Event, ...]

    @property
    def in_order(self) -> tuple[Event, ...]:
        """All events in the order in which they were logged."""
        return tuple(sorted((*self.organisation, *self.own), key=lambda event: (event.index, event.sequence)))


def check_manifest(files: Mapping[str, bytes]) -> None:
    """Every file is in the manifest with its SHA-256, and none else.

    Raises EvidenceError: `missing_file`, `unexpected_file`, `bad_manifest`, `digest_mismatch`.
    """
    missing = sorted(FIXED - files.keys())
    if missing:
        raise EvidenceError("missing_file", f"the bundle has no {missing[0]}")
    stray = [name for name in files if not (name in FIXED or is_event(name) or name.startswith("credentials/"))]
    if stray:
        raise EvidenceError("unexpected_file", "the bundle has a file that belongs to no bundle")
    listed = statement.canonical_json(files["manifest.json"], "bad_manifest").get("files")
    told = files.keys() - {"manifest.json", "statement.dsse.json"}
    if not isinstance(listed, dict) or listed.keys() != told:
        raise EvidenceError("bad_manifest", "the manifest lists other files than the bundle has")
    for name in told:
        if listed[name] != hashlib.sha256(files[name]).hexdigest():
            raise EvidenceError("digest_mismatch", f"{name} is not the file that the manifest lists")


def check_checkpoint(files: Mapping[str, bytes], claim: Claim, log_key: str) -> None:
    """The head is signed with the log's key and the one that the statement names.

    Raises EvidenceError: `bad_note`, `bad_checkpoint`, `checkpoint_mismatch`.
    """
    head = note.parse_checkpoint(note.open_note(files["checkpoint"], log_key))
    if (head.origin, head.size, head.root) != (claim.origin, claim.size, claim.root):
        raise EvidenceError("checkpoint_mismatch", "the statement is about another checkpoint")
    if head.origin != log_key.partition("+")[0]:
        raise EvidenceError("checkpoint_mismatch", "the checkpoint is of another log than its key")


def read_events(files: Mapping[str, bytes], claim: Claim) -> Story:
    """Follow every record to the root. Raises EvidenceError as `EventFile`, and `bad_event`, `foreign_event`."""
    own: list[Event] = []
    organisation: list[Event] = []
    head = Head(claim.size, claim.root)
    for name in sorted(filter(is_event, files)):
        file = EventFile.read(files[name])
        event = file.verify(head)
        if file.name() != name:
            raise EvidenceError("bad_event", f"{name} holds another record")
        if event.subject is None:
            organisation.append(event)
        elif event.subject == claim.subject:
            own.append(event)
        else:
            raise EvidenceError("foreign_event", f"{name} is about another subject")
    own.sort(key=lambda event: event.sequence)
    return Story(claim, tuple(own), tuple(sorted(organisation, key=lambda event: event.index)))


def check_chain(files: Mapping[str, bytes], story: Story) -> None:
    """The subject's chain from its first record to its head, without a gap, and every event in its place of it.

    Raises EvidenceError: `bad_chain`, `chain_gap`; IncompleteError("body_missing") when a bundle for all fields lacks
    a record.
    """
    claim = story.claim
    listed = statement.canonical_json(files["chain.json"], "bad_chain").get("commitments")
    try:
        commitments = [statement.raw(text, 32) for text in listed or ()]
    except (TypeError, ValueError):
        raise EvidenceError("bad_chain", "the chain is not a list of commitments") from None
    links = [link for _, link in chain.links(commitments)]
    if len(links) != claim.length or not links or links[-1] != claim.head:
        raise EvidenceError("chain_gap", "the chain does not reach the head that the statement names")
    before = -1
    for event in story.own:
        if not claim.scope.shows(event.type, times.iso_ms(event.at), event.header, event.data):
            raise EvidenceError("bad_chain", f"record {event.sequence} is a read outside of the bundle's scope")
        if event.sequence >= len(links) or links[event.sequence] != event.link:
            raise EvidenceError("bad_chain", f"record {event.sequence} is not in its place of the chain")
        if event.index < before:
            raise EvidenceError("bad_chain", f"record {event.sequence} was logged before its predecessor")
        before = event.index
    if not story.own or story.own[-1].sequence != len(links) - 1:
        # The last record is the export itself: it ties the chain's head to the log.
        raise EvidenceError("chain_gap", "the last record of the chain is not in the bundle")
    if claim.field is None and not claim.scope.narrow and len(story.own) != len(links):
        raise IncompleteError("body_missing", f"{len(links) - len(story.own)} records are there as commitments only")
    if lost := statement.canonical_json(files["manifest.json"], "bad_manifest").get("lost"):
        raise IncompleteError("body_missing", f"{len(lost)} records that may concern the field were lost")

"""What touchpoints bring is taken in, held, or refused: upload by upload, each of them whole or not at all.

The second check: a living ground of that customer covers each field for this purpose, to be collected, here, now. It
is made from the signed evidence inside the write transaction that stores the values. A withdrawal takes the same write
lock and is in the journal before it commits, so after its acknowledgement nothing is stored under that consent.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

from sqlmodel import Session

from crm_core import origin
from crm_core.gateway import held, lot, remembered, touchpoints
from crm_core.gateway import upload as uploads
from crm_core.gateway.collecting import Collecting, Ruling
from crm_core.gateway.lot import Lot
from crm_core.gateway.remembered import Memory
from crm_core.gateway.upload import Declared, Upload
from crm_core.gateway.uploader import ACTION, Uploader
from issuer import credentials
from issuer.registry import Registry
from protocol import canonical
from protocol import did as dids
from protocol.consent import Field, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.event import ATTEMPT_REFUSED
from runtime import outbox
from runtime.problem import Problem
from verifier import allowance

CHUNK: Final = 25  # uploads in one write transaction: some 100 ms, so that withdrawals need not wait for long
TRANSIENT: Final = frozenset({"standing_moving", "held_full"})
STATUSES: Final[Mapping[str, int]] = {
    "unknown_subject": 404,
    "unknown_purpose": 404,
    "idempotency_conflict": 409,
    "held_full": 429,
    "standing_moving": 503,
    "no_ground": 403,
    "withdrawn": 403,
    "expired": 403,
    "not_for_collection": 403,
    "purpose_not_granted": 403,
    "recipient_not_granted": 403,
    "jurisdiction": 403,
    "role": 403,
    "consent_not_embedded": 403,
    "foreign_ask": 403,
    "challenge_used": 403,
    "bad_signature": 403,
    "touchpoint_ended": 403,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one upload. `status`: 200 stored, 202 held, else refused and nothing of it kept.

    `refused` gives a code per field, `code` one for the whole upload; `subject` is who the values are about now.
    """

    id: str | None
    status: int
    stored: tuple[Field, ...] = ()
    held: tuple[Field, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    subject: SubjectId | None = None
    event: str | None = None

    def told(self) -> dict[str, Any]:
        """As JSON: names and codes."""
        shown: dict[str, Any] = {
            "id": self.id,
            "status": self.status,
            "stored": list(self.stored),
            "refused": dict(self.refused),
            "event": self.event,
        }
        more = {"held": list(self.held) or None, "code": self.code, "subject": self.subject}
        return shown | {name: value for name, value in more.items() if value is not None}


class Intake:
    """Takes in what one platform's touchpoints bring."""

    def __init__(self, registry: Registry) -> None:
        """`registry` takes consents that come along with an upload."""
        self._registry = registry
        self._platform = registry.platform
        self._memory = Memory(self._platform)

    def take(self, uploader: Uploader, nodes: Sequence[Any], *, key: str | None = None) -> list[Result]:
        """Take uploads in their order; `key` is the request's own idempotency key, where it has one.

        Problem 409 `idempotency_conflict` when the key was used for another request. Raises ClockError, JournalError.
        """
        if key is not None:
            self._remember_request(uploader, nodes, key)
        results: list[Result] = []
        remaining = iter(nodes)
        while chunk := list(islice(remaining, CHUNK)):
            read = [self._read(uploader, node) for node in chunk]
            results += self._write(uploader, read)
        return results

    def _remember_request(self, uploader: Uploader, nodes: Sequence[Any], key: str) -> None:
        name, body = self._memory.key(uploader.key, "request", key), self._memory.body(canonical.jcs(list(nodes)))
        with self._platform.database.write() as session:
            known = self._memory.find(session, name, body)
            if isinstance(known, remembered.Conflict):
                raise Problem(409, "idempotency_conflict", "This key was used for another request.")
            if known is None:
                self._memory.keep(session, name, body, {}, self._platform.clock.now())

    def _read(self, uploader: Uploader, node: Any) -> Upload | Result:
        """An upload whose consent, where it brings one along, the registry has."""
        id_ = None
        try:
            id_ = uploads.identify(node)
            upload = uploads.read(node, self._platform.clock.now())
            return self._with_consent(uploader, upload)
        except (EvidenceError, Problem) as error:
            status = error.status if isinstance(error, Problem) else STATUSES.get(error.code, 422)
            return Result(id=id_, status=status, code=error.code)

    def _with_consent(self, uploader: Uploader, upload: Upload) -> Upload:
        browser = uploader.delegation is not None
        if upload.consent is None:
            if browser and upload.subject is not None:
                # a page may be anybody's: what it says of a known customer needs that customer's own signature
                raise EvidenceError("consent_not_embedded", "the consent itself has to come along", field="ground")
            return upload
        document = canonical.parse(upload.consent)
        wallet = Did(str(document.get("issuer")))
        dids.public_of(wallet)  # a wallet is a did:key; anything else must not reach the record
        with self._platform.database.read() as session:
            known = credentials.by_digest(session, canonical.digest(upload.consent))
        if known is None or known.kind != "consent":
            self._registry.consent(upload.consent, wallet)
        if upload.subject is not None and browser and upload.subject != wallet:
            raise EvidenceError("foreign_ask", "this consent is another customer's", field="ground")
        return replace(upload, ground=str(document.get("id")), subject=upload.subject or wallet)

    def _write(self, uploader: Uploader, read: Sequence[Upload | Result]) -> list[Result]:
        """One chunk in one transaction: decided, stored, told and remembered together."""
        with self._platform.database.write("keeper") as session:
            at = self._platform.clock.now()
            # an end of the touchpoint holds the same write lock: after it nothing more of it comes in
            here = touchpoints.by_id(session, self._platform, uploader.registration.id, at) is not None
            wanted = [one for one in read if isinstance(one, Upload)]
            catalogue = self._registry.catalogue.current()  # one version for the whole chunk
            bench = Collecting(session, self._platform, catalogue, uploader, at)
            bench.prepare([one.subject for one in wanted])
            passing = _Passing(self._memory, session, uploader, bench)
            results = [one if isinstance(one, Result) else passing.one(one) if here else _ended(one) for one in read]
            passing.close()
        return results


class _Passing:
    """One chunk on its way through the write transaction."""

    def __init__(self, memory: Memory, session: Session, uploader: Uploader, bench: Collecting) -> None:
        self._memory, self._session, self._uploader, self._bench = memory, session, uploader, bench
        self._platform, self._catalogue, self._at = bench.platform, bench.catalogue, bench.at
        self._refusals: list[tuple[SubjectId | None, dict[str, Any]]] = []
        self._created: list[SubjectId] = []

    def one(self, upload: Upload) -> Result:
        """Take, hold or refuse one upload, or give the answer that it got before."""
        key = self._memory.key(self._uploader.key, "upload", upload.id)
        body = self._memory.body(upload.body)
        known = self._memory.find(self._session, key, body)
        if isinstance(known, remembered.Conflict):
            return Result(id=upload.id, status=409, code="idempotency_conflict")
        if known is not None:
            return _again(upload, known)
        result = self._decided(upload)
        if result.code not in TRANSIENT:
            self._memory.keep(self._session, key, body, result.told(), self._at)
        return result

    def close(self) -> None:
        """Compile the new customers' allowances, and put what was refused on record, in one event."""
        if self._created:
            allowance.compile_many(self._session, self._platform, self._catalogue, self._created)
        if self._refusals:
            outbox.emit(self._session, ATTEMPT_REFUSED, at=self._at, records=self._refusals)

    def _decided(self, upload: Upload) -> Result:
        subject = None
        try:
            subject = self._bench.subject(upload)
            declared = uploads.declared(self._catalogue, self._uploader, upload)
            ruling = None if declared.refused else self._bench.rule(upload, declared)
            result = self._carried_out(upload, subject, declared, ruling)
        except EvidenceError as error:  # of a write: raised before anything was written
            result = Result(id=upload.id, status=STATUSES.get(error.code, 422), code=error.code)
        if result.status >= 400:
            known = subject if subject is not None and self._bench.known(subject) else None
            self._refusals.append((known, _refusal(result, self._uploader)))
        return result

    def _carried_out(
        self, upload: Upload, subject: SubjectId | None, declared: Declared, ruling: Ruling | None
    ) -> Result:
        if ruling is None:
            return self._refused(upload, declared.refused)
        here = Lot(
            upload=upload.id,
            subject=subject,
            purpose=declared.purpose,
            values=declared.values,
            digest=origin.digest(self._platform, upload.body),
            collected_at=upload.collected_at,
        )
        fields = tuple(sorted(declared.values))
        if not ruling.refused:
            whose, event = lot.store(
                self._session, self._platform, self._catalogue, lot=here,
                registration=self._uploader.registration, grounds=ruling.grounds, at=self._at,
            )  # fmt: skip
            self._created += [whose] if subject is None else []
            return Result(id=upload.id, status=200, stored=fields, subject=whose, event=event)
        if not ruling.may_be_held:
            return self._refused(upload, ruling.refused)
        waits = held.hold(self._session, self._platform, here, self._uploader.registration.id, self._at)
        if waits is None:
            return Result(id=upload.id, status=STATUSES["held_full"], code="held_full")
        return Result(id=upload.id, status=202, held=fields, subject=subject, event=waits)

    def _refused(self, upload: Upload, codes: Mapping[str, str] | Mapping[Field, str]) -> Result:
        refused: dict[str, str] = {str(name): code for name, code in codes.items()}
        first = next(iter(refused.values()))
        code = first if len(set(refused.values())) == 1 else "fields_refused"
        status = max((STATUSES.get(one, 422) for one in refused.values()), default=422)
        return Result(id=upload.id, status=status, refused=refused, code=code)


def overall(results: Collection[Result]) -> int:
    """The status of a whole answer: 200 all stored, 202 all held, 422 nothing kept, 207 anything between."""
    kinds = {one.status for one in results}
    if kinds <= {200}:
        return 200
    if kinds == {202}:
        return 202
    return 207 if kinds & {200, 202} else 422


def _ended(upload: Upload) -> Result:
    return Result(id=upload.id, status=403, code="touchpoint_ended")


def _again(upload: Upload, known: Mapping[str, Any]) -> Result:
    return Result(
        id=upload.id,
        status=known["status"],
        stored=tuple(known["stored"]),
        held=tuple(known.get("held", ())),
        refused=known["refused"],
        code=known.get("code"),
        subject=known.get("subject"),
        event=known["event"],
    )


def _refusal(result: Result, uploader: Uploader) -> dict[str, Any]:
    """What is on record of a refusal: only names that the catalogue has, never what somebody typed."""
    fields = sorted(name for name in result.refused if "[" not in name)
    data: dict[str, Any] = {"action": ACTION, "code": result.code or "refused", "did": uploader.key}
    return data | {"touchpoint": uploader.registration.id} | ({"fields": fields} if fields else {})

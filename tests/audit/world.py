"""A small organisation whose events are told by hand: real keys, real credentials, a real database and a real log."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session

from audit import bundle, container, drain, statement
from audit.log import Log
from protocol import answers, canonical, certificate, consent, enrolment, ground, presentation, proof
from protocol.consent import Ask, Consent, Field, NoticeRef, Process, Purpose, StatusRef, SubjectId
from protocol.credential import verify as verify_credential
from protocol.keys import Ed25519Signer
from runtime import outbox
from runtime.clock import FixedClock
from runtime.platform import Platform
from runtime.settings import Settings

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
SUBJECT = SubjectId("sub_aaaaaaaaaaaaaaaaaaaaaaaaaa")
OTHER = SubjectId("sub_bbbbbbbbbbbbbbbbbbbbbbbbbb")
MARKETING = Purpose("https://w3id.org/dpv#DirectMarketing")
EMAIL, CITY = Field("contact.email"), Field("address.city")
READER = "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"


def settings(home: Path) -> Settings:
    return Settings(home=home, mail_dir=home / "mail")


class World:
    """One platform, one wallet; each verb emits the event that the real packages emit and moves the clock."""

    def __init__(self, home: Path, *, seed: int = 0) -> None:
        self.clock = FixedClock(START)
        self.platform = Platform.create(settings(home), self.clock)
        self.log = Log(self.platform)
        self.wallet = Ed25519Signer(bytes([seed + 1]) * 32)
        self.dpo = Ed25519Signer(bytes([seed + 2]) * 32)
        self.approver = Ed25519Signer(bytes([seed + 3]) * 32)
        self.papers: list[tuple[str, bytes]] = []
        self.version = 1
        self.count = 0
        self.exported = b""
        self.log.introduce()

    # -- what others hand in ------------------------------------------------------------------------------------------

    def credentials(self, _session: Session, _subject: SubjectId) -> Iterable[tuple[str, bytes]]:
        return list(self.papers)

    # -- the outbox ---------------------------------------------------------------------------------------------------

    def emit(
        self, kind: str, data: dict[str, Any], *, header: dict[str, Any] | None = None, subject: Any = SUBJECT
    ) -> str:
        self.clock.advance(timedelta(seconds=1))
        with self.platform.database.write("owner") as session:
            return outbox.emit(session, kind, at=self.clock.now(), header=header or {}, records=[(subject, data)])

    def page(self, kind: str, records: list[tuple[SubjectId | None, dict[str, Any]]], **header: Any) -> str:
        self.clock.advance(timedelta(seconds=1))
        with self.platform.database.write("owner") as session:
            return outbox.emit(session, kind, at=self.clock.now(), header=header, records=records)

    def drain(self) -> int:
        return drain.drain_all(self.log)

    # -- papers -------------------------------------------------------------------------------------------------------

    def sign(self, kind: str, document: dict[str, Any], *signers: Ed25519Signer, **bound: str) -> bytes:
        for signer in signers:
            document = proof.sign(document, signer, created=self.clock.now(), **bound)  # type: ignore[arg-type]
        body = canonical.jcs(document)
        self.papers.append((kind, body))
        return body

    def told(self, body: bytes, **more: Any) -> dict[str, Any]:
        return {"credential": canonical.parse(body)["id"], "digest": canonical.digest(body), **more}

    def enrol(self, wallet: Ed25519Signer | None = None, subject: SubjectId = SUBJECT) -> bytes:
        wallet = wallet or self.wallet
        shown = presentation.present([], wallet, challenge="c1", domain="localhost", created=self.clock.now())
        document = enrolment.build_enrolment(
            self.platform.controller,
            subject,
            wallet.did,
            canonical.digest(canonical.jcs(shown)),
            shown,
            id=self.fresh(),
            at=self.clock.now(),
        )
        body = self.sign("enrolment", document, self.platform.signer)
        self.emit("enrolment.completed", self.told(body, version=self.version))
        return body

    def process(self, fields: Iterable[str], **changed: Any) -> Process:
        members: dict[str, Any] = {
            "purpose": MARKETING,
            "fields": frozenset(map(Field, fields)),
            "recipients": frozenset({self.platform.controller}),
            "jurisdictions": frozenset({"CN"}),
            "duration": "P180D",
            "locations": frozenset({"CN"}),
        }
        return Process(**members | changed)

    def ask(self, fields: Iterable[str], *, replaces: str | None = None) -> Ask:
        now = self.clock.now()
        document = consent.build_ask(
            id=self.fresh(),
            controller=self.platform.controller,
            subject_did=self.wallet.did,
            processes=[self.process(fields)],
            notice=NoticeRef("http://localhost:8700/issuer/notices/marketing/1", canonical.digest(b"notice"), "en"),
            latest_until=now + timedelta(days=180),
            issued=now,
            expires=now + timedelta(days=7),
            challenge=f"challenge-{self.count}",
            domain="localhost",
            status=StatusRef("http://localhost:8700/issuer/status/1", self.count),
            replaces=replaces,
        )
        body = self.sign("ask", document, self.platform.signer)
        self.emit("ask.made", self.told(body, fields=sorted(fields)))
        return consent.parse_ask(self.verified(body, "ConsentRequestCredential"))

    def verified(self, body: bytes, kind: str) -> Any:
        return verify_credential(body, self.platform.keys, at=self.clock.now(), expected_type=kind)

    def answer(self, ask: Ask, fields: Iterable[str], *, signer: Ed25519Signer | None = None, **changed: Any) -> bytes:
        now = self.clock.now()
        document = consent.build_consent(
            ask,
            processes=[self.process(fields, **changed)],
            valid_from=now,
            valid_until=now + timedelta(days=90),
            id=self.fresh(),
        )
        return self.sign("consent", document, signer or self.wallet, challenge=ask.challenge, domain=ask.domain)

    def consent(self, fields: Iterable[str], *, asked: Iterable[str] | None = None) -> Consent:
        body = self.answer(self.ask(asked or fields), fields)
        self.version += 1
        self.emit("consent.given", self.told(body, fields=sorted(fields), version=self.version))
        return consent.parse_consent(self.verified(body, "ConsentCredential"))

    def narrow(self, old: Consent, fields: Iterable[str]) -> Consent:
        kept = sorted(fields)
        ask = self.ask(kept, replaces=old.id)
        body = self.answer(ask, kept)
        gone = self.withdrawal(old)
        self.version += 1
        told = {"replaces": old.id, "withdrawal": canonical.parse(gone)["id"], "version": self.version}
        self.emit("consent.narrowed", self.told(body, fields=kept, **told))
        self.shut(old.id)
        return consent.parse_consent(self.verified(body, "ConsentCredential"))

    def withdrawal(self, given: Consent) -> bytes:
        document = answers.build_withdrawal(
            given.id,
            given.digest,
            self.wallet.did,
            self.platform.controller,
            id=self.fresh(),
            at=self.clock.now(),
        )
        return self.sign("withdrawal", document, self.wallet)

    def withdraw(self, given: Consent, *, shut: bool = True) -> None:
        body = self.withdrawal(given)
        fields = sorted({str(one) for process in given.processes for one in process.fields})
        self.version += 1
        told = self.told(body, withdrawal=canonical.parse(body)["id"], fields=fields, version=self.version)
        self.emit("consent.withdrawn", told | {"credential": given.id})
        if shut:
            self.shut(given.id)

    def shut(self, ended: str) -> None:
        self.emit("consent.shut", {"credential": ended, "how": "withdrawn", "version": self.version})

    def ground(self, fields: Iterable[str], *, approvers: int = 2, **changed: Any) -> str:
        now = self.clock.now()
        document = ground.build_ground(
            id=self.fresh(),
            key="contract",
            controller=self.platform.controller,
            declared_by=self.dpo.did,
            basis="dpv:Contract",
            citation="PIPL 13(2)",
            evidence="the order form",
            processes=[self.process(fields)],
            valid_from=now,
            valid_until=now + timedelta(days=365),
            **changed,
        )
        body = self.sign("ground", document, *[self.dpo, self.approver][:approvers], self.platform.signer)
        told = self.told(body)
        self.emit("ground.approved", {"ground": told["credential"], "digest": told["digest"]}, subject=None)
        return str(told["credential"])

    def collect(self, *fields: str) -> None:
        self.emit("value.collected", {"fields": list(fields), "source": "export.csv", "row": 1})

    def release(self, grounds: dict[str, list[str]], *, version: int | None = None, **header: Any) -> str:
        """Fields → the grounds that released them."""
        data = {
            "released": sorted(grounds),
            "withheld": {"contact.phone": "no_ground"},
            "version": version or self.version,
            "grounds": {
                one: sorted(field for field, used in grounds.items() if one in used)
                for one in sorted({one for used in grounds.values() for one in used})
            },
        }
        return self.emit("release", data, header=self.header(**header))

    def header(self, **changed: Any) -> dict[str, Any]:
        return {
            "reader": READER,
            "role": "marketing",
            "purpose": MARKETING,
            "recipient": self.platform.controller,
            "processing": "dpv:Use",
            "jurisdiction": "CN",
            "query": {},
        } | changed

    def dispose(self, **actions: str) -> str:
        """`contact__email="seal"`; then the certificate."""
        fields = {name.replace("__", "."): action for name, action in actions.items()}
        job = self.fresh()
        past = {"seal": "value.sealed", "shred": "value.shredded", "keep": "value.kept"}
        for name, action in fields.items():
            self.emit(past[action], {"field": name, "job": job})
        document = certificate.build_certificate(
            id=job,
            controller=self.platform.controller,
            subject_did=self.wallet.did,
            items=[certificate.Disposition(field=Field(name), disposition=one) for name, one in fields.items()],
            cause="urn:uuid:00000000-0000-4000-8000-000000000000",
            at=self.clock.now(),
        )
        body = self.sign("certificate", document, self.platform.signer)
        self.emit(
            "certificate.issued", {"certificate": job, "digest": canonical.digest(body), "fields": sorted(fields)}
        )
        return job

    def fresh(self) -> str:
        self.count += 1
        return f"urn:uuid:00000000-0000-4000-8000-{self.count:012d}"

    def journey(self) -> Consent:
        """Collected, enrolled, consented, read, withdrawn, disposed of, consented again and restored."""
        self.collect("contact.email", "address.city")
        self.enrol()
        given = self.consent(["contact.email", "address.city"])
        self.release({"contact.email": [given.id], "address.city": [given.id]})
        self.release({"address.city": [given.id]})
        self.withdraw(given)
        self.dispose(contact__email="seal", address__city="shred")
        again = self.consent(["contact.email"])
        self.emit("value.restored", {"field": "contact.email", "ground": again.id, "generation": 2})
        self.release({"contact.email": [again.id]})
        return again

    def export(self, field: str | None = None) -> bytes:
        name = None if field is None else Field(field)
        return bundle.export(
            self.log, self.credentials, subject=SUBJECT, field=name, by="did:key:zAuditor", role="auditor"
        )


def resealed(world: World, files: dict[str, bytes]) -> bytes:
    """A bundle of changed files with a fitting manifest and a fitting statement: what the log's own key could forge."""
    import hashlib

    told = {name: content for name, content in files.items() if name not in ("manifest.json", "statement.dsse.json")}
    claim = statement.verify(files["statement.dsse.json"], files["manifest.json"], world.log.vkey)
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in told.items()}
    manifest = canonical.jcs({"v": 1, "subject": claim.subject, "field": claim.field, "files": listed})
    envelope = statement.sign(claim, manifest, world.log.vkey, world.log.signer)
    return container.pack(told | {"manifest.json": manifest, "statement.dsse.json": envelope})


def flips(data: bytes, places: Iterable[int]) -> Iterator[bytes]:
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        yield bytes(changed)

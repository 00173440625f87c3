"""Somebody who may write anything into the database, but has neither key-ring nor journal."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from audit import bundle, verify
from audit.log import Log
from crm_core.reading.channels import channels
from fieldgrant import compose
from fieldgrant.demo import residue
from issuer import enrolment
from protocol import canonical, consent, credential, proof
from protocol.consent import Ask, Process
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer
from redaction import certificate
from runtime import staff
from tests.attacks.house import CITY, CODE, EMAIL, LINK, PASSWORD, PHONE, House, Person, letter, served
from tests.engine import mapping
from verifier import allowance, reconcile
from verifier import gate as gates
from wallet.errors import WalletError

TABLES = ("allowance", "standing", "credential", "settling", "challenge", "ground_subject", "status_entry", "record")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gates, "PATIENCE", 0.1)  # how long a rolled back standing may be a change in progress
        with served(tmp_path_factory.mktemp("house"), customers=40) as made:
            yield made


@pytest.fixture
def person(house: House) -> Person:
    return house.newcomer()


def rows(house: House, table: str, person: Person) -> list[tuple[Any, ...]]:
    column = "subject" if table != "challenge" else "about"
    if table in ("challenge", "status_entry"):
        return house.sql(f"SELECT * FROM {table}")  # noqa: S608 - ours
    return house.sql(f"SELECT * FROM {table} WHERE {column} = ?", person.subject)  # noqa: S608 - ours


def signed_consent(house: House, person: Person, ask: Ask, **wide: Any) -> dict[str, Any]:
    """A consent as the wallet's key signs it, whatever its app would say to it."""
    processes = [
        Process(
            purpose=one.purpose, fields=wide.get("fields", one.fields), recipients=one.recipients,
            jurisdictions=one.jurisdictions, duration=one.duration, locations=one.locations,
        )
        for one in ask.processes
    ]  # fmt: skip
    at = house.platform.clock.now()
    unsigned = consent.build_consent(
        ask, processes=processes, valid_from=at, valid_until=wide.get("until", ask.latest_until), id=consent.fresh_id()
    )
    signer = person.app.holding().signer
    return proof.sign(unsigned, signer, created=at, challenge=ask.challenge, domain=ask.domain)


def plant(house: House, person: Person, document: dict[str, Any], kind: str = "consent", **columns: Any) -> None:
    """Write a signed statement into the registry's table, past the registry."""
    body = canonical.jcs(document)
    row = {
        "id": document["id"], "kind": kind, "subject": person.subject, "did": document["issuer"], "body": body,
        "digest": canonical.digest(body), "at": "2026-11-22T09:00:00.000Z", **columns,
    }  # fmt: skip
    names = ", ".join(row)
    house.sql(f"INSERT INTO credential ({names}) VALUES ({', '.join('?' * len(row))})", *row.values())  # noqa: S608


def codes(house: House, person: Person) -> set[str]:
    """What is on record about evidence that proves nothing."""
    return {str(data["code"]) for data in house.told(person, "attempt.refused")}


def released_to_mailer(house: House, person: Person) -> set[str]:
    held = channels(house.platform, house.own.gate)(person.subject)
    return {name for name, value in (("email", held.email), ("phone", held.phone)) if value}


def test_control_what_the_attacker_starts_from_is_really_released(house: House, person: Person) -> None:
    given = house.give(person)
    assert set(house.shown(person)) == {EMAIL, CITY}
    house.compiled(person)
    assert set(house.shown(person)) == {EMAIL, CITY}
    person.app.withdraw(given)
    assert house.shown(person) == {}
    assert house.quarantined(person) == []


# -- consents that the registry never took


def test_a_signed_consent_wider_than_its_ask_is_believed_by_nobody(house: House, person: Person) -> None:
    ask = person.app.ask(house.ask(person, [CITY])).ask
    plant(house, person, signed_consent(house, person, ask, fields=frozenset({CITY, EMAIL, PHONE})))
    house.compiled(person)
    assert house.shown(person) == {}
    assert codes(house, person) == {"consent_wider_than_ask"}


def test_a_consent_to_an_ask_that_was_never_made_is_believed_by_nobody(house: House, person: Person) -> None:
    ask = person.app.ask(house.ask(person, [CITY])).ask
    forged = consent.build_ask(
        id=consent.fresh_id(), controller=ask.controller, subject_did=ask.subject_did, processes=ask.processes,
        notice=ask.notice, latest_until=ask.latest_until, issued=ask.issued, expires=ask.expires,
        challenge="challenge", domain=ask.domain, status=ask.status,
    )  # fmt: skip
    document = proof.sign(forged, person.app.holding().signer, created=ask.issued)
    body = canonical.jcs(document)
    plant(house, person, document, "ask")
    shaped = json.loads(canonical.jcs(signed_consent(house, person, ask)))
    del shaped["proof"]
    shaped["credentialSubject"]["hasConsent"]["ask"] = {"id": document["id"], "digestMultibase": canonical.digest(body)}
    at = house.platform.clock.now()
    plant(house, person, proof.sign(shaped, person.app.holding().signer, created=at))
    house.compiled(person)
    assert house.shown(person) == {}
    assert codes(house, person) & {"wrong_issuer", "foreign_ask"}


def test_a_second_answer_to_an_ask_revives_nothing(house: House, person: Person) -> None:
    """The wallet signed twice, the registry took the smaller answer; it was withdrawn, and its rows are gone."""
    ask = person.app.ask(house.ask(person)).ask
    all_of_it = signed_consent(house, person, ask)
    person.app.consent(ask.id, [CITY])
    plant(house, person, all_of_it)
    house.compiled(person)
    assert EMAIL not in house.shown(person)
    person.app.withdraw(person.app.holding().consents[-1].id)
    house.sql("DELETE FROM credential WHERE subject = ? AND kind = 'withdrawal'", person.subject)
    house.compiled(person)
    assert house.shown(person) == {}
    house.sql("DELETE FROM credential WHERE ask_id = ?", ask.id)
    house.compiled(person)
    assert house.shown(person) == {}
    assert codes(house, person) >= {"challenge_used", "evidence_missing"}


def test_a_narrowing_that_never_arrived_revives_nothing_after_the_withdrawal(house: House, person: Person) -> None:
    given = house.give(person)
    url = person.app.holding().at("FieldgrantIssuer", "/issuer/wallet/narrowings/offers")
    reply = person.app._client.call("POST", url, person.app.holding().signer, body={"consent": given})
    verified = credential.verify(
        canonical.jcs(reply["ask"]), house.platform.keys, at=house.platform.clock.now(), expected_type=consent.ASK_TYPE
    )
    smaller = signed_consent(house, person, consent.parse_ask(verified), fields=frozenset({EMAIL}))
    person.app.withdraw(given)
    plant(house, person, smaller)
    house.compiled(person)
    assert house.shown(person) == {}
    assert "challenge_used" in codes(house, person)


# -- what was taken away


@pytest.mark.parametrize("table", ["allowance", "credential", "record", "all"])
def test_no_old_row_of_any_table_brings_a_withdrawn_field_back(house: House, person: Person, table: str) -> None:
    given = house.give(person)
    assert EMAIL in house.shown(person)
    tables = TABLES if table == "all" else (table,)
    before = {name: rows(house, name, person) for name in tables}
    person.app.withdraw(given)
    for name, old in before.items():
        if name in ("allowance", "credential"):
            house.sql(f"DELETE FROM {name} WHERE subject = ?", person.subject)  # noqa: S608 - what came since goes, too
        house.put_back(name, old)
    assert house.shown(person) == {}
    house.sql("DELETE FROM quarantine")
    house.compiled(person)
    assert house.shown(person) == {}


def test_a_withdrawn_consent_that_is_deleted_lets_no_ground_of_law_in(house: House, person: Person) -> None:
    """A ground declared after the withdrawal may not revive the field; without the row nobody would know."""
    given = house.give(person, [CITY], purpose="service")
    person.app.withdraw(given)
    house.ground("service", CITY, subjects=frozenset({person.subject}))
    assert CITY not in house.shown(person, "sina", "service")
    house.sql("DELETE FROM credential WHERE id = ? OR about = ?", given, given)
    house.compiled(person)
    assert house.shown(person, "sina", "service") == {}
    assert "evidence_missing" in codes(house, person)
    # and what was deleted comes back from the journal
    reconcile.reconcile(house.platform, house.own.catalogue)
    house.compiled(person)
    assert house.reasons(person, "sina", "service")[CITY] == "withdrawn"
    assert house.shown(person, "sina", "administration")


def test_an_allowance_of_a_higher_version_does_not_outlive_the_withdrawal(house: House, person: Person) -> None:
    """Versions can be written: raise the standing, have it compiled, keep the row, and put both back later."""
    given = house.give(person, [CITY], purpose="service")
    house.ground("service", CITY, subjects=frozenset({person.subject}))
    ((version,),) = house.sql("SELECT version FROM standing WHERE subject = ?", person.subject)
    house.sql("UPDATE standing SET version = 1000 WHERE subject = ?", person.subject)
    house.compiled(person)
    assert CITY in house.shown(person, "sina", "service")
    kept = rows(house, "allowance", person)
    house.sql("UPDATE standing SET version = ? WHERE subject = ?", version, person.subject)
    person.app.withdraw(given)
    house.put_back("allowance", kept)
    assert house.shown(person, "sina", "service") == {}
    assert house.quarantined(person) == ["bad_mac"]


def test_the_mailers_ground_stays_shut_when_the_enrolment_is_deleted_or_ended(house: House, person: Person) -> None:
    assert released_to_mailer(house, person) == set()
    kept = house.sql("SELECT * FROM credential WHERE subject = ? AND kind = 'enrolment'", person.subject)
    house.sql("UPDATE credential SET ended_at = 'x', ended_kind = 'revoked' WHERE id = ?", kept[0][0])
    house.compiled(person)
    assert released_to_mailer(house, person) == set()
    house.sql("DELETE FROM credential WHERE id = ?", kept[0][0])
    house.compiled(person)
    assert released_to_mailer(house, person) == set()
    assert "evidence_missing" in codes(house, person)


def test_control_the_mailers_ground_is_open_before_and_after(house: House) -> None:
    newcomer = house.people.pop()
    assert released_to_mailer(house, newcomer) == {"email", "phone"}
    house.enrol(newcomer)
    assert released_to_mailer(house, newcomer) == set()
    enrolment.end(house.own.registry, newcomer.subject, house.staff("dora"))
    assert released_to_mailer(house, newcomer) == {"email", "phone"}


# -- rows of one customer in the place of another's


def test_nothing_moves_between_customers(house: House, person: Person) -> None:
    other = house.newcomer()
    house.give(person)
    house.compiled(other)
    ((cells, wrapped),) = house.sql("SELECT cells, wrapped FROM record WHERE subject = ?", other.subject)
    mine = house.sql("SELECT cells, wrapped, generation FROM record WHERE subject = ?", person.subject)[0]
    house.sql("UPDATE record SET cells = ? WHERE subject = ?", cells, person.subject)
    assert house.shown(person) == {}
    house.sql("UPDATE record SET wrapped = ? WHERE subject = ?", wrapped, person.subject)
    assert house.shown(person) == {}
    house.sql("UPDATE record SET cells = ?, wrapped = ?, generation = ? WHERE subject = ?", *mine, person.subject)
    assert set(house.shown(person)) == {EMAIL, CITY}
    house.put_back("allowance", [(other.subject, *row[1:]) for row in rows(house, "allowance", person)])
    assert house.shown(other) == {}
    assert house.quarantined(other) == ["bad_mac"]


def test_consents_and_enrolments_do_not_move_either(house: House, person: Person) -> None:
    other = house.newcomer()
    house.give(person)
    house.sql("UPDATE credential SET subject = ? WHERE subject = ?", other.subject, person.subject)
    house.compiled(other)
    house.compiled(person)
    assert house.shown(other) == {}
    assert house.shown(person) == {}


def test_an_invitation_turned_to_another_customer_enrols_nobody(house: House) -> None:
    """Somebody with a record of their own has themselves invited, and turns the invitation before they answer."""
    thief, victim = house.people.pop(), house.people.pop()
    assert house.post("sina", "/issuer/invitations", {"subject": thief.subject}).status_code == 201
    thief.wallet = house.wallet()
    begun = thief.wallet.begin(letter(house.settings.mail_dir, thief.email, LINK))
    code = letter(house.settings.mail_dir, thief.phone, CODE)
    house.sql("UPDATE invitation SET subject = ? WHERE subject = ?", victim.subject, thief.subject)
    with pytest.raises(WalletError, match="code"):
        thief.wallet.complete(begun, code)
    assert house.sql("SELECT id FROM credential WHERE subject = ? AND kind = 'enrolment'", victim.subject) == []
    house.sql("UPDATE invitation SET subject = ? WHERE subject = ?", thief.subject, victim.subject)
    thief.wallet.complete(begun, code)
    thief.wallet.close()


def test_a_wallet_that_was_written_in_is_asked_nothing_and_heard_by_nobody(house: House, person: Person) -> None:
    """The attacker's own wallet in the enrolment's columns: the registry takes no answer of it, nor does the gate."""
    other = house.newcomer()
    ask = house.ask(other)
    turned = "UPDATE credential SET did = ? WHERE subject = ? AND kind = 'enrolment'"
    house.sql(turned, "did:key:zNobody", other.subject)
    house.sql(turned, other.app.holding().signer.did, person.subject)
    with pytest.raises(WalletError) as refused:
        other.app.consent(ask, [EMAIL, CITY])
    assert refused.value.code == "not_enrolled"
    asked = {"subject": person.subject, "processes": [{"purpose": "marketing", "fields": [EMAIL]}]}
    assert house.post("mei", "/issuer/asks", asked).json()["code"] == "not_enrolled"
    assert house.shown(person) == {}
    assert house.shown(other) == {}


# -- grounds of law, staff


def test_a_ground_that_was_written_in_is_not_approved_by_an_honest_officer(house: House, person: Person) -> None:
    stranger = Ed25519Signer.generate()
    (template,) = house.sql("SELECT body FROM credential WHERE kind = 'ground' LIMIT 1")
    document = json.loads(template[0])
    del document["proof"]
    document["id"], document["issuer"] = consent.fresh_id(), stranger.did
    claim = document["credentialSubject"]["declaresGround"]
    claim["hasProcess"][0]["hasPersonalData"] = [EMAIL, PHONE]
    at = house.platform.clock.now()
    plant(house, person, proof.sign(document, stranger, created=at), "ground-draft", valid_until="2027-01-01T00:00:00Z")
    house.sql("INSERT INTO ground_subject VALUES (?, ?)", document["id"], person.subject)
    answer = house.post("dan", f"/issuer/grounds/{document['id']}/approval", {})
    assert answer.json()["code"] == "foreign_ground"
    house.compiled(person)
    assert EMAIL not in house.shown(person, "sina", "administration")
    house.sql("UPDATE credential SET kind = 'ground' WHERE id = ?", document["id"])
    house.compiled(person)
    assert EMAIL not in house.shown(person, "sina", "administration")
    house.sql("DELETE FROM credential WHERE id = ?", document["id"])


def test_nobody_makes_themselves_an_officer(house: House) -> None:
    ours = house.sql("SELECT * FROM staff WHERE account = 'mei'")
    for column, value in (("role", "dpo"), ("ended_at", None), ("did", "did:key:zOther"), ("name", "Dora")):
        house.sql(f"UPDATE staff SET {column} = ? WHERE account = 'mei'", value)  # noqa: S608 - ours
        status = house.get("mei", "/staff/me").status_code
        assert status == (200 if column == "ended_at" else 401), column
        house.put_back("staff", ours)
    dora = house.sql("SELECT password_hash FROM staff WHERE account = 'dora'")[0][0]
    house.sql("UPDATE staff SET password_hash = ? WHERE account = 'dora'", ours[0][4])
    body = {"account": "dora", "password": PASSWORD}
    assert house.post("mei", "/staff/sessions", body).json()["code"] == "bad_sign_in"
    house.sql("UPDATE staff SET password_hash = ? WHERE account = 'dora'", dora)
    house.sql("UPDATE staff_session SET account = 'dora' WHERE account = 'mei'")
    assert house.get("mei", "/staff/me").status_code == 401
    del house.tokens["mei"]
    house.tokens["mei"] = staff.sign_in(house.platform, "mei", PASSWORD, house.platform.clock.now()).token


# -- the record of what happened, and the end of values


HIDING = {
    "sqlite": (
        [
            "CREATE TRIGGER hide AFTER INSERT ON outbox WHEN new.type = 'release' "
            "BEGIN DELETE FROM outbox WHERE id = new.id; END"
        ],
        "DROP TRIGGER hide",
    ),
    "postgresql": (
        [
            "CREATE FUNCTION hide() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
            "'BEGIN DELETE FROM outbox WHERE id = new.id; RETURN new; END'",
            "CREATE TRIGGER hide AFTER INSERT ON outbox FOR EACH ROW WHEN (new.type = 'release') "
            "EXECUTE FUNCTION hide()",
        ],
        "DROP FUNCTION hide CASCADE",
    ),
}


def test_a_trigger_cannot_make_a_release_vanish(house: House, person: Person) -> None:
    house.give(person)
    plant, remove = HIDING["postgresql" if mapping.on() else "sqlite"]
    for statement in plant:
        house.sql(statement)
    try:
        answer = house.get("mei", f"/crm/customers/{person.subject}", purpose="marketing")
        assert answer.status_code == 503, answer.text
        assert answer.json()["code"] == "not_recorded"
    finally:
        house.sql(remove)
    assert EMAIL in house.shown(person)


def test_no_certificate_is_signed_for_a_shred_that_never_was(house: House, person: Person) -> None:
    job = consent.fresh_id()
    at = "2026-11-22T09:00:00.000Z"
    house.sql(
        "INSERT INTO redaction_job (id, subject, version, round, step, cause, cause_id, ended_at, planned_at, bucket, "
        "generation, epoch, attempts, fates, kept, sealed, shredded, planned) "
        "VALUES (?, ?, 1, 9, 'dropped', 'withdrawn', 'urn:x', ?, ?, 0, 1, 0, 0, ?, 0, 0, 1, 0)",
        job, person.subject, at, at, f'{{"{EMAIL}": {{"action": "shred", "state": "done", "causes": "[]"}}}}',
    )  # fmt: skip
    with pytest.raises(EvidenceError, match="not_dropped"):
        certificate.certify(house.platform, [job])
    assert house.sql("SELECT id FROM credential WHERE id = ?", job) == []
    house.sql("DELETE FROM redaction_job WHERE id = ?", job)


def test_control_a_real_shred_is_certified(house: House, person: Person) -> None:
    given = house.give(person)
    person.app.withdraw(given)
    until = time.monotonic() + 20
    while not person.app.certificates() and time.monotonic() < until:
        time.sleep(0.1)
    (made,) = person.app.certificates()
    assert {item.field: item.disposition for item in made.items} == {EMAIL: "seal", CITY: "shred"}


def test_a_cleared_quarantine_and_a_compile_give_only_what_the_evidence_proves(house: House, person: Person) -> None:
    given = house.give(person)
    person.app.narrow(given, [CITY])
    house.sql("UPDATE allowance SET mask = ? WHERE subject = ?", b"\xff" * 16, person.subject)
    assert house.shown(person) == {}
    assert house.quarantined(person) == ["bad_mac"]
    house.sql("DELETE FROM quarantine")
    assert allowance.compile_due(house.platform, house.own.catalogue) == 0
    house.compiled(person)
    assert set(house.shown(person)) == {CITY}


def audited(house: House, person: Person) -> str:
    """What comes of an auditor's export: valid, or what is wrong."""
    log = Log(house.platform)
    try:
        made = bundle.export(
            log, compose.credentials, subject=person.subject, field=None, by=house.platform.controller, role="auditor"
        )
    except EvidenceError as error:
        return error.code
    report = verify.verify(made, log.vkey)
    return "valid" if report.status == 0 else "invalid"


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("outbox", "UPDATE outbox SET records = replace(records, 'contact.given_name', 'contact.phone') WHERE id = ?"),
        ("outbox", "UPDATE outbox SET header = replace(header, 'service', 'dpo') WHERE id = ?"),
        ("outbox", "UPDATE outbox SET at = '2026-11-01T00:00:00.000Z' WHERE id = ?"),
        ("outbox", f"UPDATE outbox SET salts = x'{bytes(32).hex()}' WHERE id = ?"),  # noqa: S608
        ("outbox", "DELETE FROM outbox WHERE id = ?"),
        ("log_entry", "UPDATE log_entry SET leaf = x'7b7d' WHERE outbox_id = ?"),
        ("log_entry", "DELETE FROM log_entry WHERE outbox_id = ?"),
    ],
)
def test_a_release_in_the_log_that_is_changed_is_seen_by_the_auditor(house: House, table: str, change: str) -> None:
    person = house.people[0]  # a release under the contract's ground
    assert house.shown(person, "sina", "administration")
    ((id_,),) = house.sql("SELECT max(id) FROM outbox WHERE type = 'release' AND records LIKE ?", f"%{person.subject}%")
    until = time.monotonic() + 20
    while not house.sql("SELECT 1 FROM log_entry WHERE outbox_id = ?", id_) and time.monotonic() < until:
        time.sleep(0.05)
    assert audited(house, person) == "valid"
    column = "id" if table == "outbox" else "outbox_id"
    before = house.sql(f"SELECT * FROM {table} WHERE {column} = ?", id_)  # noqa: S608 - ours
    house.sql(change, id_)
    try:
        if house.sql(f"SELECT * FROM {table} WHERE {column} = ?", id_) == before:  # noqa: S608 - ours
            pytest.fail("nothing was changed")
        assert audited(house, person) != "valid"
    finally:
        house.put_back(table, before)
    assert audited(house, person) == "valid"


# -- somebody with a copy of all data, and no keys


def digests(value: str) -> Iterator[tuple[str, bytes]]:
    """What a list of addresses could be compared with: plain hashes, however they are written."""
    for text in {value, value.lower(), json.dumps(value)}:
        for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s", "sha3_256"):
            raw = hashlib.new(name, text.encode()).digest()
            for size in {len(raw), 16, 20, 32}:
                yield f"{name}/{size}", raw[:size]
                yield f"{name}/{size} hex", raw[:size].hex().encode()
                yield f"{name}/{size} base64", base64.b64encode(raw[:size])[:-3]


def test_a_copy_of_the_data_holds_neither_a_value_nor_a_plain_digest_of_one(house: House, person: Person) -> None:
    house.give(person)
    assert house.shown(person)[EMAIL] == person.email
    house.get("mei", "/crm/customers", purpose="marketing", filter=f"{EMAIL}:eq:{person.email}")
    house.get("mei", "/crm/customers", purpose="marketing", filter=f"{EMAIL}:no:{person.email}")
    directory = house.settings.data_dir
    assert residue.search(directory, [person.email, person.phone]) == []
    content = [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
    assert sum(map(len, content)) > 100_000
    found = [
        name
        for value in (person.email, person.phone)
        for name, form in digests(value)
        if any(form in one for one in content)
    ]
    assert found == []
    control = [hashlib.sha256(person.email.encode()).digest()]
    assert [name for name, form in digests(person.email) if any(form in one for one in control)]

"""What a wallet answers: taken whole or not at all, and the same bytes always get the same receipt."""

from datetime import timedelta
from typing import Any

import pytest

from issuer import registry as registry_module
from protocol import canonical, credential, receipt, status
from protocol.receipt import RECEIPT_TYPE
from tests.issuer.world import CITY, EMAIL, GIVEN, Crash, Wallet, World


def _receipt(world: World, document: dict) -> receipt.Receipt:  # type: ignore[type-arg]
    verified = credential.verify(
        canonical.jcs(document), world.platform.keys, at=world.now, expected_type=RECEIPT_TYPE,
        expected_issuer=world.platform.controller,
    )  # fmt: skip
    return receipt.parse_receipt(verified)


def _bit(world: World, wallet: Wallet, document: dict) -> bool:  # type: ignore[type-arg]
    held = wallet.read_consent(document)
    answer = world.http.get(held.status.list_url.removeprefix(world.settings.base_url))
    listed = credential.verify(
        answer.content, world.platform.keys, at=world.now, expected_type=status.LIST_TYPE,
        expected_issuer=world.platform.controller,
    )  # fmt: skip
    return status.check(listed, held.status)


def test_a_consent_is_taken_with_version_allowance_event_and_receipt(world: World, wallet: Wallet) -> None:
    before, compiled = world.version(wallet.subject), len(world.compiled)
    document = wallet.consent(world.asked(wallet), (EMAIL, CITY))
    answer = wallet.call("POST", "/issuer/wallet/consents", {"consent": document})
    assert answer.status_code == 201, answer.text
    read = _receipt(world, answer.json()["receipt"])
    assert (read.event, read.standing, read.shut_at) == ("given", "living", None)
    assert read.consent is not None
    assert read.consent.digest == canonical.digest(canonical.jcs(document))
    assert world.version(wallet.subject) == before + 1
    assert len(world.compiled) == compiled + 1
    (given,) = world.events("consent.given")
    entry = list(world.platform.journal.entries())[-1].body
    assert (entry["kind"], entry["subject"], entry["version"]) == ("answer", wallet.subject, before + 1)
    assert entry["evidence"]["consent"] == document
    assert world.platform.journal.floor(wallet.subject) <= before  # nothing was taken away
    assert given.records[0][0] == wallet.subject
    assert given.records[0][1]["fields"] == [CITY, EMAIL]
    assert not _bit(world, wallet, document)
    assert wallet.call("GET", "/issuer/wallet/asks").json()["items"] == []


def test_the_same_consent_again_gets_the_same_receipt_and_changes_nothing(world: World, wallet: Wallet) -> None:
    document = wallet.consent(world.asked(wallet))
    body = canonical.jcs(document)
    first = world.registry.consent(body, wallet.signer.did)
    before = world.state()
    assert world.registry.consent(body, wallet.signer.did) == first
    assert world.state() == before


def test_a_withdrawal_is_journaled_drained_shut_and_only_then_receipted(world: World, wallet: Wallet) -> None:
    document = wallet.give(world.asked(wallet))
    drains = world.drains
    answer = wallet.call("POST", "/issuer/wallet/withdrawals", {"withdrawal": wallet.withdrawal(document)})
    assert answer.status_code == 201, answer.text
    read = _receipt(world, answer.json()["receipt"])
    assert (read.event, read.standing) == ("withdrawn", "withdrawn")
    assert read.shut_at is not None
    assert world.drains == drains + 1
    assert world.platform.journal.ended(document["id"])
    assert world.platform.journal.floor(wallet.subject) == world.version(wallet.subject)
    assert [one.type for one in world.events()][-2:] == ["consent.withdrawn", "consent.shut"]
    assert _bit(world, wallet, document)
    entry = list(world.platform.journal.entries())[-1].body
    assert entry["evidence"]["withdrawal"]["type"] == ["VerifiableCredential", "ConsentWithdrawalCredential"]


def test_the_same_withdrawal_again_gets_the_same_receipt(world: World, wallet: Wallet) -> None:
    body = canonical.jcs(wallet.withdrawal(wallet.give(world.asked(wallet))))
    first = world.registry.withdraw(body, wallet.signer.did)
    before = world.state()
    assert world.registry.withdraw(body, wallet.signer.did) == first
    assert world.state() == before


def test_a_refusal_closes_the_ask_and_is_receipted(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    document = wallet.refusal(ask)
    answer = wallet.call("POST", "/issuer/wallet/refusals", {"refusal": document})
    assert answer.status_code == 201, answer.text
    read = _receipt(world, answer.json()["receipt"])
    assert read.event == "refused"
    assert read.ask is not None
    assert read.ask.digest == ask.digest
    entry = list(world.platform.journal.entries())[-1].body
    assert entry["kind"] == "answer"
    assert entry["evidence"]["refusal"] == document
    again = world.registry.refuse(canonical.jcs(document), wallet.signer.did)
    assert again == answer.json()["receipt"]
    assert len(world.events("consent.refused")) == 1


def _narrowing(world: World, wallet: Wallet, document: dict, fields: tuple[str, ...]) -> tuple[bytes, bytes]:  # type: ignore[type-arg]
    answer = wallet.call("POST", "/issuer/wallet/narrowings/offers", {"consent": document["id"]})
    assert answer.status_code == 201, answer.text
    ask = wallet.read_ask(answer.json()["ask"])
    return canonical.jcs(wallet.withdrawal(document)), canonical.jcs(wallet.consent(ask, fields))


def test_a_narrowing_is_one_change_with_one_drain(world: World, wallet: Wallet) -> None:
    document = wallet.give(world.asked(wallet))
    withdrawal, smaller = _narrowing(world, wallet, document, (CITY,))
    version, drains = world.version(wallet.subject), world.drains
    read = _receipt(world, world.registry.narrow(withdrawal, smaller, wallet.signer.did))
    assert (read.event, read.standing) == ("narrowed", "living")
    assert read.supersedes is not None
    assert read.supersedes.id == document["id"]
    assert read.shut_at is not None
    assert world.version(wallet.subject) == version + 1
    assert world.drains == drains + 1
    assert _bit(world, wallet, document)
    standings = [one["standing"] for one in wallet.call("GET", "/issuer/wallet/consents").json()["items"]]
    assert sorted(standings) == ["living", "superseded"]
    entry = list(world.platform.journal.entries())[-1].body
    assert entry["ended"] == [document["id"]]
    assert set(entry["evidence"]) == {"given", "withdrawal", "consent", "ask"}


def test_the_same_narrowing_again_gets_the_same_receipt_also_by_its_parts(world: World, wallet: Wallet) -> None:
    document = wallet.give(world.asked(wallet))
    withdrawal, smaller = _narrowing(world, wallet, document, (CITY,))
    first = world.registry.narrow(withdrawal, smaller, wallet.signer.did)
    before = world.state()
    assert world.registry.narrow(withdrawal, smaller, wallet.signer.did) == first
    assert world.registry.withdraw(withdrawal, wallet.signer.did) == first
    assert world.registry.consent(smaller, wallet.signer.did) == first
    assert world.state() == before


def test_an_offer_to_narrow_is_given_again_while_it_is_open(world: World, wallet: Wallet) -> None:
    document = wallet.give(world.asked(wallet))
    first = world.registry.offer_narrowing(document["id"], wallet.signer.did)
    assert world.registry.offer_narrowing(document["id"], wallet.signer.did) == first
    world.registry.withdraw(canonical.jcs(wallet.withdrawal(document)), wallet.signer.did)
    assert wallet.call("GET", "/issuer/wallet/asks").json()["items"] == []


@pytest.mark.parametrize("place", ["compile", "journal", "commit", "drain", "receipt"])
def test_a_withdrawal_cut_off_anywhere_is_completed_by_its_retry(
    world: World, wallet: Wallet, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    document = wallet.give(world.asked(wallet))
    body = canonical.jcs(wallet.withdrawal(document))
    with monkeypatch.context() as patch:
        _crash_at(world, patch, place)
        with pytest.raises(Crash):
            world.registry.withdraw(body, wallet.signer.did)
    world.crash_in.clear()
    if place in ("commit", "drain", "receipt"):
        assert world.platform.journal.ended(document["id"])
    read = _receipt(world, world.registry.withdraw(body, wallet.signer.did))
    assert read.event == "withdrawn"
    assert len(world.events("consent.withdrawn")) == 1
    assert len(world.events("consent.shut")) == 1
    assert len([row for row in world.rows("receipt") if b"dpv:ConsentWithdrawn" in row.body]) == 1
    assert world.platform.journal.floor(wallet.subject) == world.version(wallet.subject)


@pytest.mark.parametrize("place", ["compile", "journal", "commit", "drain", "receipt"])
def test_a_narrowing_cut_off_anywhere_is_completed_by_its_retry(
    world: World, wallet: Wallet, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    document = wallet.give(world.asked(wallet))
    withdrawal, smaller = _narrowing(world, wallet, document, (CITY, GIVEN))
    with monkeypatch.context() as patch:
        _crash_at(world, patch, place)
        with pytest.raises(Crash):
            world.registry.narrow(withdrawal, smaller, wallet.signer.did)
    world.crash_in.clear()
    living = [row.id for row in world.rows("consent") if row.ended_at is None]
    assert len(living) == 1, "at no instant do both or neither stand"
    assert _receipt(world, world.registry.narrow(withdrawal, smaller, wallet.signer.did)).event == "narrowed"
    assert len(world.events("consent.narrowed")) == 1
    assert len(world.events("consent.shut")) == 1


def _crash_at(world: World, patch: pytest.MonkeyPatch, place: str) -> None:
    def crash(*_args: object, **_kwargs: object) -> None:
        raise Crash

    if place in ("compile", "drain"):
        world.crash_in.add(place)
    elif place == "journal":
        patch.setattr(type(world.platform.journal), "append", crash)
    elif place == "commit":
        append = type(world.platform.journal).append

        def append_then_die(self: object, entry: dict) -> int:  # type: ignore[type-arg]
            append(self, entry)  # type: ignore[arg-type]
            raise Crash

        patch.setattr(type(world.platform.journal), "append", append_then_die)
    else:
        patch.setattr("issuer.receipts.issue", crash)


def test_without_the_settling_row_a_crash_would_leave_the_gate_open_for_ever(world: World, wallet: Wallet) -> None:
    """The control: the worker finds only what was noted with the change."""
    from issuer import worker
    from issuer.settling import Settling

    document = wallet.give(world.asked(wallet))
    world.crash_in.add("drain")
    with pytest.raises(Crash):
        world.registry.withdraw(canonical.jcs(wallet.withdrawal(document)), wallet.signer.did)
    world.crash_in.clear()
    with world.platform.database.write("owner") as session:
        row = session.get_one(Settling, world.rows("withdrawal")[0].id)
        kept = row.model_dump()
        session.delete(row)
    worker.run_once(world.registry)
    assert world.events("consent.shut") == []
    with world.platform.database.write("owner") as session:
        session.add(Settling(**kept))
    worker.run_once(world.registry)
    assert len(world.events("consent.shut")) == 1


def test_expiry_is_marked_once_journaled_and_shut(world: World, wallet: Wallet) -> None:
    from issuer import worker

    document = wallet.give(world.asked(wallet), until=world.now + timedelta(days=2))
    version = world.version(wallet.subject)
    worker.run_once(world.registry)
    assert world.events("consent.expired") == []
    world.clock.advance(timedelta(days=2))
    worker.run_once(world.registry)
    worker.run_once(world.registry)
    assert len(world.events("consent.expired")) == 1
    assert len(world.events("consent.shut")) == 1
    assert world.version(wallet.subject) == version + 1
    assert world.platform.journal.ended(document["id"])
    assert world.rows("consent")[0].ended_kind == "expired"


def test_what_runs_out_together_ends_in_small_changes_each_with_its_lines_in_the_journal_last(
    world: World, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from issuer import registry, worker

    monkeypatch.setattr(registry, "EXPIRY_BATCH", 2)
    wallets = [wallet, *(world.enrolled() for _ in range(4))]
    for one in wallets:
        one.give(world.asked(one), until=world.now + timedelta(days=2))
    world.clock.advance(timedelta(days=2))
    world.compiled.clear()
    told: list[tuple[int, int]] = []
    append = type(world.platform.journal).append_all

    def append_all(self: Any, entries: Any) -> int:
        told.append((len(entries), len(world.compiled)))
        return append(self, entries)

    monkeypatch.setattr(type(world.platform.journal), "append_all", append_all)
    worker.run_once(world.registry)
    assert told == [(2, 0), (2, 2), (1, 4)]  # lines, and who had been compiled before them
    assert sorted(world.compiled) == sorted(one.subject for one in wallets)
    assert {row.ended_kind for row in world.rows("consent")} == {"expired"}
    assert len(world.events("consent.shut")) == 5


def test_the_officer_revokes_without_the_wallet(world: World, wallet: Wallet) -> None:
    document = wallet.give(world.asked(wallet))
    answer = world.post("dpo", f"/issuer/consents/{document['id']}/revocation")
    assert answer.status_code == 200, answer.text
    read = _receipt(world, answer.json()["receipt"])
    assert (read.event, read.standing) == ("revoked", "revoked")
    assert read.shut_at is not None
    assert world.platform.journal.ended(document["id"])
    (revocation,) = world.rows("revocation")
    assert world.staff("dpo").did.encode() in revocation.body
    again = world.post("dpo", f"/issuer/consents/{document['id']}/revocation")
    assert again.json() == answer.json()
    for role in ("marketing", "admin"):
        refused = world.post(role, f"/issuer/consents/{document['id']}/revocation")
        assert refused.json()["code"] == "role"
    listed = world.get("auditor", "/issuer/consents", subject=wallet.subject).json()["items"]
    assert [one["standing"] for one in listed] == ["revoked"]
    assert [one["standing"] for one in wallet.call("GET", "/issuer/wallet/receipts").json()["items"]] == ["living"] * 2


def test_after_a_withdrawal_the_customer_may_consent_again(world: World, wallet: Wallet) -> None:
    document = wallet.give(world.asked(wallet))
    world.registry.withdraw(canonical.jcs(wallet.withdrawal(document)), wallet.signer.did)
    again = wallet.give(world.asked(wallet))
    rows = {row.id: row.ended_kind for row in world.rows("consent")}
    assert rows == {document["id"]: "withdrawn", again["id"]: None}


def test_the_evidence_holds_every_signed_statement_on_the_subject(world: World, wallet: Wallet) -> None:
    document = wallet.give(world.asked(wallet))
    world.registry.withdraw(canonical.jcs(wallet.withdrawal(document)), wallet.signer.did)
    other = world.enrolled()
    other.give(world.asked(other))
    with world.platform.database.read() as session:
        found = registry_module.evidence(session, wallet.subject)
        assert list(registry_module.subjects(session)) == sorted([wallet.subject, other.subject])
        assert registry_module.enrolled_subject(session, wallet.signer.did) == wallet.subject
    assert [one.ended_kind for one in found.consents] == ["withdrawn"]
    assert [one.about for one in found.ended] == [document["id"]]
    assert [one.did for one in found.enrolments] == [wallet.did]
    assert found.version == world.version(wallet.subject)
    assert found.grounds == ()

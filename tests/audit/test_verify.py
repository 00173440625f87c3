"""The verifier against bundles that were tampered with, by strangers and by the log's own key."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audit import bundle, container, statement, verify
from audit.report import Outcome, Report
from audit.scope import Scope
from protocol import canonical, consent
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer
from runtime import outbox
from tests.audit.world import CITY, EMAIL, OTHER, SUBJECT, World, flips, resealed


def result(world: World, data: bytes) -> Report:
    return verify.verify(data, world.log.vkey)


def trouble(report: Report) -> list[tuple[str, str | None]]:
    return [(check.name, check.code) for check in report.checks if check.outcome is not Outcome.OK]


def exported(world: World, field: str | None = None) -> list[tuple[str, str | None]]:
    """What the verifier finds wrong with an honest export of what happened."""
    return trouble(result(world, world.export(field)))


@pytest.mark.parametrize("field", [None, "contact.email", "address.city"])
def test_an_honest_bundle_is_valid(world: World, field: str | None) -> None:
    world.journey()
    report = result(world, world.export(field))
    assert trouble(report) == []
    assert report.status == 0


def test_a_bundle_for_one_field_shows_the_other_records_as_commitments_only(world: World) -> None:
    world.journey()
    files = container.unpack(world.export("contact.email"))
    shown = [json.loads(content)["record"] for name, content in files.items() if name.startswith("events/")]
    assert len(json.loads(files["chain.json"])["commitments"]) > len(shown)
    assert not any(set(record["data"].get("released", [])) == {"address.city"} for record in shown)
    assert not any(record["data"].get("field") == "address.city" for record in shown)


def test_the_same_record_of_an_export_gives_the_same_bytes(world: World) -> None:
    world.journey()
    first = world.export()
    with world.platform.database.read() as session:
        (last,) = outbox.pending(session, world.log.head().size - 1, 1)
        again = bundle.write(
            world.log, session, world.credentials, subject=SUBJECT, scope=Scope(), export_id=last.event_id
        )
    assert again == first


def test_an_export_goes_on_record(world: World) -> None:
    world.journey()
    files = container.unpack(world.export("contact.email"))
    last = json.loads(files[max(name for name in files if name.startswith("events/"))])["record"]
    assert (last["type"], last["data"], last["header"]["role"]) == (
        "bundle.exported",
        {"fields": ["contact.email"]},
        "auditor",
    )


def test_nothing_can_be_exported_about_an_unknown_subject(world: World) -> None:
    with pytest.raises(EvidenceError, match="unknown_subject"):
        bundle.export(world.log, world.credentials, subject=OTHER, field=None, by="x", role="auditor")


def test_a_changed_record_in_the_database_is_noticed_at_export(world: World) -> None:
    world.journey()
    world.drain()
    with world.platform.database.write("owner") as session:
        row = session.get_one(outbox.Outbox, 3)
        row.records = row.records.replace(SUBJECT, SUBJECT[:-1] + "b")
        session.add(row)
    with pytest.raises(EvidenceError, match="body_changed"):
        world.export()


# -- bytes ------------------------------------------------------------------------------------------------------------


def test_a_flip_of_any_byte_makes_it_invalid(world: World) -> None:
    world.collect("contact.email")
    data = world.export()
    assert result(world, data).status == 0
    for changed in flips(data, range(len(data))):
        assert result(world, changed).status == 1


def test_a_flip_of_any_byte_of_a_larger_bundle_makes_it_invalid(finished: World) -> None:
    data = finished.exported
    for changed in flips(data, range(3, len(data), 17)):
        assert result(finished, changed).status == 1


def test_a_flip_inside_any_file_is_found_when_the_zip_itself_is_made_good(finished: World) -> None:
    files = container.unpack(finished.exported)
    for name, content in files.items():
        for changed in flips(content, range(0, len(content), max(1, len(content) // 40))):
            assert result(finished, container.pack(files | {name: changed})).status == 1, name


def test_a_flip_is_found_even_where_the_logs_own_key_vouches_for_the_files(finished: World) -> None:
    files = container.unpack(finished.exported)
    for name, content in files.items():
        if name in ("manifest.json", "statement.dsse.json", "README.txt"):
            continue  # the first two are made anew, and the text proves nothing
        for changed in flips(content, range(0, len(content), max(1, len(content) // 25))):
            assert result(finished, resealed(finished, files | {name: changed})).status == 1, (name, changed)


@pytest.mark.parametrize("data", [b"", b"PK", b"\0" * 100, b"PK\x05\x06" + bytes(18), b"{}"])
def test_what_is_no_bundle_is_invalid(finished: World, data: bytes) -> None:
    assert trouble(result(finished, data)) == [("container", "not_canonical")]


def test_a_bundle_under_another_logs_key_is_invalid(finished: World, tmp_path: Path) -> None:
    data = finished.exported
    other = Ed25519Signer.generate()
    from protocol import note

    assert trouble(verify.verify(data, note.vkey(finished.log.origin, other.public))) == [
        ("statement", "wrong_log_key")
    ]
    assert trouble(verify.verify(data, note.vkey("else/audit", finished.log.signer.public))) == [
        ("statement", "wrong_log_key")
    ]
    name, _, key = finished.log.vkey.split("+", 2)
    for bad in ("", "x", finished.log.vkey[:-4], "a+b+c", f"{name}+00000000+{key}", "名+1+2"):
        assert trouble(verify.verify(data, bad)) == [("statement", "bad_vkey")], bad


def test_another_logs_bundle_is_invalid_under_this_key(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other", seed=7)
    other.journey()
    assert result(world, other.export()).status == 1
    assert result(other, other.export()).status == 0
    other.platform.close()


# -- files taken out, put in, swapped ---------------------------------------------------------------------------------


def changed(world: World, change: Callable[[dict[str, bytes]], None]) -> list[tuple[str, str | None]]:
    """What is wrong after a change that the log's own key vouches for."""
    files = container.unpack(world.exported)
    change(files)
    return trouble(result(world, resealed(world, files)))


def test_without_the_logs_key_nothing_can_be_taken_out_or_put_in(finished: World) -> None:
    files = container.unpack(finished.exported)
    for name in files:
        less = {other: content for other, content in files.items() if other != name}
        assert result(finished, container.pack(less)).status == 1
    more = container.pack(files | {"credentials/extra.json": b"{}"})
    assert trouble(result(finished, more)) == [("manifest", "bad_manifest")]
    assert trouble(result(finished, container.pack(files | {"notes.txt": b"{}"}))) == [("manifest", "unexpected_file")]


def test_a_manifest_that_is_not_the_one_signed_is_refused(finished: World) -> None:
    files = container.unpack(finished.exported)
    manifest = json.loads(files["manifest.json"])
    manifest["subject"] = OTHER
    files["manifest.json"] = canonical.jcs(manifest)
    assert trouble(result(finished, container.pack(files))) == [("statement", "manifest_mismatch")]


def test_a_bundle_without_its_first_record_is_incomplete(finished: World) -> None:
    assert changed(finished, lambda files: files.pop("events/00000.json") and None)[0] == ("bodies", "body_missing")


def test_a_chain_cut_at_its_end_is_refused(finished: World) -> None:
    def cut(files: dict[str, bytes]) -> None:
        listed = json.loads(files["chain.json"])["commitments"]
        files["chain.json"] = canonical.jcs({"commitments": listed[:-1]})
        files.pop(f"events/{len(listed) - 1:05d}.json")

    assert changed(finished, cut) == [("chain", "chain_gap")]


def test_a_chain_with_a_record_left_out_is_refused(finished: World) -> None:
    def cut(files: dict[str, bytes]) -> None:
        listed = json.loads(files["chain.json"])["commitments"]
        files["chain.json"] = canonical.jcs({"commitments": listed[:4] + listed[5:]})

    assert changed(finished, cut) == [("chain", "chain_gap")]


def test_a_chain_whose_last_record_is_not_shown_is_refused(finished: World) -> None:
    def hide(files: dict[str, bytes]) -> None:
        files.pop(max(name for name in files if name.startswith("events/")))

    assert changed(finished, hide) == [("chain", "chain_gap")]


@pytest.mark.parametrize(
    "content", [b"{}", b'{"commitments":1}', b'{"commitments":["AA=="]}', b'{"commitments":[1]}', b"[]"]
)
def test_a_chain_that_is_no_chain_is_refused(finished: World, content: bytes) -> None:
    assert changed(finished, lambda files: files.update({"chain.json": content}))[0][0] == "chain"


def test_two_records_in_each_others_place_are_refused(finished: World) -> None:
    def swap(files: dict[str, bytes]) -> None:
        files["events/00002.json"], files["events/00003.json"] = files["events/00003.json"], files["events/00002.json"]

    assert changed(finished, swap) == [("inclusion", "bad_event")]


def edit(name: str, *path: str, value: Any) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        document = json.loads(files[name])
        node = document
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = value
        files[name] = canonical.jcs(document)

    return change


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("record", "data", "version"), 99, "bad_inclusion_proof"),
        (("record", "type"), "refusal", "bad_leaf"),
        (("record", "time"), "2026-01-01T00:00:00.000Z", "bad_leaf"),
        (("record", "extra"), 1, "bad_event"),
        (("v",), 2, "bad_event"),
        (("salt",), "AA==", "bad_event"),
        (("salt",), 5, "bad_event"),
        (("chain", "sequence"), -1, "bad_event"),
        (("chain", "sequence"), True, "bad_event"),
        (("chain", "previous"), base64.b64encode(bytes(32)).decode(), "bad_inclusion_proof"),
        (("tree", "records"), 2, "bad_inclusion_proof"),
        (("tree", "path"), [base64.b64encode(bytes(32)).decode()] * 65, "bad_event"),
        (("log", "index"), 0, "bad_inclusion_proof"),
        (("log", "proof"), [], "bad_inclusion_proof"),
        (("log", "leaf"), base64.b64encode(b"{}").decode(), "bad_leaf"),
        (("log", "leaf"), base64.b64encode(b"nonsense").decode(), "bad_leaf"),
    ],
)
def test_a_forged_record_does_not_lead_to_the_root(
    finished: World, path: tuple[str, ...], value: Any, code: str
) -> None:
    assert changed(finished, edit("events/00004.json", *path, value=value)) == [("inclusion", code)]


def test_a_record_about_somebody_else_is_refused(world: World) -> None:
    world.journey()
    world.emit("value.collected", {"fields": ["contact.email"]}, subject=OTHER)
    files = container.unpack(world.export())
    with world.platform.database.read() as session:
        row = session.exec(bundle.select(bundle.LogRecord).where(bundle.LogRecord.subject == OTHER)).one()
        foreign = bundle._Shelf(world.log, session).file(row)
    data = resealed(world, files | {"events/00000.json": foreign.write()})
    assert trouble(result(world, data)) == [("inclusion", "foreign_event")]


def test_a_statement_about_another_head_is_refused(world: World) -> None:
    world.journey()
    files = container.unpack(world.export())
    world.emit("value.collected", {"fields": ["contact.email"]})
    world.drain()
    later = world.log.checkpoint()
    assert later is not None
    assert trouble(result(world, resealed(world, files | {"checkpoint": later}))) == [
        ("checkpoint", "checkpoint_mismatch")
    ]


@pytest.mark.parametrize("member", ["payload", "payloadType", "signatures"])
@pytest.mark.parametrize("value", [None, 1, "AA", [], [{}], [{"keyid": "x", "sig": "AA=="}], "application/json"])
def test_an_envelope_of_another_form_is_refused(finished: World, member: str, value: Any) -> None:
    files = container.unpack(finished.exported)
    edit("statement.dsse.json", member, value=value)(files)
    ((name, code),) = trouble(result(finished, container.pack(files)))
    assert name == "statement"
    assert code in ("bad_statement", "wrong_log_key", "bad_signature")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("_type",), "x"),
        (("predicateType",), "x"),
        (("subject",), []),
        (("predicate",), {}),
        (("predicate", "chain", "length"), "9"),
        (("predicate", "subject"), 1),
        (("predicate", "checkpoint", "root"), "AA=="),
        (("subject", 0, "name"), "another.json"),
    ],
)
def test_a_signed_statement_of_another_form_is_refused(finished: World, path: tuple[Any, ...], value: Any) -> None:
    files = container.unpack(finished.exported)
    envelope = json.loads(files["statement.dsse.json"])
    document = json.loads(base64.b64decode(envelope["payload"]))
    node = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    payload = canonical.jcs(document)
    envelope["payload"] = base64.b64encode(payload).decode()
    signed = finished.log.signer.sign(statement.pae(statement.PAYLOAD_TYPE, payload))
    envelope["signatures"][0]["sig"] = base64.b64encode(signed).decode()
    files["statement.dsse.json"] = canonical.jcs(envelope)
    assert trouble(result(finished, container.pack(files)))[0][1] in ("bad_statement", "manifest_mismatch")


def test_deep_nesting_is_refused_and_does_not_crash(world: World) -> None:
    world.collect("contact.email")
    files = container.unpack(world.export())
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    assert trouble(result(world, container.pack(files | {"manifest.json": deep}))) == [("manifest", "bad_manifest")]
    assert result(world, resealed(world, files | {"controller.json": deep})).status == 1


# -- credentials ------------------------------------------------------------------------------------------------------


def named(files: dict[str, bytes], kind: str) -> str:
    return min(name for name in files if name.startswith(f"credentials/{kind}-"))


def test_a_swapped_credential_is_refused(world: World) -> None:
    """A consent to more, well signed by the same wallet, in the place of the one that was given."""
    world.collect("contact.email", "address.city")
    world.enrol()
    ask = world.ask(["contact.email", "address.city"])
    wide = world.answer(ask, ["contact.email", "address.city"])
    world.papers.pop()
    body = world.answer(ask, ["contact.email"])
    world.emit("consent.given", world.told(body, fields=["contact.email"], version=2))
    files = container.unpack(world.export())
    name = named(files, "consent")
    assert trouble(result(world, resealed(world, files | {name: wide}))) == [("credentials", "not_logged")]


def test_a_controller_document_that_was_never_logged_is_refused(finished: World) -> None:
    def swap(files: dict[str, bytes]) -> None:
        files["controller.json"] = canonical.jcs({"id": "did:web:evil.example", "verificationMethod": []})

    assert changed(finished, swap) == [("controller", "controller_not_logged")]


def test_a_credential_of_a_type_that_no_bundle_holds_is_refused(finished: World) -> None:
    def add(files: dict[str, bytes]) -> None:
        files["credentials/x.json"] = canonical.jcs({"type": ["VerifiableCredential", "DrivingLicence"]})

    assert changed(finished, add) == [("credentials", "unexpected_credential")]


def test_the_same_credential_twice_is_refused(finished: World) -> None:
    def twice(files: dict[str, bytes]) -> None:
        files["credentials/z.json"] = files[named(files, "consent")]

    assert changed(finished, twice) == [("credentials", "duplicate_id")]


def test_a_consent_that_the_wallet_did_not_sign_is_refused(world: World) -> None:
    world.enrol()
    stranger = Ed25519Signer.generate()
    body = world.answer(world.ask(["contact.email"]), ["contact.email"], signer=stranger)
    world.emit("consent.given", world.told(body, fields=["contact.email"], version=2))
    assert exported(world) == [("credentials", "wrong_issuer")]


def test_a_consent_of_a_wallet_that_was_not_enrolled_is_refused(world: World) -> None:
    world.consent(["contact.email"])
    assert exported(world) == [("credentials", "not_enrolled")]


def test_an_enrolment_of_another_subject_is_refused(world: World) -> None:
    world.collect("contact.email")
    world.enrol()
    world.enrol(Ed25519Signer.generate(), OTHER)
    body = world.papers[-1][1]
    world.emit("enrolment.completed", world.told(body, version=1))  # now this subject's chain names it too
    assert exported(world) == [("credentials", "foreign_enrolment")]


def test_a_consent_to_more_than_was_asked_is_refused(world: World) -> None:
    world.enrol()
    world.consent(["contact.email", "address.city"], asked=["contact.email"])
    assert exported(world) == [("consents", "consent_wider_than_ask")]


@pytest.mark.parametrize(("kind", "code"), [("ask", "ask_missing"), ("consent", "consent_missing")])
def test_a_missing_credential_is_named(world: World, kind: str, code: str) -> None:
    world.journey()
    world.papers = [one for one in world.papers if one[0] != kind]
    assert exported(world)[0] == ("consents", code)


def test_a_withdrawal_of_somebody_elses_consent_is_refused(world: World) -> None:
    world.enrol()
    mine = world.wallet
    given = world.consent(["contact.email"])
    world.wallet = Ed25519Signer.generate()
    world.enrol()
    world.withdraw(given)
    assert ("consents", "foreign_consent") in exported(world)
    assert mine.did != world.wallet.did


def test_an_enrolment_without_the_wallets_own_presentation_is_refused(world: World) -> None:
    """The controller's word alone binds nobody: the presentation of another wallet does not fit."""
    from protocol import enrolment, presentation

    stranger = Ed25519Signer.generate()
    shown = presentation.present([], stranger, challenge="c", domain="d", created=world.clock.now())
    for document, code in ((shown, "foreign_presentation"), ({"holder": "x"}, "no_proof")):
        bound = enrolment.build_enrolment(
            world.platform.controller, SUBJECT, world.wallet.did, canonical.digest(canonical.jcs(document)), document,
            id=world.fresh(), at=world.clock.now(),
        )  # fmt: skip
        body = world.sign("enrolment", bound, world.platform.signer)
        world.emit("enrolment.completed", world.told(body, version=1))
        assert exported(world) == [("credentials", code)]
        world.papers.clear()


def test_a_paper_about_another_controller_is_refused(world: World) -> None:
    world.enrol()
    real = world.platform.controller
    ask = world.ask(["contact.email"])
    import dataclasses

    body = world.answer(dataclasses.replace(ask, controller="did:web:evil.example"), ["contact.email"])  # type: ignore[arg-type]
    world.emit("consent.given", world.told(body, fields=["contact.email"], version=2))
    assert exported(world) == [("credentials", "foreign_controller")]
    assert real == world.platform.controller


def test_a_ground_that_one_person_alone_signed_is_refused(world: World) -> None:
    world.collect("contact.email")
    world.ground(["contact.email"], approvers=1)
    assert exported(world) == [("credentials", "not_approved")]


def test_refusals_are_part_of_a_bundle(world: World) -> None:
    from protocol import answers

    world.enrol()
    ask = world.ask(["contact.email"])
    document = answers.build_refusal(ask, id=world.fresh(), at=world.clock.now())
    body = world.sign("refusal", document, world.wallet, challenge=ask.challenge, domain=ask.domain)
    world.emit("consent.refused", world.told(body, fields=["contact.email"]))
    assert exported(world) == []
    world.papers = [one for one in world.papers if one[0] != "ask"]
    assert exported(world) == [("consents", "ask_missing")]


# -- the story --------------------------------------------------------------------------------------------------------


def living(world: World) -> consent.Consent:
    world.collect("contact.email", "address.city")
    world.enrol()
    return world.consent(["contact.email", "address.city"])


def releases(world: World) -> list[tuple[str, str | None]]:
    return [found for found in exported(world) if found[0] == "releases"]


def test_a_release_without_a_ground_is_invalid(world: World) -> None:
    living(world)
    world.release({"contact.email": []})
    assert releases(world) == [("releases", "release_without_ground")]


def test_a_release_under_a_ground_that_nobody_gave_is_invalid(world: World) -> None:
    living(world)
    world.release({"contact.email": ["urn:uuid:00000000-0000-4000-8000-999999999999"]})
    assert releases(world) == [("releases", "ground_unknown")]


def test_a_release_before_the_consent_is_invalid(world: World) -> None:
    world.enrol()
    body = world.answer(world.ask(["contact.email"]), ["contact.email"])
    world.release({"contact.email": [world.told(body)["credential"]]}, version=2)
    world.emit("consent.given", world.told(body, fields=["contact.email"], version=2))
    assert releases(world) == [("releases", "ground_unknown")]


@pytest.mark.parametrize(
    "changed",
    [
        {"purpose": "https://w3id.org/dpv#CustomerCare"},
        {"recipient": "did:web:third.example"},
        {"jurisdiction": "US"},
        {"processing": "dpv:Sell"},
        {"purpose": None},
    ],
)
def test_a_release_beyond_what_its_ground_covers_is_invalid(world: World, changed: dict[str, str]) -> None:
    given = living(world)
    world.release({"contact.email": [given.id]}, **changed)
    assert releases(world) == [("releases", "ground_does_not_cover")]


def test_a_release_of_a_field_that_its_ground_does_not_name_is_invalid(world: World) -> None:
    given = living(world)
    world.release({"contact.phone": [given.id]})
    assert releases(world) == [("releases", "ground_does_not_cover")]


def test_a_release_after_the_consent_ran_out_is_invalid(world: World) -> None:
    given = living(world)
    world.clock.advance(timedelta(days=91))
    world.release({"contact.email": [given.id]})
    assert releases(world) == [("releases", "ground_ended")]


def test_a_read_that_was_under_way_may_be_recorded_before_the_gate_was_shut(world: World) -> None:
    given = living(world)
    world.withdraw(given, shut=False)
    world.release({"contact.email": [given.id]}, version=world.version - 1)
    assert releases(world) == []


def test_a_release_after_the_gate_was_shut_is_invalid(world: World) -> None:
    given = living(world)
    world.withdraw(given)
    world.release({"contact.email": [given.id]}, version=world.version - 1)
    assert releases(world) == [("releases", "release_after_shut")]
    assert ("releases", "release_after_shut") in exported(world, "contact.email")


def test_a_release_under_the_new_version_of_an_ended_ground_is_invalid(world: World) -> None:
    given = living(world)
    world.withdraw(given, shut=False)
    world.release({"contact.email": [given.id]})
    assert releases(world) == [("releases", "ground_ended")]


@pytest.mark.parametrize("data", [{"released": []}, {"released": {"contact.email": "x"}, "grounds": {}}, {}])
def test_a_release_that_does_not_say_what_is_invalid(world: World, data: dict[str, Any]) -> None:
    living(world)
    world.emit("release", data | {"version": 2}, header=world.header())
    assert releases(world) == [("releases", "bad_release")]


def test_a_release_that_does_not_say_under_which_version_is_invalid(world: World) -> None:
    living(world)
    world.emit("release", {"released": [], "grounds": {}}, header=world.header())
    assert releases(world) == [("releases", "bad_version")]


def test_a_statutory_ground_releases_to_its_roles_until_it_ends(world: World) -> None:
    world.collect("contact.email")
    name = world.ground(["contact.email"], roles=["service"])
    world.release({"contact.email": [name]}, role="service")
    assert exported(world) == []
    world.release({"contact.email": [name]}, role="marketing")
    assert releases(world) == [("releases", "ground_does_not_cover")]


def test_a_statutory_ground_that_ended_releases_nothing(world: World) -> None:
    world.collect("contact.email")
    name = world.ground(["contact.email"])
    world.emit("ground.ended", {"ground": name}, subject=None)
    world.release({"contact.email": [name]})  # was under way
    assert exported(world) == [("endings", "shut_missing")]
    world.emit("consent.shut", {"credential": name, "how": "ground", "version": 0}, subject=None)
    assert exported(world) == [("endings", "disposition_missing")]
    world.dispose(contact__email="shred")
    assert exported(world) == []
    world.release({"contact.email": [name]})
    assert releases(world) == [("releases", "ground_ended")]


def test_a_statutory_ground_that_was_never_shut_releases_nothing_for_long(world: World) -> None:
    world.collect("contact.email")
    name = world.ground(["contact.email"])
    world.emit("ground.ended", {"ground": name}, subject=None)
    world.clock.advance(timedelta(minutes=1))
    world.release({"contact.email": [name]})
    assert releases(world) == [("releases", "ground_ended")]


def test_a_ground_for_others_releases_nothing_of_this_subject(world: World) -> None:
    world.collect("contact.email")
    name = world.ground(["contact.email"], subjects=[OTHER])
    assert not [file for file in container.unpack(world.export()) if file.startswith("credentials/")]
    world.release({"contact.email": [name]})
    assert releases(world) == [("releases", "ground_unknown")]


def test_a_ground_without_the_controllers_own_proof_is_refused(world: World) -> None:
    world.collect("contact.email")
    name = world.ground(["contact.email"])
    document = canonical.parse(world.papers.pop()[1])
    document["proof"] = document["proof"][:2]
    body = canonical.jcs(document)
    world.papers.append(("ground", body))
    world.emit("ground.approved", {"ground": name, "digest": canonical.digest(body)}, subject=None)
    assert exported(world) == [("credentials", "not_approved")]


def test_a_ground_until_enrolment_ends_with_it(world: World) -> None:
    world.collect("contact.email")
    name = world.ground(["contact.email"], until_enrolled=True)
    world.release({"contact.email": [name]})
    assert exported(world, "contact.email") == []
    world.enrol()
    world.release({"contact.email": [name]})
    assert releases(world) == [("releases", "ground_ended")]


def test_a_consent_event_without_its_credential_is_invalid(world: World) -> None:
    world.enrol()
    world.emit("consent.given", {"credential": "urn:uuid:x", "digest": "zQm", "version": 2})
    assert exported(world) == [("releases", "credential_missing")]


def test_the_end_of_a_consent_that_is_not_there_is_invalid(world: World) -> None:
    world.enrol()
    world.emit("consent.revoked", {"credential": "urn:uuid:x", "version": 2})
    assert exported(world) == [("releases", "credential_missing")]


def test_the_end_of_a_consent_before_its_beginning_is_invalid(world: World) -> None:
    world.enrol()
    body = world.answer(world.ask(["contact.email"]), ["contact.email"])
    world.emit("consent.revoked", world.told(body, version=2))
    world.emit("consent.given", world.told(body, version=3))
    assert exported(world) == [("releases", "ground_unknown")]


def test_a_withdrawal_without_its_shut_is_incomplete(world: World) -> None:
    world.withdraw(living(world), shut=False)
    report = result(world, world.export())
    assert (trouble(report), report.status) == ([("endings", "shut_missing")], 2)


def test_a_withdrawal_whose_fields_nobody_disposed_of_is_incomplete(world: World) -> None:
    world.withdraw(living(world))
    report = result(world, world.export())
    assert (trouble(report), report.status) == ([("endings", "disposition_missing")], 2)
    world.dispose(contact__email="shred")
    assert exported(world) == [("endings", "disposition_missing")]
    assert exported(world, "contact.email") == []
    world.dispose(address__city="keep")
    assert exported(world) == []


def test_a_disposition_without_its_certificate_is_incomplete(world: World) -> None:
    world.withdraw(living(world))
    world.dispose(contact__email="shred", address__city="seal")
    world.papers = [one for one in world.papers if one[0] != "certificate"]
    assert exported(world) == [("endings", "certificate_missing")]


def test_a_narrowing_lets_go_of_what_was_lost_only(world: World) -> None:
    given = living(world)
    smaller = world.narrow(given, ["address.city"])
    world.dispose(contact__email="shred")
    world.release({"address.city": [smaller.id]})
    assert exported(world) == []
    assert exported(world, "contact.email") == []
    assert exported(world, "address.city") == []
    world.release({"contact.email": [given.id]})
    assert releases(world) == [("releases", "ground_ended")]


def test_an_expired_consent_needs_its_disposition_but_no_shut(world: World) -> None:
    given = living(world)
    world.clock.advance(timedelta(days=91))
    world.version += 1
    world.emit("consent.expired", {"credential": given.id, "digest": given.digest, "version": world.version})
    assert exported(world) == [("endings", "disposition_missing")]
    world.dispose(contact__email="shred", address__city="shred")
    assert exported(world) == []


def test_fields_of_the_world_are_those_of_the_catalogue() -> None:
    assert (EMAIL, CITY) == ("contact.email", "address.city")


def test_a_consent_of_a_wallet_that_was_enrolled_only_later_is_invalid(world: World) -> None:
    world.consent(["contact.email"])
    world.enrol()
    assert exported(world) == [("releases", "not_enrolled")]


def test_a_consent_of_a_wallet_that_was_given_up_is_invalid(world: World) -> None:
    body = world.enrol()
    world.emit("enrolment.ended", world.told(body, version=2))
    world.consent(["contact.email"])
    assert exported(world) == [("releases", "not_enrolled")]


def test_only_sealed_values_come_back(world: World) -> None:
    world.withdraw(living(world))
    world.dispose(contact__email="shred", address__city="seal")
    again = world.consent(["contact.email", "address.city"])
    world.emit("value.restored", {"field": "address.city", "ground": again.id})
    for field in (None, "address.city", "contact.email"):
        assert exported(world, field) == []
    world.emit("value.restored", {"field": "contact.email", "ground": again.id})
    assert exported(world) == [("releases", "restore_without_archive")]


def test_sealed_values_do_not_come_back_without_a_living_consent(world: World) -> None:
    given = living(world)
    world.withdraw(given)
    world.dispose(contact__email="seal", address__city="seal")
    world.emit("value.restored", {"field": "address.city", "ground": given.id})
    assert exported(world) == [("releases", "restore_without_ground")]


def test_a_certificate_that_is_silent_about_a_field_is_not_enough(world: World) -> None:
    world.withdraw(living(world))
    job = world.dispose(contact__email="shred")
    world.emit("value.shredded", {"field": "address.city", "job": job})
    assert exported(world) == [("endings", "certificate_missing")]

"""The catalogue is read strictly: a fault names its place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from issuer import catalogue
from issuer.catalogue import CatalogueError
from issuer.catalogue.loading import DEFAULT
from protocol import canonical
from protocol.errors import EvidenceError


def _load(tmp_path: Path, content: Any) -> catalogue.Catalogue:
    path = tmp_path / "catalogue.yaml"
    path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False))
    return catalogue.load(path)


def test_the_default_catalogue_has_the_fields_and_purposes_of_the_product() -> None:
    shelf = catalogue.load()
    assert shelf.fields["contact.email"].disposition == "seal"
    assert shelf.fields["contact.phone"].disposition == "shred"
    assert len({entry.bit for entry in shelf.fields.values()}) == len(shelf.fields)
    assert set(shelf.purposes) >= {
        "administration",
        "invitation",
        "marketing",
        "service",
        "sales",
        "third-party-sharing",
    }
    assert shelf.purpose("https://w3id.org/dpv#DirectMarketing").key == "marketing"
    assert shelf.may("marketing", "marketing")
    assert not shelf.may("sales", "marketing")
    assert shelf.purposes["invitation"].roles == {"mailer"}
    assert shelf.purposes["marketing"].consent_only
    assert not shelf.purposes["administration"].consent_only


def test_every_notice_says_in_both_languages_how_to_withdraw_and_what_no_means() -> None:
    shelf = catalogue.load()
    for purpose in shelf.purposes:
        english, chinese = shelf.notice(purpose, "en"), shelf.notice(purpose, "zh-CN")
        for word in ("Who:", "What:", "Why:", "How long:", "How to ", "If you say no:"):
            assert word in english.text, (purpose, word)
        for word in ("谁在使用", "使用什么", "为什么", "多长时间", "如何", "如果您不同意"):
            assert word in chinese.text, (purpose, word)
        assert english.digest == canonical.digest(english.text.encode())


def test_what_is_not_in_the_catalogue_is_unknown() -> None:
    shelf = catalogue.load()
    for act, code in (
        (lambda: shelf.field("contact.iris_scan"), "unknown_field"),
        (lambda: shelf.purpose("surveillance"), "unknown_purpose"),
        (lambda: shelf.notice("marketing", "fr"), "unknown_notice"),
        (lambda: shelf.notice("marketing", "en", "99"), "unknown_notice"),
        (lambda: shelf.joint_notice(["marketing", "marketing"], "en"), "unknown_notice"),
        (lambda: shelf.joint_notice(["marketing"], "en", ["1", "1"]), "unknown_notice"),
    ):
        with pytest.raises(EvidenceError) as caught:
            act()
        assert caught.value.code == code


def test_a_newer_notice_stands_beside_the_older_one(tmp_path: Path) -> None:
    content = yaml.safe_load(DEFAULT.read_text())
    content["notices"]["marketing"]["10"] = {"en": "new", "zh-CN": "新"}
    content["notices"]["marketing"]["9"] = {"en": "old", "zh-CN": "旧"}
    shelf = _load(tmp_path, content)
    assert shelf.notice("marketing", "en").text == "new"
    assert shelf.notice("marketing", "en", "9").text == "old"
    assert shelf.digest != catalogue.load().digest


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda c: c.pop("version"), "catalogue.version"),
        (lambda c: c.update(more=1), "catalogue.more"),
        (lambda c: c.update(version=3), "version"),
        (lambda c: c.update(fields=[]), "fields"),
        (lambda c: c["fields"]["contact.email"].update(bit=0), "fields.contact.email.bit"),
        (lambda c: c["fields"]["contact.email"].update(bit=128), "fields.contact.email.bit"),
        (lambda c: c["fields"]["contact.email"].update(bit=True), "fields.contact.email.bit"),
        (lambda c: c["fields"]["contact.email"].update(color="red"), "fields.contact.email.color"),
        (lambda c: c["fields"]["contact.email"].update(type="mail"), "fields.contact.email.type"),
        (lambda c: c["fields"]["contact.email"].update(sensitive="no"), "fields.contact.email.sensitive"),
        (lambda c: c["fields"]["contact.email"].update(disposition="burn"), "fields.contact.email.disposition"),
        (lambda c: c["fields"]["contact.email"].pop("legal_ground"), "fields.contact.email.legal_ground"),
        (lambda c: c["fields"]["contact.email"].update(destroy_after="3 years"), "fields.contact.email.destroy_after"),
        (lambda c: c["fields"]["contact.phone"].update(period="P3Y"), "fields.contact.phone.period"),
        (lambda c: c["fields"]["contact.phone"]["labels"].pop("zh-CN"), "fields.contact.phone.labels.zh-CN"),
        (lambda c: c["fields"]["contact.phone"]["labels"].update(fr="x"), "fields.contact.phone.labels.fr"),
        (lambda c: c["fields"]["contact.phone"]["labels"].update(en=" "), "fields.contact.phone.labels.en"),
        (lambda c: c["fields"].update({"Phone": c["fields"]["contact.phone"]}), "fields.Phone"),
        (lambda c: c["purposes"].update({"A B": c["purposes"]["sales"]}), "purposes.A B"),
        (lambda c: c["purposes"]["sales"].update(iri="dpv:Sell"), "purposes.sales.iri"),
        (lambda c: c["purposes"]["sales"].update(iri=c["purposes"]["service"]["iri"]), "purposes.sales.iri"),
        (lambda c: c["purposes"]["sales"]["necessity"].update(x="required"), "purposes.sales.necessity.x"),
        (
            lambda c: c["purposes"]["sales"]["necessity"].update({"contact.email": "nice"}),
            "purposes.sales.necessity.contact.email",
        ),
        (lambda c: c["purposes"]["sales"].update(roles=["boss"]), "purposes.sales.roles"),
        (lambda c: c["purposes"]["sales"].update(roles="sales"), "purposes.sales.roles"),
        (lambda c: c["purposes"]["sales"].update(recipients=["*"]), "purposes.sales.recipients"),
        (lambda c: c["purposes"]["sales"].update(consent_life="P"), "purposes.sales.consent_life"),
        (lambda c: c["fields"]["contact.email"].update(many="yes"), "fields.contact.email.many"),
        (lambda c: c["fields"]["contact.email"].update(item="note"), "fields.contact.email.item"),
        (
            lambda c: c["purposes"]["sales"]["necessity"].update({"health.condition": "optional"}),
            "purposes.sales.necessity.health.condition",
        ),
        (lambda c: c["purposes"]["sales"].update(processing=["dpv:Sell"]), "purposes.sales.processing"),
        (lambda c: c["purposes"]["sales"].update(processing=["dpv:Collect"]), "purposes.sales.processing"),
        (lambda c: c["purposes"]["sales"].update(ask_again_after="monthly"), "purposes.sales.ask_again_after"),
        (
            lambda c: c["purposes"]["third-party-sharing"].update(recipients=["nobody"]),
            "purposes.third-party-sharing.recipients",
        ),
        (lambda c: c["recipients"]["partner"].update(did="partner"), "recipients.partner.did"),
        (lambda c: c["recipients"]["partner"].update(jurisdiction="Singapore"), "recipients.partner.jurisdiction"),
        (lambda c: c["recipients"]["partner"].update(mechanism="handshake"), "recipients.partner.mechanism"),
        (lambda c: c["recipients"]["partner"].pop("mechanism_until"), "recipients.partner.mechanism_until"),
        (lambda c: c["recipients"]["partner"].update(mechanism_until="2027"), "recipients.partner.mechanism_until"),
        (
            lambda c: c["recipients"]["delivery"].update(mechanism_until="2027-01-01T00:00:00Z"),
            "recipients.delivery.mechanism_until",
        ),
        (lambda c: c["recipients"]["partner"].update(notice_endpoint="http://x"), "recipients.partner.notice_endpoint"),
        (lambda c: c["recipients"].update({"A B": c["recipients"]["partner"]}), "recipients.A B"),
        (lambda c: c["recipients"].update(other=c["recipients"]["partner"]), "recipients.other.did"),
        (lambda c: c["notices"].pop("sales"), "notices.sales"),
        (lambda c: c["notices"].update(other={}), "notices.other"),
        (lambda c: c["notices"]["sales"].update(v2=c["notices"]["sales"]["1"]), "notices.sales.v2"),
    ],
)
def test_a_fault_is_refused_and_its_place_named(tmp_path: Path, change: Change, place: str) -> None:
    content = yaml.safe_load(DEFAULT.read_text())
    change(content)
    with pytest.raises(CatalogueError) as caught:
        _load(tmp_path, content)
    assert caught.value.place == place
    assert caught.value.code == "bad_catalogue"
    assert place in str(caught.value)


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="line 2: 'version' is given twice"):
        _load(tmp_path, 'version: "1"\nversion: "2"\n')


def test_what_is_not_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="not YAML"):
        _load(tmp_path, "a: [1")
    with pytest.raises(CatalogueError, match="mapping"):
        _load(tmp_path, "- 1")


@pytest.mark.parametrize("text", ["a: &x [1]\nb: *x\n", "[" * 5000])
def test_yaml_that_grows_or_nests_without_end_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(CatalogueError):
        _load(tmp_path, text)


def test_sensitive_fields_are_asked_for_only_by_purposes_that_stand_alone() -> None:
    shelf = catalogue.load()
    asked = {field for one in shelf.purposes.values() if not one.separate_consent for field in one.necessity}
    assert not any(shelf.field(field).sensitive for field in asked)
    assert {field for field, entry in shelf.fields.items() if entry.sensitive} <= {
        field for one in shelf.purposes.values() for field in one.necessity
    }


def test_every_field_can_be_asked_for_and_what_is_kept_names_its_law() -> None:
    shelf = catalogue.load()
    asked = {field for one in shelf.purposes.values() for field in one.necessity}
    assert set(shelf.fields) == asked
    for entry in shelf.fields.values():
        assert (entry.disposition == "seal") == (entry.legal_ground is not None)
        assert not (entry.sensitive and entry.disposition != "shred")
    assert shelf.fields["contract.number"].destroy_after == "P10Y"
    assert [entry.bit for entry in shelf.fields.values()] == list(range(len(shelf.fields)))

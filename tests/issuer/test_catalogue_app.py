"""Staff and the catalogue over HTTP and at the terminal: drafts, diff, impact, approval, rolling back, transfers."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient
from typer.testing import CliRunner

from fieldgrant import catalogue_cli, compose
from fieldgrant.serve import add_account
from issuer import publication, transfers
from issuer.catalogue import CatalogueError, content
from issuer.credentials import Credential
from issuer.transfers import Home
from protocol import event
from protocol.consent import Jurisdiction
from protocol.did import Did
from runtime.problem import Problem
from tests.engine import hand
from tests.issuer.catalogue_stage import Shelf, open_shelf, with_field, without, without_purpose
from tests.verifier.stage import CITY, EMAIL, GIVEN, PHONE, Customer, make
from verifier import impact

PARTNER, DELIVERY = Did("did:web:partner.example"), Did("did:web:delivery.example")
SINGAPORE = Jurisdiction("SG")
PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bare")
    make(home)
    return home


@pytest.fixture
def shelf(tmp_path: Path, bare: Path) -> Iterator[Shelf]:
    hand.copied_home(bare, tmp_path / "home")
    made = open_shelf(tmp_path / "home")
    yield made
    made.platform.close()


@pytest.fixture
def customer(shelf: Shelf) -> Customer:
    return shelf.enrol()


class Desk:
    """Staff who are signed in."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.http = TestClient(compose.app(compose.house(shelf.platform), ["issuer"]))
        for account, role in (("dora", "dpo"), ("dan", "admin"), ("ann", "auditor"), ("mia", "marketing")):
            add_account(shelf.platform, account, account, role, PASSWORD)

    def call(self, account: str, method: str, path: str, **more: Any) -> Any:
        signed = self.http.post("/staff/sessions", json={"account": account, "password": PASSWORD})
        headers = {"authorization": f"Bearer {signed.json()['token']}", **more.pop("headers", {})}
        return self.http.request(method, f"/issuer{path}", headers=headers, **more)


@pytest.fixture
def desk(shelf: Shelf) -> Desk:
    return Desk(shelf)


def test_a_version_goes_from_yaml_to_effect(desk: Desk, shelf: Shelf, customer: Customer) -> None:
    shelf.give(customer, [EMAIL, PHONE])
    said = shelf.written()
    said["version"] = "slim"
    without("marketing", PHONE)(said)
    text = yaml.safe_dump(json.loads(json.dumps(said)), allow_unicode=True)
    yaml_type = {"content-type": "application/yaml"}
    made = desk.call("dora", "POST", "/catalogue/drafts", content=text.encode(), headers=yaml_type)
    assert made.status_code == 201, made.text
    id_ = made.json()["id"]
    assert made.json()["ends"] == [{"purpose": "https://w3id.org/dpv#DirectMarketing", "field": PHONE}]
    assert [one["id"] for one in desk.call("ann", "GET", "/catalogue/drafts").json()["items"]] == [id_]
    assert desk.call("ann", "GET", f"/catalogue/drafts/{id_}").json()["catalogue"] == said
    lines = desk.call("ann", "GET", f"/catalogue/drafts/{id_}/diff").json()["lines"]
    assert lines == ["- purposes.marketing.necessity.contact.phone: optional", "~ version: 2026-11-22 → slim"]
    counted = desk.call("ann", "GET", f"/catalogue/drafts/{id_}/impact").json()
    assert counted["grants_touched"] == {"consents": 1, "statutory": 0}
    assert shelf.catalogue.number == 0
    shelf.clock.set(shelf.clock.now() + timedelta(seconds=2))
    approved = desk.call("dan", "POST", f"/catalogue/drafts/{id_}/approval")
    assert approved.json()["number"] == 1, approved.text
    state = desk.call("ann", "GET", "/catalogue/status").json()
    assert (state["number"], state["settled"], state["done"], state["of"]) == (1, False, 0, 1)
    publication.finish(shelf.registry, id_)
    assert desk.call("ann", "GET", "/catalogue/status").json()["settled"]
    listed = desk.call("ann", "GET", "/catalogue/versions").json()["items"]
    assert [(one["number"], one["proved"], one["version"]) for one in listed] == [
        (1, True, "slim"), (0, True, "2026-11-22"),
    ]  # fmt: skip
    assert len(listed[0]["signers"]) == 3
    assert desk.call("ann", "GET", "/catalogue/versions/1").json()["catalogue"] == said
    back = desk.call("dora", "POST", "/catalogue/rollbacks", json={"number": 0, "version": "as before"})
    assert back.status_code == 201
    assert (
        desk.call("dora", "POST", f"/catalogue/drafts/{back.json()['id']}/approval").json()["code"] == "second_approver"
    )


def test_a_draft_that_was_withdrawn_cannot_be_approved_not_even_in_an_older_database(desk: Desk, shelf: Shelf) -> None:
    made = desk.call("dora", "POST", "/catalogue/rollbacks", json={"number": 0, "version": "as before"}).json()
    path = f"/catalogue/drafts/{made['id']}"
    assert desk.call("dan", "POST", f"{path}/withdrawal").json()["code"] == "role"
    gone = desk.call("dora", "POST", f"{path}/withdrawal")
    assert gone.status_code == 200, gone.text
    assert desk.call("dora", "POST", f"{path}/withdrawal").json() == gone.json()  # again: nothing happens
    assert desk.call("ann", "GET", "/catalogue/drafts").json()["items"] == []
    assert desk.call("dan", "POST", f"{path}/approval").json()["code"] == "draft_withdrawn"
    with shelf.platform.database.write("owner") as session:  # as a database has it that was brought back
        row = session.get_one(Credential, made["id"])
        row.ended_at = row.ended_kind = row.ended_by = None
        session.add(row)
    assert desk.call("ann", "GET", "/catalogue/drafts").json()["items"] == []
    assert desk.call("dan", "POST", f"{path}/approval").json()["code"] == "draft_withdrawn"
    assert shelf.catalogue.number == 0


def test_a_version_in_effect_is_no_draft_to_be_withdrawn(desk: Desk, shelf: Shelf) -> None:
    made = desk.call("dora", "POST", "/catalogue/rollbacks", json={"number": 0, "version": "as before"}).json()
    shelf.clock.set(shelf.clock.now() + timedelta(seconds=2))
    assert desk.call("dan", "POST", f"/catalogue/drafts/{made['id']}/approval").is_success
    answer = desk.call("dora", "POST", f"/catalogue/drafts/{made['id']}/withdrawal")
    assert answer.json()["code"] == "already_published"


def test_what_cannot_be_a_catalogue_is_refused_with_its_place(desk: Desk) -> None:
    bad = {**content.packaged().written, "version": "x", "fields": {}}
    for body, field in (
        (json.dumps(bad).encode(), "fields"),
        (b"- 1", "catalogue"),
        (b"\xff", "file"),
        (b"a: &x [1]\nb: *x", "line 2"),
        (json.dumps(dict(content.packaged().written)).encode(), "version"),
    ):
        answer = desk.call("dora", "POST", "/catalogue/drafts", content=body)
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "bad_catalogue", field)
    assert desk.call("dora", "POST", "/catalogue/drafts", content=b"a" * 600_000).json()["code"] == "too_large"
    assert desk.call("mia", "POST", "/catalogue/drafts", content=b"{}").json()["code"] == "role"
    for path in ("/catalogue/versions/7", "/catalogue/drafts/urn:uuid:none", "/catalogue/drafts/urn:uuid:none/diff"):
        assert desk.call("dora", "GET", path).json()["code"] == "unknown_catalogue"


# -- the impact


def counted(shelf: Shelf, *edits: Any) -> dict[str, Any]:
    found = publication.proposed(shelf.registry, shelf.draft(*edits))
    return impact.measure(shelf.platform, shelf.catalogue, found.version, found.content)


def test_the_impact_is_what_then_happens(shelf: Shelf) -> None:
    first, second, third = (shelf.enrol() for _ in range(3))
    shelf.give(first, [EMAIL, PHONE])
    shelf.give(second, [PHONE])
    shelf.give(second, [PHONE], purpose="service")
    shelf.give(third, [EMAIL])
    shelf.ground("service", GIVEN)
    edits = (without("marketing", PHONE), without("service", GIVEN))
    told = counted(shelf, *edits)
    assert (told["customers"], told["customers_touched"]) == (3, 3)
    assert told["grants_touched"] == {"consents": 2, "statutory": 1}
    assert [(one["field"], one["purpose"], one["customers"], one["disposition"]) for one in told["lapses"]] == [
        (GIVEN, "service", 3, "seal"),
        (PHONE, "marketing", 1, "shred"),  # the second customer's is still held for service
    ]
    assert told["lapses"][0]["destroy_after"] == "P3Y"
    assert told["compiled_anew"] == ["marketing", "service"]
    assert shelf.released(first.subject) == {EMAIL, PHONE}  # counting changed nothing
    shelf.publish(*edits)
    assert shelf.released(first.subject) == {EMAIL}
    assert shelf.released(second.subject, "service", "service") == {PHONE}
    assert "3 of 3 customers, 2 consents and 1 statutory grounds are touched" in impact.in_words(told)


def test_the_impact_says_whom_to_ask_again_and_how_often_at_most(shelf: Shelf, customer: Customer) -> None:
    shelf.give(customer, [EMAIL, CITY])
    shelf.give(customer, [GIVEN], purpose="sales")

    def more(said: dict[str, Any]) -> None:
        said["purposes"]["marketing"]["necessity"]["contact.language"] = "required"
        said["purposes"]["marketing"]["ask_again_after"] = "P30D"

    told = counted(shelf, more)
    assert told["ask_again"] == [{"purpose": "marketing", "customers": 1, "at_most_every": "P30D"}]
    assert told["lapses"] == []
    noticed = counted(shelf, lambda c: c["notices"]["sales"].update({"2": {"en": "New.", "zh-CN": "新"}}))
    assert [one["purpose"] for one in noticed["ask_again"]] == ["sales"]
    alone = counted(shelf, lambda c: c["purposes"]["sales"].update(separate_consent=True))
    assert [one["purpose"] for one in alone["ask_again"]] == ["sales"]
    assert alone["grants_touched"]["consents"] == 1
    nothing = counted(shelf, with_field("x.y", 58, "marketing"))
    assert (nothing["ask_again"], nothing["lapses"], nothing["customers"]) == ([], [], 1)
    gone = counted(shelf, without_purpose("marketing"))
    assert {(one["field"], one["purpose"]) for one in gone["lapses"]} == {(EMAIL, "marketing"), (CITY, "marketing")}
    assert len(impact.in_words(gone)) == 3
    assert len(impact.in_words(told)) == 2


# -- transfers


def refused(act: Any, *args: Any, **named: Any) -> str:
    with pytest.raises(Problem) as caught:
        act(*args, **named)
    return caught.value.code


def sharing(**changes: Any) -> Any:
    return lambda c: c["recipients"]["partner"].update(changes)


def test_a_release_abroad_needs_a_listed_recipient_a_living_mechanism_and_a_purpose(
    shelf: Shelf, customer: Customer
) -> None:
    there = {"recipients": frozenset({PARTNER}), "jurisdictions": frozenset({"SG"})}
    shelf.give(customer, [EMAIL], purpose="third-party-sharing", **there)
    visit = {"recipient": PARTNER, "jurisdiction": SINGAPORE}
    assert shelf.see(customer.subject, "third-party-sharing", **visit).released == {EMAIL}
    for bent, lack in (
        ({"recipient": Did("did:web:stranger.example")}, "recipient"),
        ({"jurisdiction": Jurisdiction("US")}, "jurisdiction"),
    ):
        assert (
            refused(shelf.see, customer.subject, "third-party-sharing", **{**visit, **bent}) == "transfer_not_allowed"
        )
        told = shelf.events(event.REFUSAL)[-1]
        assert (told.header["code"], told.header["missing"]) == ("transfer_not_allowed", lack)
    assert refused(shelf.see, customer.subject, "marketing", **visit) == "transfer_not_allowed"
    assert shelf.events(event.REFUSAL)[-1].header["missing"] == "purpose"


def test_a_mechanism_that_runs_out_shuts_the_path_between_the_visit_and_the_passage(
    shelf: Shelf, customer: Customer
) -> None:
    until = shelf.clock.now() + timedelta(days=2)
    shelf.publish(sharing(mechanism_until=f"{until:%Y-%m-%dT%H:%M:%SZ}"))
    visit = shelf.gate.visit(shelf.reader(), "third-party-sharing", recipient=PARTNER, jurisdiction=SINGAPORE)
    shelf.clock.set(until)
    with pytest.raises(Problem) as caught, shelf.gate.read(visit, lambda passage: passage):
        pass
    assert caught.value.code == "transfer_not_allowed"
    assert shelf.events(event.REFUSAL)[-1].header["missing"] == "mechanism"
    wish = {"recipients": frozenset({PARTNER}), "jurisdictions": frozenset({"SG"})}
    assert refused(shelf.ask, customer, [EMAIL], purpose="third-party-sharing", **wish) == "transfer_not_allowed"


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"recipients": frozenset({"did:web:stranger.example"})}, "recipient_not_allowed"),
        ({"recipients": frozenset({PARTNER})}, "jurisdiction_not_allowed"),  # they are in SG, not here
        ({"recipients": frozenset({PARTNER, DELIVERY})}, "one_recipient"),
        ({"recipients": frozenset({DELIVERY}), "jurisdictions": frozenset({"CN", "SG"})}, "one_recipient"),
        ({"jurisdictions": frozenset({"SG"})}, "jurisdiction_not_allowed"),  # we are not there
    ],
)
def test_an_ask_names_one_listed_recipient_in_its_country(
    shelf: Shelf, customer: Customer, wish: dict[str, Any], code: str
) -> None:
    assert refused(shelf.ask, customer, [EMAIL], purpose="third-party-sharing", **wish) == code


def test_we_ourselves_abroad_are_a_path_like_any(shelf: Shelf, customer: Customer) -> None:
    def office(said: dict[str, Any]) -> None:
        said["recipients"]["office"] = {
            "did": "controller", "labels": {"en": "Our office", "zh-CN": "我们的办公室"}, "jurisdiction": "DE",
            "mechanism": "certification", "mechanism_until": "2027-11-22T00:00:00Z",
        }  # fmt: skip
        said["purposes"]["analytics-abroad"]["recipients"] = ["analysis", "office"]

    germany = Jurisdiction("DE")
    assert refused(shelf.see, customer.subject, "analytics-abroad", jurisdiction=germany) == "transfer_not_allowed"
    shelf.publish(office)
    shelf.give(customer, [CITY], purpose="analytics-abroad", jurisdictions=frozenset({"DE"}))
    assert shelf.see(customer.subject, "analytics-abroad", jurisdiction=germany).released == {CITY}
    assert shelf.see(customer.subject, "analytics-abroad").reasons[CITY] == "jurisdiction"


def test_the_officer_sees_every_path_with_its_consents_and_problems(
    desk: Desk, shelf: Shelf, customer: Customer
) -> None:
    there = {"recipients": frozenset({PARTNER}), "jurisdictions": frozenset({"SG"})}
    shelf.give(customer, [EMAIL], purpose="third-party-sharing", **there)
    items = desk.call("dora", "GET", "/transfers").json()["items"]
    paths = {(one["purpose"], one["recipient"]): one for one in items}
    assert paths["third-party-sharing", PARTNER]["living_consents"] == 1
    assert paths["partner-delivery", DELIVERY]["living_consents"] == 0
    assert ("partner-delivery", PARTNER) not in paths
    assert all(not one["problems"] for one in items)
    shelf.publish(lambda c: c["recipients"].pop("partner"))
    left = desk.call("dora", "GET", "/transfers").json()["items"][-1]
    assert (left["recipient"], left["living_consents"], left["problems"]) == (PARTNER, 1, ["not_in_catalogue"])
    assert desk.call("mia", "GET", "/transfers").json()["code"] == "role"


def test_a_mechanism_that_ends_soon_or_has_ended_is_told(shelf: Shelf) -> None:
    home = Home(shelf.platform.controller, "CN")
    entry = shelf.catalogue.recipients["partner"]
    until = entry.mechanism_until
    assert until is not None
    for at, found in (
        (until - timedelta(days=31), []),
        (until - timedelta(days=30), ["mechanism_ends_soon"]),
        (until, ["mechanism_over"]),
    ):
        assert transfers.problems(entry, home, at) == found
    delivery = shelf.catalogue.recipients["delivery"]
    assert transfers.problems(delivery, Home(shelf.platform.controller, "DE"), until) == ["no_mechanism_abroad"]


# -- at the terminal


def run(shelf: Shelf, *words: str, password: str | None = None, code: int = 0) -> str:
    where = ["--data", str(shelf.platform.settings.data_dir), "--keys", str(shelf.platform.settings.keys_dir)]
    told = CliRunner().invoke(catalogue_cli.app, [*words, *where], input=None if password is None else password + "\n")
    assert told.exit_code == code, told.output
    return told.stdout if code == 0 else told.output


def test_at_the_terminal_a_field_is_added_by_two_people(shelf: Shelf, tmp_path: Path) -> None:
    for account, role in (("dora", "dpo"), ("dan", "admin")):
        add_account(shelf.platform, account, account, role, PASSWORD)
    labels = ["--label-en", "Level", "--label-zh", "等级"]
    words = [
        "add-field",
        "membership.level",
        "--type",
        "number",
        *labels,
        "--purpose",
        "marketing",
        "--account",
        "dora",
    ]
    assert "bad_sign_in" in run(shelf, *words, password="something else", code=1)
    id_ = run(shelf, *words, password=PASSWORD).split()[-1]
    assert "+ fields.membership.level" in run(shelf, "diff", id_)
    assert json.loads(run(shelf, "diff", id_, "--json"))["ends"] == []
    assert "0 of 0 customers" in run(shelf, "preview", id_)
    assert "second_approver" in run(shelf, "publish", id_, "--account", "dora", password=PASSWORD, code=1)
    assert "in effect as number 1" in run(shelf, "publish", id_, "--account", "dan", password=PASSWORD)
    assert shelf.catalogue.field("membership.level").bit == 58
    assert json.loads(run(shelf, "show", "--json"))["settled"]
    assert "marketing" in run(shelf, "show")
    assert "is there already" in run(shelf, *words, password=PASSWORD, code=1)
    out = tmp_path / "catalogue.yaml"
    run(shelf, "export", "--out", str(out))
    assert yaml.safe_load(out.read_text())["fields"]["membership.level"]["bit"] == 58
    assert yaml.safe_load(run(shelf, "export", "0"))["version"] == "2026-11-22"
    change = tmp_path / "change.yaml"
    change.write_text("purposes: {marketing: {necessity: {contact.email: required}}}")
    assert "! grounds do not cover" in run(shelf, "diff", str(change))
    assert json.loads(run(shelf, "preview", str(change), "--json"))["compiled_anew"] == ["marketing"]
    drafted = run(shelf, "draft", str(change), "--account", "dora", password=PASSWORD).split()[-1]
    assert drafted in run(shelf, "list")
    assert json.loads(run(shelf, "list", "--json"))["versions"][0]["number"] == 1
    back = run(shelf, "rollback", "0", "--account", "dora", "--name", "back", password=PASSWORD).split()[-1]
    run(shelf, "publish", back, "--account", "dan", password=PASSWORD)
    assert shelf.catalogue.retired.fields == {"membership.level": 58}
    assert "did:web:partner.example" in run(shelf, "transfers", "--json")
    assert "contract" in run(shelf, "transfers")
    assert "mapping" in run(shelf, "diff", str(_list_in(tmp_path)), code=1)


def _list_in(directory: Path) -> Path:
    path = directory / "list.yaml"
    path.write_text("- 1")
    return path


@pytest.mark.parametrize(
    ("change", "place"), [({"colours": {}}, "colours"), ({"fields": 3}, "fields"), ({"purposes": []}, "purposes")]
)
def test_a_change_that_is_none_is_refused(change: dict[str, Any], place: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        content.changed(content.packaged().written, change)
    assert caught.value.place == place


def test_a_change_lays_members_over_entries_and_null_takes_away() -> None:
    change = {"purposes": {"sales": {"ask_again_after": "P7D"}, "service": None}, "fields": {"x.y": {"bit": 58}}}
    found = content.changed(content.packaged().written, change, name="new")
    assert found["version"] == "new"
    assert found["purposes"]["sales"]["ask_again_after"] == "P7D"
    assert found["purposes"]["sales"]["iri"] == "https://w3id.org/dpv#SellProducts"
    assert "service" not in found["purposes"]
    assert found["fields"]["x.y"] == {"bit": 58}
    assert "ask_again_after" not in content.packaged().written["purposes"]["sales"]

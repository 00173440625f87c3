"""The auditors' page in a real browser: every event found, each proof checked here, and a forked log seen at once."""

import json
import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from sqlmodel import col, select

from audit import container, verify
from audit.exporting import Exports, StoppedError
from audit.log import Log, LogEntry
from protocol import log as rfc6962
from protocol import note
from tests.attacks.holder import Held
from tests.attacks.pieces import CITY, CUSTOMERS, EMAIL, PASSWORD
from tests.attacks.place import Place
from tests.browser.conftest import Desk

Open = Callable[..., Desk]
VIEWS = [
    {"locale": locale, "viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    for locale, width, scheme in (("en-GB", 1280, "dark"), ("zh-CN", 360, "light"))
]
MARKETING = "https://w3id.org/dpv#DirectMarketing"


def until(there: Callable[[], bool]) -> None:
    """Wait for what a worker does."""
    for _ in range(200):
        if there():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


@pytest.fixture(scope="module")
def mina(place: Place) -> Held:
    """Consented for marketing, was read, and withdrew: her e-mail address has a whole story."""
    held = place.enrolled()
    given = held.give(place.asked(held, (EMAIL, CITY)), (EMAIL, CITY))
    place.shown(held.subject)
    answer = held.call("POST", "/issuer/wallet/withdrawals", {"withdrawal": held.withdrawal(given)})
    assert answer.is_success, answer.text
    place.shown(held.subject)
    until(lambda: bool(place.events("certificate.issued")))
    return held


@pytest.fixture(autouse=True)
def _patience() -> Iterator[None]:
    """A busy machine is no fault of the page."""
    expect.set_options(timeout=20_000)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture
def auditor(desk: Open, mina: Held) -> Callable[..., Desk]:
    """`auditor("#/log", **profile)`: a page of somebody with the role."""

    def make(where: str = "", *, account: str = "auditor", **profile: Any) -> Desk:
        made = desk(account, **{"timezone_id": "Asia/Shanghai", **profile})
        made.page.goto(f"{made.base}/auditor/{where}")
        return made

    return make


@pytest.fixture
def log(place: Place) -> Log:
    return Log(place.platform)


def settled_log(page: Page) -> None:
    expect(page.locator(".live")).to_contain_text("Log verified")


def items(place: Place, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = place.get("auditor", "/audit/events", **query).json()["items"]
    return found


def release(place: Place, mina: Held) -> dict[str, Any]:
    """The newest read of hers that let something out."""
    told = items(place, subject=mina.subject, type="release", purpose=MARKETING)
    return next(one for one in told if one["data"]["released"])


# -- search


def test_events_are_found_by_person_field_purpose_and_time_and_the_address_keeps_what_was_asked(
    auditor: Callable[..., Desk], place: Place, mina: Held
) -> None:
    page = auditor().page
    page.get_by_label("Person", exact=True).fill(mina.subject)
    page.get_by_label("Field", exact=True).select_option(EMAIL)
    page.get_by_label("Purpose", exact=True).select_option(MARKETING)
    page.get_by_label("Event", exact=True).select_option("release")
    page.get_by_label("From", exact=True).fill("2026-11-22T15:00:00")  # 07:00 UTC
    page.get_by_role("button", name="Search").click()
    rows = len(items(place, subject=mina.subject, field=EMAIL, purpose=MARKETING, type="release"))
    expect(page.locator(".events:not(.waiting) tbody tr")).to_have_count(rows)
    expect(page.locator(".events tbody")).not_to_contain_text("Collected")
    assert "from=2026-11-22T07" in page.url
    page.reload()
    expect(page.locator(".events:not(.waiting) tbody tr")).to_have_count(rows)
    assert page.get_by_label("Person", exact=True).input_value() == mina.subject
    assert page.get_by_label("From", exact=True).input_value().startswith("2026-11-22T15:00")
    expect(page.get_by_text("Asia/Shanghai (GMT+08:00)")).to_be_visible()
    page.get_by_label("From", exact=True).fill("2026-12-24T15:00:00")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("Nothing in the log fits")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".events:not(.waiting) tbody tr").nth(20)).to_be_visible()


def test_who_did_it_is_chosen_by_name_and_a_person_by_the_did_of_their_wallet(
    auditor: Callable[..., Desk], mina: Held
) -> None:
    page = auditor(f"#/search?person={mina.did}").page
    rows = page.locator(".events:not(.waiting) tbody tr")
    expect(rows.filter(has_text="Consent given")).to_have_count(1)
    page.get_by_label("Who", exact=True).select_option("Staff (marketing)")
    page.get_by_role("button", name="Search").click()
    expect(rows.filter(has_text="Consent given")).to_have_count(0)
    expect(rows.first).to_contain_text("Staff")


def test_older_pages_have_addresses_and_the_way_back(auditor: Callable[..., Desk], place: Place, mina: Held) -> None:
    for _ in range(12):
        place.shown(mina.subject)
    until(lambda: len({one["leaf"] for one in items(place, limit=200)}) > 25)
    page = auditor().page
    first = page.locator(".events:not(.waiting) tbody tr a").first
    newest = first.get_attribute("href")
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    expect(first).not_to_have_attribute("href", str(newest))
    assert "before=" in page.url
    page.go_back()
    expect(first).to_have_attribute("href", str(newest))


# -- one event


def test_an_event_shows_who_what_for_under_which_ground_and_is_proved_in_the_browser(
    auditor: Callable[..., Desk], place: Place, mina: Held
) -> None:
    told = release(place, mina)
    page = auditor(f"#/record/{told['leaf']}/{told['place']}").page
    expect(page.locator(".proof li.good")).to_have_count(5)
    facts = page.locator(".facts-card").first
    for text in ("Staff", "marketing", MARKETING, "Asia/Shanghai", str(told["event"])):
        expect(facts).to_contain_text(text)
    row = page.locator("tr", has_text="E-mail address")
    expect(row).to_contain_text("Released")
    row.get_by_role("button", name="Consent").click()
    paper = page.locator("article.paper:focus")
    expect(paper).to_contain_text("Signature verified in this browser")
    expect(paper).to_contain_text("It was valid when this happened")
    expect(paper).to_contain_text("The customer's wallet")
    expect(paper).to_contain_text("eddsa-jcs-2022")
    row.get_by_role("link").click()
    expect(page.locator(".graph")).to_be_visible()


@pytest.mark.parametrize(
    ("bend", "step"),
    [
        (lambda told: told["record"]["data"].update(released=[]), "What is shown above"),
        (lambda told: told["file"]["record"]["data"].update(released=[]), "This record is what leaf"),
        (lambda told: told["file"]["log"].update(index=told["file"]["log"]["index"] - 1), "The leaf is in the log"),
        (lambda told: told.update(checkpoint=told["checkpoint"].replace("\n", "\n1", 1)), "The head of the log"),
    ],
    ids=["what is shown", "what was logged", "its place", "the head"],
)
def test_a_server_that_bends_a_record_is_caught_at_the_step_that_fails(
    auditor: Callable[..., Desk], place: Place, mina: Held, bend: Callable[[dict[str, Any]], None], step: str
) -> None:
    told = release(place, mina)
    page = auditor().page
    settled_log(page)

    def bent(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        bend(body)
        route.fulfill(response=answer, json=body)

    page.route("**/audit/records/**", bent)
    page.goto(f"{place.base}/auditor/#/record/{told['leaf']}/{told['place']}")
    bad = page.locator(".proof li.bad")
    expect(bad).to_have_count(1)
    expect(bad).to_contain_text(step)
    expect(bad).to_contain_text("does not hold")


def test_a_credential_that_was_changed_is_told(auditor: Callable[..., Desk], place: Place, mina: Held) -> None:
    told = release(place, mina)
    page = auditor().page

    def bent(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body["credentials"][0]["document"]["validUntil"] = "2036-01-01T00:00:00Z"
        route.fulfill(response=answer, json=body)

    page.route("**/audit/records/**", bent)
    page.goto(f"{place.base}/auditor/#/record/{told['leaf']}/{told['place']}")
    expect(page.locator("article.paper")).to_contain_text("The signature does not hold")
    expect(page.locator(".proof li.good")).to_have_count(5)


def test_a_record_that_is_not_there_is_told(auditor: Callable[..., Desk]) -> None:
    made = auditor("#/record/999999/0")
    expect(made.page.get_by_role("alert")).to_contain_text("The log has no such record")
    made.complaints[:] = [one for one in made.complaints if "status of 404" not in one]


# -- the log


def hashes(place: Place, size: int) -> list[bytes]:
    with place.platform.database.read() as session:
        query = select(LogEntry.leaf_hash).where(col(LogEntry.leaf_index) < size).order_by(col(LogEntry.leaf_index))
        return list(session.exec(query))


def forged(log: Log, leaves: list[bytes], since: int | None) -> dict[str, Any]:
    """Another history as the log's own key would sign it: with its head, and its proof since then."""
    size, root = len(leaves), rfc6962.root(leaves)
    head = note.sign_note(note.checkpoint(log.origin, size, root), log.origin, log.signer)
    proof = rfc6962.consistency(since, leaves) if since is not None and since <= size else []
    return {
        "origin": log.origin, "size": size, "root": b64encode(root).decode(), "key": log.vkey, "checkpoint": head,
        "since": since, "consistency": [b64encode(one).decode() for one in proof],
    }  # fmt: skip


def answering(page: Page, make: Callable[[int | None], dict[str, Any]]) -> None:
    def answer(route: Route) -> None:
        found = re.search(r"since=(\d+)", route.request.url)
        route.fulfill(json=make(int(found[1]) if found else None))

    page.route(re.compile(r"/audit/log(\?|$)"), answer)


def test_the_log_is_remembered_and_only_grows(auditor: Callable[..., Desk], place: Place, mina: Held) -> None:
    page = auditor("#/log").page
    settled_log(page)
    expect(page.get_by_text("Seen for the first time in this browser")).to_be_visible()
    before = page.evaluate("JSON.parse(localStorage['fieldgrant.audit.log']).head.size")
    place.shown(mina.subject)
    until(lambda: place.get("auditor", "/audit/log").json()["size"] > before)
    page.reload()
    expect(page.get_by_text(re.compile("It only grew: \\d+ new entr"))).to_be_visible()
    expect(page.locator(".raw").first).to_contain_text("/audit")
    expect(page.locator(".print")).to_have_text(re.compile("^([0-9a-f]{4} ){15}[0-9a-f]{4}$"))


def test_a_forked_log_is_loud_on_every_screen_and_its_evidence_is_kept(
    auditor: Callable[..., Desk], place: Place, log: Log
) -> None:
    """The attack: the log's own key signs another history, with a proof that is sound for that history."""
    page = auditor().page
    settled_log(page)
    seen = page.evaluate("JSON.parse(localStorage['fieldgrant.audit.log']).head")
    leaves = hashes(place, int(seen["size"]))
    leaves[3] = rfc6962.leaf_hash(b"something else happened")
    leaves += [rfc6962.leaf_hash(b"later")]
    answering(page, lambda since: forged(log, leaves, since))
    page.reload()
    alarm = page.locator(".alarm")
    expect(alarm).to_contain_text("The log was forked")
    expect(page.locator(".live")).to_have_text("Log not verified")
    for where in ("#/exports", "#/verify", "#/provenance"):
        page.goto(f"{place.base}/auditor/{where}")
        expect(alarm).to_be_visible()
    alarm.get_by_role("link", name="See the evidence").click()
    evidence = page.locator(".evidence")
    expect(evidence).to_contain_text(seen["root"])
    expect(evidence).to_contain_text(b64encode(rfc6962.root(leaves)).decode())
    with page.expect_download() as saved:
        evidence.get_by_role("button", name="Save the evidence").click()
    kept = json.loads(Path(saved.value.path()).read_text(encoding="utf-8"))
    first, second = (
        note.parse_checkpoint(note.open_note(text.encode(), log.vkey))
        for text in (kept["before"]["note"], kept["fault"]["now"])
    )
    assert b64encode(first.root).decode() == seen["root"]
    assert rfc6962.root(hashes(place, first.size)) == first.root
    assert second.root == rfc6962.root(leaves)
    page.unroute_all()  # an honest answer afterwards does not make it good
    page.reload()
    expect(alarm).to_be_visible()
    page.get_by_role("button", name="Forget what was seen").click()
    page.get_by_role("button", name="Forget it").click()
    settled_log(page)
    expect(alarm).to_have_count(0)


def test_without_what_was_seen_before_the_same_fork_would_pass(
    auditor: Callable[..., Desk], place: Place, log: Log
) -> None:
    """The control: a fork is told by memory alone, so a browser without one believes it."""
    page = auditor("#/verify").page
    settled_log(page)
    page.evaluate("localStorage.clear()")
    leaves = hashes(place, 9)
    leaves[3] = rfc6962.leaf_hash(b"something else happened")
    answering(page, lambda since: forged(log, leaves, since))
    page.reload()
    settled_log(page)


def test_a_shorter_log_another_key_and_a_head_without_signature_are_told(
    auditor: Callable[..., Desk], place: Place, log: Log
) -> None:
    page = auditor().page
    settled_log(page)
    leaves = hashes(place, 9)
    kept = page.evaluate("localStorage['fieldgrant.audit.log']")
    stranger = note.vkey(log.origin, bytes(range(32)))
    honest = place.get("auditor", "/audit/log").json()

    def shorter(since: int | None) -> dict[str, Any]:
        return forged(log, leaves, since if since is not None and since <= len(leaves) else None)

    for bent, words in (
        (shorter, "The log became shorter"),
        (lambda since: {**honest, "key": stranger}, "another key of the log"),
        (
            lambda since: {**honest, "checkpoint": honest["checkpoint"].replace("\n", "\n9", 1)},
            "not signed with its key",
        ),
    ):
        answering(page, bent)
        page.evaluate("text => { localStorage['fieldgrant.audit.log'] = text }", kept)
        page.reload()
        expect(page.locator(".alarm")).to_contain_text(words)
        page.unroute_all()


def test_another_history_that_is_shown_with_one_event_only_is_a_fork_too(
    auditor: Callable[..., Desk], place: Place, mina: Held, log: Log
) -> None:
    """A split view: `/audit/log` is honest, and the event comes with a head of another log of the same key."""
    told = release(place, mina)
    page = auditor().page
    settled_log(page)

    def bent(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        size = int(body["checkpoint"].split("\n")[1])
        leaves = hashes(place, size)
        leaves[3] = rfc6962.leaf_hash(b"something else happened")
        proof = [b64encode(one).decode() for one in rfc6962.inclusion(leaves, told["leaf"])]
        body["file"]["log"]["proof"] = proof
        body["checkpoint"] = forged(log, leaves, None)["checkpoint"]
        route.fulfill(response=answer, json=body)

    page.route("**/audit/records/**", bent)
    page.goto(f"{place.base}/auditor/#/record/{told['leaf']}/{told['place']}")
    expect(page.locator(".proof li.bad")).to_contain_text("continues the one that this browser saw")
    expect(page.locator(".proof li.good")).to_have_count(4)
    expect(page.locator(".alarm")).to_contain_text("The log was forked")


def test_a_key_from_elsewhere_is_what_counts_from_then_on(auditor: Callable[..., Desk], log: Log) -> None:
    page = auditor("#/log").page
    settled_log(page)
    own = page.get_by_label("Use a key that you have from elsewhere")
    own.fill("nonsense")
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_text("This is no verifier key")).to_be_visible()
    own.fill(log.vkey)
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_text("You gave it.")).to_be_visible()
    settled_log(page)
    own.fill(note.vkey(log.origin, bytes(range(32))))
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator(".alarm")).to_be_visible()


# -- provenance


def test_the_drawing_and_the_table_say_the_same_and_both_are_reached_by_keyboard(
    auditor: Callable[..., Desk], mina: Held
) -> None:
    page = auditor(f"#/provenance/{mina.subject}/{EMAIL}").page
    page.locator(".graph").wait_for()
    groups = "all => all.map(one => one.closest('g').getAttribute('aria-label') + ': ' + one.textContent)"
    drawn = page.eval_on_selector_all(".graph a", groups)
    rows = page.get_by_role("table", name="The same as a table").locator("tbody tr")
    cells = [[row.locator("th").inner_text(), *row.locator("td").all_inner_texts()] for row in rows.all()]
    told = [f"{part}: {what} {count}" for what, part, count, *_ in cells]
    assert sorted(one.split(" · ")[0] for one in drawn) == sorted(told)
    text = " ".join(drawn)
    for part in ("Came by: Collected", "Allowed by: Consent given", "Used for:", "Ended by: Consent withdrawn"):
        assert part in text
    assert "Ended by: Shredded" in text or "Ended by: Sealed" in text
    first = page.locator(".graph a").first
    first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".events:not(.waiting) tbody tr").first).to_be_visible()
    assert mina.subject in page.url


def test_a_value_that_nobody_knows_has_no_story(auditor: Callable[..., Desk], mina: Held) -> None:
    made = auditor("#/provenance")
    page = made.page
    expect(page.get_by_text("Whose value, and which?")).to_be_visible()
    page.get_by_label("Person", exact=True).fill("sub_nobody")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing about this person")
    page.goto(f"{made.base}/auditor/#/provenance/{mina.subject}/vehicle.vin")
    expect(page.get_by_text("Nothing is on record about this field")).to_be_visible()
    made.complaints[:] = [one for one in made.complaints if "status of 404" not in one]


# -- exports


@contextmanager
def holding(exports: Exports) -> Iterator[None]:
    """Be the one process that makes bundles."""
    while True:
        with exports.working() as ours:
            if ours:
                yield
                return


def test_an_export_is_watched_kept_by_its_address_and_what_is_downloaded_verifies_offline(
    auditor: Callable[..., Desk], place: Place, mina: Held, log: Log
) -> None:
    page = auditor(f"#/provenance/{mina.subject}/{EMAIL}").page
    page.get_by_role("link", name="Export the evidence").click()
    page.get_by_label("Purpose", exact=True).select_option(MARKETING)
    page.get_by_role("button", name="Make the bundle").click()
    fetch = page.get_by_role("link", name="Download the bundle")
    expect(fetch).to_be_visible()
    page.reload()
    with page.expect_download() as coming:
        fetch.click()
    data = Path(coming.value.path()).read_bytes()
    assert coming.value.suggested_filename.startswith("bundle-")
    report = verify.verify(data, log.vkey)
    assert report.status == 0, report
    assert MARKETING in next(one.detail for one in report.checks if one.name == "chain")
    told = items(place, subject=mina.subject, type="bundle.exported")[0]["data"]
    assert told == {"fields": [EMAIL], "scope": {"purpose": MARKETING}}
    page.get_by_role("link", name="All exports").click()
    expect(page.locator("section tbody tr").first).to_contain_text("Ready")


def test_an_export_shows_how_far_it_is_and_can_be_stopped_and_taken_up_again(
    auditor: Callable[..., Desk], place: Place, mina: Held
) -> None:
    exports = Exports(place.platform)
    page = auditor(f"#/exports?person={mina.subject}").page
    with holding(exports):  # the worker of the server makes nothing meanwhile
        page.get_by_role("button", name="Make the bundle").click()
        expect(page.get_by_text("Waiting", exact=True)).to_be_visible()
        job = exports.take()
        assert job is not None
        exports.tell(job, "proving", 3, 12)
        expect(page.get_by_text("Proving records: 3 of 12")).to_be_visible()
        assert page.locator("progress").evaluate("one => one.value / one.max") == 0.25
        page.reload()
        expect(page.get_by_text("Proving records: 3 of 12")).to_be_visible()
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("Stopped", exact=True)).to_be_visible()
        with pytest.raises(StoppedError):
            exports.tell(job, "proving", 4, 12)
    page.get_by_role("button", name="Take it up again").click()
    expect(page.get_by_role("link", name="Download the bundle")).to_be_visible()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("Stopped", exact=True)).to_be_visible()
    assert not exports.path(job.id).exists()


def test_an_export_that_cannot_be_made_says_why_and_one_that_is_gone_too(
    auditor: Callable[..., Desk], mina: Held
) -> None:
    made = auditor("#/exports")
    page = made.page
    page.get_by_role("button", name="Make the bundle").click()
    expect(page.get_by_text("Give the person's reference.")).to_be_visible()
    page.get_by_label("Person", exact=True).fill("sub_nobody")
    page.get_by_role("button", name="Make the bundle").click()
    expect(page.get_by_text("The log holds nothing about this person.")).to_be_visible()
    page.goto(f"{made.base}/auditor/#/exports/{'0' * 32}")
    expect(page.get_by_text("This export is not there any more")).to_be_visible()
    made.complaints[:] = [one for one in made.complaints if "status of 404" not in one]


# -- verification


@pytest.fixture
def bundle(place: Place, mina: Held) -> bytes:
    return place.get("auditor", "/audit/bundles", subject=mina.subject).content


def drop(page: Page, data: bytes, name: str = "bundle.zip") -> None:
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "application/zip", "buffer": data})


def test_a_bundle_is_checked_and_every_check_is_told_in_words(auditor: Callable[..., Desk], bundle: bytes) -> None:
    page = auditor("#/verify").page
    settled_log(page)
    drop(page, bundle)
    expect(page.locator(".verdict")).to_contain_text("The bundle is valid")
    expect(page.locator(".checks tbody tr.ok")).to_have_count(11)
    page.get_by_label("Language").select_option("zh-CN")
    expect(page.locator(".verdict")).to_contain_text("证据包有效")


def test_a_tampered_bundle_is_named_at_the_check_that_fails(auditor: Callable[..., Desk], bundle: bytes) -> None:
    files = container.unpack(bundle)
    one = next(name for name in sorted(files) if name.startswith("events/"))
    cases = [
        (bundle[:-30], "File", 10),
        (container.pack({**files, "README.txt": b"nothing to see"}), "Manifest", 9),
        (container.pack({**files, one: files[one].replace(b'"v":1', b'"v":2')}), "Manifest", 9),
    ]
    page = auditor("#/verify").page
    settled_log(page)
    for data, check, unreached in cases:
        drop(page, data)
        expect(page.locator(".verdict")).to_contain_text(f"It fails at: {check}")
        expect(page.locator(".checks tr.failed")).to_contain_text(check)
        expect(page.locator(".checks tr.unreached")).to_have_count(unreached)


def test_a_bundle_under_another_key_fails_at_the_statement(
    auditor: Callable[..., Desk], bundle: bytes, log: Log
) -> None:
    page = auditor("#/verify").page
    page.get_by_label("The log's key, from elsewhere").fill(note.vkey(log.origin, bytes(range(32))))
    drop(page, bundle)
    expect(page.locator(".verdict")).to_contain_text("It fails at: Statement")
    expect(page.locator(".verdict")).to_contain_text("Checked with your key")


def test_what_is_too_large_or_empty_is_not_sent_and_a_drop_is_a_choice(
    auditor: Callable[..., Desk], bundle: bytes
) -> None:
    page = auditor("#/verify").page
    page.locator(".drop").wait_for()
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if "verifications" in one.url else None)
    page.evaluate("""() => {
        const file = new File([new Uint8Array(33e6)], "large.zip");
        const given = new DataTransfer();
        given.items.add(file);
        document.querySelector(".drop").dispatchEvent(new DragEvent("drop", {dataTransfer: given, bubbles: true}));
    }""")
    expect(page.get_by_role("alert")).to_contain_text("at most 32 MB are checked here")
    drop(page, b"")
    expect(page.get_by_role("alert")).to_contain_text("This file is empty")
    assert sent == []
    page.evaluate(
        """text => {
        const bytes = Uint8Array.from(atob(text), one => one.charCodeAt(0));
        const given = new DataTransfer();
        given.items.add(new File([bytes], "bundle.zip"));
        document.querySelector(".drop").dispatchEvent(new DragEvent("drop", {dataTransfer: given, bubbles: true}));
    }""",
        b64encode(bundle).decode(),
    )
    expect(page.locator(".verdict")).to_contain_text("The bundle is valid")
    assert len(sent) == 1


def test_a_check_can_be_stopped_and_a_server_that_refuses_the_size_is_understood(
    auditor: Callable[..., Desk], bundle: bytes
) -> None:
    made = auditor("#/verify")
    page = made.page
    held: list[Route] = []
    page.route("**/audit/verifications*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks it
    drop(page, bundle)
    expect(page.get_by_text(re.compile("(Sending|Checking) bundle.zip"))).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Drop a bundle here")).to_be_visible()
    page.unroute_all()
    page.route("**/audit/verifications*", lambda route: route.fulfill(status=413, json={"code": "too_large"}))
    drop(page, bundle)
    expect(page.get_by_role("alert")).to_contain_text("does not take a file of this size")
    made.complaints[:] = [one for one in made.complaints if "status of 413" not in one]


# -- who, and what not


@pytest.mark.parametrize("role", ["sales", "marketing", "service", "admin", "steward"])
def test_other_roles_are_told_and_nothing_is_asked_for_in_their_name(desk: Open, place: Place, role: str) -> None:
    made = desk(role)
    asked: list[str] = []
    made.page.on("request", lambda one: asked.append(one.url))
    before = len(place.attempts())
    made.page.goto(f"{made.base}/auditor/#/log")
    expect(made.page.get_by_text("This page is for auditors")).to_be_visible()
    expect(made.page.get_by_role("navigation").get_by_role("link")).to_have_count(0)
    assert not [url for url in asked if "/audit/" in url]
    assert len(place.attempts()) == before
    assert made.faults() == []


def test_the_data_protection_officer_may_look_too(auditor: Callable[..., Desk]) -> None:
    settled_log(auditor(account="dpo").page)


def test_an_ended_session_is_told_at_the_door(auditor: Callable[..., Desk]) -> None:
    made = auditor()
    page = made.page
    page.locator(".events tbody tr").first.wait_for()
    page.context.clear_cookies()
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text("Your sign-in has ended")).to_be_visible()


def test_no_value_of_a_customer_is_in_anything_that_the_page_is_told(
    auditor: Callable[..., Desk], place: Place, mina: Held
) -> None:
    heard: list[str] = []
    made = auditor("#/log")
    page = made.page

    def hear(answer: Any) -> None:
        if "/audit/" in answer.url or "/crm/" in answer.url:
            heard.append(answer.text())

    page.on("response", hear)
    told = release(place, mina)
    for where in (
        "#/search", f"#/search?person={mina.subject}", f"#/record/{told['leaf']}/{told['place']}",
        f"#/provenance/{mina.subject}/{EMAIL}", "#/exports", "#/log",
    ):  # fmt: skip
        page.goto(f"{made.base}/auditor/{where}")
        page.reload()
        page.locator(".card").first.wait_for()
        page.wait_for_load_state("networkidle")
    heard.append(page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])"))
    assert len(heard) > 10
    assert EMAIL in "".join(heard)  # names of fields are
    values = [mina.customer.email, mina.customer.phone, mina.customer.phone.replace(" ", ""), "Xiamen"]
    values += [f"person{n}@" for n in range(CUSTOMERS)] + [f"Family{n}" for n in range(CUSTOMERS)]
    assert not [value for value in values if value in "".join(heard)]
    assert PASSWORD not in "".join(heard)


@pytest.mark.parametrize("profile", VIEWS, ids=lambda view: str(view["locale"]))
def test_the_door_is_accessible(desk: Open, profile: dict[str, Any]) -> None:
    nobody = desk(**profile)
    nobody.page.goto(f"{nobody.base}/auditor/")
    nobody.page.locator("[name=account]").wait_for()
    assert nobody.faults() == []


@pytest.mark.parametrize("profile", VIEWS, ids=lambda view: str(view["locale"]))
def test_every_screen_is_accessible(
    auditor: Callable[..., Desk], place: Place, mina: Held, profile: dict[str, Any]
) -> None:
    told = release(place, mina)
    bundle = place.get("auditor", "/audit/bundles", subject=mina.subject).content
    made = auditor(**profile)
    page = made.page
    for where, wait in (
        ("#/search", ".events tbody tr"),
        ("#/search?type=archive.moved", ".empty"),
        (f"#/record/{told['leaf']}/{told['place']}", ".proof li.good:nth-child(5)"),
        ("#/provenance", ".empty"),
        (f"#/provenance/{mina.subject}/{EMAIL}", ".graph"),
        (f"#/exports?person={mina.subject}", "form"),
        ("#/verify", ".drop"),
        ("#/log", ".print"),
    ):
        page.goto(f"{made.base}/auditor/{where}")
        page.locator(wait).first.wait_for()
        assert made.faults() == [], where
    page.goto(f"{made.base}/auditor/#/exports?person={mina.subject}")
    page.locator("form button[type=submit]").click()
    page.locator("a[download]").wait_for()
    assert made.faults() == []
    page.goto(f"{made.base}/auditor/#/verify")
    drop(page, bundle[:-30])
    page.locator(".verdict").wait_for()
    assert made.faults() == []


def test_everything_is_readable_at_twice_the_size(auditor: Callable[..., Desk], mina: Held) -> None:
    made = auditor(
        f"#/provenance/{mina.subject}/{EMAIL}", viewport={"width": 640, "height": 400}, device_scale_factor=2
    )
    made.page.locator(".graph").wait_for()
    assert made.faults() == []


def test_everything_is_reached_by_keyboard(auditor: Callable[..., Desk]) -> None:
    page = auditor().page
    page.locator(".events tbody tr").first.wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skip to content
    assert page.evaluate("document.activeElement.id") == "content"
    reached = []
    for _ in range(24):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.innerText || ''").strip())
    names = ["person", "field", "type", "actor", "purpose"]
    assert [one for one in reached if one in names] == names
    page.locator(".events tbody a").first.focus()
    page.keyboard.press("Enter")
    page.locator(".proof").wait_for()
    assert page.evaluate("document.activeElement.id") == "content"


def test_a_server_that_fails_is_told_and_can_be_tried_again(auditor: Callable[..., Desk]) -> None:
    made = auditor("#/log")
    page = made.page
    settled_log(page)
    page.route("**/audit/events*", lambda route: route.fulfill(status=500, body="oops"))
    page.goto(f"{made.base}/auditor/#/search")
    expect(page.get_by_role("alert")).to_contain_text("The server had a problem")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".events tbody tr").first).to_be_visible()
    page.route(re.compile(r"/audit/log(\?|$)"), lambda route: route.abort())
    page.reload()
    expect(page.locator(".live")).to_have_text("The log cannot be reached")
    made.complaints[:] = [one for one in made.complaints if "status of 500" not in one and "ERR_FAILED" not in one]

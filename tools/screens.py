"""Pictures of every screen of the three pages for docs/screens/, as a customer and staff come to see them.

    .venv/bin/python tools/screens.py                         starts the demo itself, in a temporary folder
    .venv/bin/python tools/screens.py --port 8700 --home .    of `python3 dev.py serve --port 8700` in another terminal
    .venv/bin/python tools/screens.py --only wallet --to /tmp/pictures

Each screen in English at 1280 px and light, and in Chinese at 360 px and dark; the main ones the other way round too.
WebP, made by the browser itself; a long screen is cut below.
"""

import argparse
import base64
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Error, Locator, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.browser import chromium, house, kept  # noqa: E402 - the tests know where a browser is, and the way
from tests.browser.conftest import Seen  # noqa: E402
from tests.browser.house import House  # noqa: E402
from tests.browser.pocket import PASSPHRASE, Pocket  # noqa: E402
from tests.browser.words import Words  # noqa: E402

WIDE, SMALL = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
ALL: Final = (("en-1280", "en-GB", WIDE, "light"), ("zh-360", "zh-CN", SMALL, "dark"))
MORE: Final = (("zh-1280", "zh-CN", WIDE, "dark"), ("en-360", "en-GB", SMALL, "light"))
MAIN: Final = frozenset(
    {"wallet-home", "wallet-ask", "wallet-data", "wallet-history", "desk-customers", "desk-customer", "desk-ask",
     "desk-board", "audit-search", "audit-event", "audit-provenance"}
)  # fmt: skip
LONGEST: Final = 1_600  # pixels
QUALITY: Final = 0.82
CONTACTS: Final = """Email,First name,Last name,Mobile,Town,Shoe size
yu.fang@example.cn,Fang,Yu,+86 138 0000 9911,Hangzhou,39
b.keller@example.de,Bruno,Keller,+49 151 000 9912,Kiel,44
no address,Wen,Zhao,+86 138 0000 9913,Wuhan,41
"""
BECAUSE: Final = {
    "en": "Your call of this morning: the number was read to ring you back, the city to find a workshop nearby.",
    "zh-CN": "为回复您今早的来电：读取号码以便回拨，读取城市以便就近安排服务网点。",
}
_WEBP = """async ([png, quality]) => {
  const bitmap = await createImageBitmap(await (await fetch('data:image/png;base64,' + png)).blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('2d').drawImage(bitmap, 0, 0);
  const bytes = new Uint8Array(await (await canvas.convertToBlob({type: 'image/webp', quality})).arrayBuffer());
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}"""


class Camera:
    """Takes pictures of one view and keeps them as WebP; of a screen that is not there yet it says so and goes on."""

    def __init__(self, browser: Browser, to: Path, view: str, only: frozenset[str] | None) -> None:
        self.dark_room, self.to, self.view, self.only = browser.new_page(), to, view, only

    def take(self, page: Page, name: str) -> None:
        if self.only is not None and name not in self.only:
            return
        page.evaluate("Promise.all(document.getAnimations().map(one => one.finished.catch(() => 0)))")
        dialog = page.get_by_role("dialog").count() > 0
        size = page.viewport_size or WIDE
        tall = int(page.evaluate("document.documentElement.scrollHeight"))
        if not dialog and tall > size["height"]:  # a taller window: a bar at its foot stays at its foot
            page.set_viewport_size({"width": size["width"], "height": min(LONGEST, tall)})
        png = page.screenshot(animations="disabled", caret="hide")
        page.set_viewport_size(size)
        text = self.dark_room.evaluate(_WEBP, [base64.b64encode(png).decode(), QUALITY])
        (self.to / f"{name}-{self.view}.webp").write_bytes(base64.b64decode(text))


class Desk:
    """The staff pages."""

    def __init__(self, page: Page, home: House, words: Words, camera: Camera) -> None:
        self.page, self.home, self.words, self.camera = page, home, words, camera

    def enter(self, account: str, place: str = "/desk/") -> None:
        self.page.context.clear_cookies()
        self.page.goto(f"{self.home.base}{place}")
        self.page.reload()
        self.page.get_by_label(self.words("account"), exact=True).fill(account)
        self.page.get_by_label(self.words("password"), exact=True).fill(self.home.password(account))
        self.page.keyboard.press("Enter")
        self.page.get_by_role("navigation").wait_for()

    def go(self, where: str, wait: str = "main h1") -> None:
        self.page.goto(f"{self.home.base}/desk/#/{where}")
        self.ready(self.page.locator(wait).first)

    def ready(self, what: Locator) -> None:
        what.wait_for()
        self.page.get_by_text(self.words("loading")).first.wait_for(state="hidden")

    def all(self, subject: str) -> None:
        page, take = self.page, self.camera.take
        page.goto(f"{self.home.base}/desk/")
        self.ready(page.locator("form"))
        take(page, "desk-sign-in")
        self.enter("mei")
        page.get_by_label(self.words("reading_for")).select_option("marketing")
        page.locator(".list td.withheld").first.wait_for(state="attached")
        take(page, "desk-customers")
        self.go(f"customers/{subject}", ".group")
        take(page, "desk-customer")
        page.locator(".group .chip.lock").nth(2).click()
        take(page, "desk-lock")
        page.locator("dialog .button.primary").click()
        self.ready(page.locator(".notice"))
        take(page, "desk-ask")
        self.go("asks", "tbody tr")
        take(page, "desk-requests")
        self.enter("dora")
        for name in ("grounds", "board", "catalogue"):
            self.go(name)
            self.ready(page.locator("main .card").first)
            take(page, f"desk-{name}")
        page.get_by_role("button", name=Words("desk.catalogue", self.words.locale)("begin"), exact=True).click()
        self.ready(page.locator("form.sign"))
        take(page, "desk-catalogue-edit")
        self.rights()
        self.enter("ada")
        self.go("import")
        take(page, "desk-import")
        file = {"name": "contacts.csv", "mimeType": "text/csv", "buffer": CONTACTS.encode()}
        page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
        page.locator(".choice").first.wait_for()
        take(page, "desk-import-columns")
        self.enter("sina")
        self.go("asks", "tbody tr")
        page.get_by_role("button", name=self.words("asks.hand"), exact=True).first.click()
        page.get_by_role("dialog").get_by_role("img").wait_for()
        take(page, "desk-hand-over")

    def rights(self) -> None:
        """What customers ask by law; one of it, and the words of an answer."""
        page, words = self.page, Words("desk.rights", self.words.locale)
        self.go("rights", "tbody tr")
        self.camera.take(page, "desk-rights")
        page.get_by_role("link", name=words("kind.explanation"), exact=True).last.click()
        self.ready(page.get_by_role("region", name=words("steps"), exact=True))
        self.camera.take(page, "desk-right")
        page.get_by_role("button", name=words("answer.explanation"), exact=True).click()
        page.get_by_role("dialog").wait_for()
        self.camera.take(page, "desk-explain")


class Auditor(Desk):
    """The auditors' page."""

    def go(self, where: str, wait: str = "main h1") -> None:
        self.page.goto(f"{self.home.base}/auditor/#/{where}")
        self.ready(self.page.locator(wait).first)

    def all(self, subject: str) -> None:
        page, take = self.page, self.camera.take
        page.goto(f"{self.home.base}/auditor/")
        self.ready(page.locator("form"))
        take(page, "audit-sign-in")
        self.enter("aron", "/auditor/")
        self.go(f"search?person={subject}", "tbody tr")
        take(page, "audit-search")
        page.locator("tbody tr a").first.click()
        self.ready(page.get_by_text(self.words("proof.same")).first)
        take(page, "audit-event")
        self.go(f"provenance/{subject}/contact.email", "main table")
        take(page, "audit-provenance")
        self.go("exports")
        page.get_by_label(self.words("person")).fill(subject)
        page.get_by_role("button", name=self.words("exports.do"), exact=True).click()
        fetch = page.get_by_role("link", name=self.words("export.fetch"), exact=True)
        fetch.wait_for()
        take(page, "audit-export")
        with page.expect_download() as taken:
            fetch.click()
        bundle = Path(tempfile.mkdtemp()) / "bundle.zip"
        taken.value.save_as(bundle)
        self.go("exports", "tbody tr")
        take(page, "audit-exports")
        self.go("verify")
        page.get_by_label(self.words("verify.drop")).set_input_files(bundle)
        page.get_by_role("heading", name=self.words("verdict.valid"), exact=True).wait_for()
        take(page, "audit-verify")
        self.go("log", "main .card")
        take(page, "audit-log")


class Wallet:
    """The customer's page. `saved` is a wallet with a consent and an ask; nothing of it is changed but by the last."""

    def __init__(self, page: Page, home: House, words: Words, camera: Camera) -> None:
        self.mine, self.home, self.camera = Pocket(page, words), home, camera

    def before(self) -> None:
        """Up to the code of an invitation; in a profile of its own, that is left behind."""
        mine, take = self.mine, self.camera.take
        page = mine.page
        invited = self.home.invite()
        page.goto(invited.link)
        mine.heading("start.title").wait_for()
        take(page, "wallet-start")
        mine.button("start.file").click()
        take(page, "wallet-from-file")
        mine.button("back").click()
        mine.button("start.create").click()
        take(page, "wallet-passphrase")
        mine.twice(PASSPHRASE)
        mine.button("start.create").click()
        mine.heading("enrol.code.title").wait_for()
        take(page, "wallet-code")
        mine.to("home")
        page.get_by_role("link", name=mine.words("home.open")).wait_for()
        take(page, "wallet-home-empty")
        page.get_by_role("link", name=mine.words("home.open")).click()
        mine.field("enrol.link").wait_for()
        take(page, "wallet-invitation")
        mine.button("lock").click()
        mine.field("passphrase").wait_for()
        take(page, "wallet-locked")

    def all(self) -> None:
        mine, take = self.mine, self.camera.take
        page = mine.page
        for place in page.get_by_role("navigation").get_by_role("link").all():
            name = str(place.get_attribute("href")).rpartition("/")[2]
            place.click()
            page.locator("main h1").wait_for()
            page.locator("main .loading").first.wait_for(state="detached")
            if name in {"history", "receipts", "requests"}:
                page.locator("main summary").first.click()
            take(page, f"wallet-{name}")
        mine.to("home")
        kept.open_ask(mine)
        mine.button("ask.decline").wait_for()
        take(page, "wallet-ask")
        mine.to("settings")
        mine.section("settings.backup").get_by_role("button", name=mine.words("backup.make")).click()
        page.get_by_role("dialog").wait_for()
        take(page, "wallet-backup")
        mine.field("passphrase").fill(PASSPHRASE)
        mine.button("backup.words").click()
        page.get_by_role("dialog").get_by_role("listitem").nth(23).wait_for()
        page.evaluate("document.querySelectorAll('.words li').forEach(one => { one.textContent = '••••••'; })")
        take(page, "wallet-words")
        page.keyboard.press("Escape")
        mine.to("data")
        page.get_by_role("switch").first.click()
        page.get_by_role("dialog").wait_for()
        take(page, "wallet-switch-off")
        page.keyboard.press("Escape")
        page.evaluate("location.hash = '#/enrol'")
        mine.button("scan").click()
        page.get_by_role("dialog").wait_for()
        page.get_by_role("alert").wait_for()  # there is no camera here
        take(page, "wallet-scan")
        page.keyboard.press("Escape")
        mine.to("requests")
        mine.section("requests.rights").get_by_role("button", name=mine.words("right.access")).click()
        page.get_by_role("dialog").wait_for()
        take(page, "wallet-request")
        page.get_by_role("dialog").get_by_role("button", name=mine.words("right.send"), exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name=mine.words("done"), exact=True).click()
        page.get_by_role("dialog").get_by_text(mine.words("copy.lead")).wait_for()
        take(page, "wallet-copy")


def story(browser: Browser, home: House, language: str) -> kept.Kept:
    """A customer who allowed something, was read, ended something else, and is asked again."""
    with tempfile.TemporaryDirectory() as folder:
        saved = kept.saved(browser, home, Path(folder))
        home.call("mei", "GET", f"/crm/customers/{saved.subject}?purpose=marketing")
        context = browser.new_context(locale="en-GB")
        mine = kept.brought_back(Seen.in_(context), home.wallet, saved)
        ask(home, "sina", saved.subject, "service", ["contact.phone", "address.city"])
        mine.button("refresh").click()
        kept.open_ask(mine)
        ticks = mine.page.get_by_role("checkbox")
        ticks.first.wait_for()
        for tick in ticks.all():
            tick.check()
        mine.page.get_by_role("button", name=re.compile("^Allow")).click()
        mine.heading("ask.given").wait_for()
        home.call("sina", "GET", f"/crm/customers/{saved.subject}?purpose=service")
        why(home, mine, "role.marketing", None)
        why(home, mine, "role.service", BECAUSE[language])
        mine.to("data")
        mine.button("data.withdraw").first.click()
        mine.page.get_by_role("dialog").get_by_role("button", name=mine.words("end.consent"), exact=True).click()
        mine.page.get_by_role("heading", name=mine.words("end.done")).wait_for()
        mine.page.get_by_role("dialog").get_by_role("button", name=mine.words("done"), exact=True).click()
        mine.to("receipts")
        house.until(lambda: certified(mine), 60)
        mine.to("settings")
        mine.section("settings.backup").get_by_role("button", name=mine.words("backup.make")).click()
        file = Path(tempfile.mkdtemp()) / "wallet.fieldgrant"
        mine.save_file().save_as(file)
        context.close()
        fields = ["contact.phone", "contact.given_name", "address.city"]
        ask(home, "sina", saved.subject, "service", fields, language)
        return kept.Kept(file, saved.words, saved.subject)


def why(home: House, mine: Pocket, role: str, answer: str | None) -> None:
    """The owner asks why somebody of this role read; with an answer, the officer says it."""
    mine.to("home")
    mine.to("history")
    line = mine.section("place.history").get_by_role("listitem").filter(has_text=mine.words(role)).first
    line.locator("summary").first.click()
    line.get_by_role("button", name=mine.words("why"), exact=True).click()
    line.get_by_role("button", name=mine.words("why.formal"), exact=True).click()
    box = mine.page.get_by_role("dialog")
    box.get_by_role("button", name=mine.words("right.send"), exact=True).click()
    box.get_by_role("button", name=mine.words("done"), exact=True).click()
    if answer:
        items = home.call("dora", "GET", "/issuer/requests").json()["items"]
        newest = max(items, key=lambda one: str(one["received_at"]))
        home.call("dora", "POST", f"/issuer/requests/{newest['id']}/answer", {"explanation": answer})


def ask(home: House, account: str, subject: str, purpose: str, fields: list[str], language: str = "en") -> None:  # noqa: PLR0917
    body = {"subject": subject, "processes": [{"purpose": purpose, "fields": fields}], "language": language}
    home.call(account, "POST", "/issuer/asks", body)


def certified(mine: Pocket) -> bool:
    mine.to("home")
    mine.to("receipts")
    mine.section("receipts.certificates").wait_for()
    mine.page.locator("main .loading").first.wait_for(state="detached")
    return mine.section("receipts.certificates").get_by_role("listitem").count() > 0


def pictures(browser: Browser, home: House, to: Path, only: str) -> None:
    """All of them. A page that cannot be walked through does not keep the others from being seen; it is said."""
    saved = {locale: story(browser, home, language) for locale, language in (("en-GB", "en"), ("zh-CN", "zh-CN"))}
    for views, names in ((ALL, None), (MORE, MAIN)):
        for view, locale, size, scheme in views:
            profile: dict[str, Any] = {"locale": locale, "viewport": size, "color_scheme": scheme}
            walk = Walk(browser, home, Camera(browser, to, view, names), locale, profile)
            for page, act in (("wallet", walk.wallet), ("desk", walk.desk), ("audit", walk.audit)):
                try:
                    if only in {"", page}:
                        act(saved[locale])
                except (KeyError, AssertionError, Error) as error:
                    print(f"{page} {view}: {str(error)[:600]}", file=sys.stderr)


@dataclass(frozen=True)
class Walk:
    """Through the pages in one view."""

    browser: Browser
    home: House
    camera: Camera
    locale: str
    profile: dict[str, Any]

    def page(self) -> Page:
        made = self.browser.new_context(**self.profile).new_page()
        made.set_default_timeout(20_000)
        return made

    def wallet(self, saved: kept.Kept) -> None:
        words = Words("wallet", self.locale)
        if self.camera.only is None:
            Wallet(self.page(), self.home, words, self.camera).before()
        opened = self.page()
        kept.brought_back(Seen(opened), self.home.wallet, saved, self.locale)
        Wallet(opened, self.home, words, self.camera).all()

    def desk(self, saved: kept.Kept) -> None:
        Desk(self.page(), self.home, Words("desk", self.locale), self.camera).all(saved.subject)

    def audit(self, saved: kept.Kept) -> None:
        Auditor(self.page(), self.home, Words("audit", self.locale), self.camera).all(saved.subject)


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, help="of a platform that runs already")
    parser.add_argument("--home", type=Path, default=Path(), help="the folder that it was started in")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "screens")
    parser.add_argument("--only", choices=["wallet", "desk", "audit"], default="")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium.executable(play), args=chromium.arguments())
        if given.port:
            pictures(browser, House.standing(given.home, given.port), given.to, given.only)
        else:
            with tempfile.TemporaryDirectory() as folder, house.served(Path(folder)) as home:
                pictures(browser, home, given.to, given.only)
        browser.close()


if __name__ == "__main__":
    main()

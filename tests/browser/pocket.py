"""A customer with the wallet's page before them: what they click and type, found by what is written on it."""

import re
from pathlib import Path

from playwright.sync_api import Download, Locator, Page, expect

from tests.browser.words import Words

PASSPHRASE = "four words and a comma"


class Pocket:
    """The wallet in one browser profile."""

    def __init__(self, page: Page, words: Words) -> None:
        self.page, self.words = page, words

    def button(self, key: str, **filling: object) -> Locator:
        return self.page.get_by_role("button", name=self.words(key, **filling), exact=True)

    def heading(self, key: str) -> Locator:
        return self.page.get_by_role("heading", name=self.words(key), exact=True)

    def field(self, key: str, **filling: object) -> Locator:
        return self.page.get_by_label(self.words(key, **filling), exact=True)

    def section(self, key: str) -> Locator:
        return self.page.get_by_role("region", name=self.words(key), exact=True)

    def to(self, place: str) -> None:
        """To a screen, by the bar."""
        self.page.get_by_role("navigation").get_by_role("link", name=self.words(f"place.{place}")).click()

    # -- making, opening, bringing back

    def create(self, passphrase: str = PASSPHRASE) -> None:
        self.button("start.create").click()
        self.twice(passphrase)
        self.button("start.create").click()
        self.opened()

    def twice(self, passphrase: str) -> None:
        self.field("passphrase.new").fill(passphrase)
        self.field("passphrase.again").fill(passphrase)

    def opened(self) -> None:
        self.page.get_by_role("navigation").wait_for()

    def unlock(self, passphrase: str = PASSPHRASE) -> None:
        self.field("passphrase").fill(passphrase)
        self.button("unlock").click()

    def from_file(self, file: Path, passphrase: str = PASSPHRASE) -> None:
        self.button("start.file").click()
        self.field("file.file").set_input_files(file)
        self.field("file.passphrase").fill(passphrase)
        self.button("restore").click()

    def from_words(self, words: str, passphrase: str = PASSPHRASE) -> None:
        self.button("start.words").click()
        self.field("words.words").fill(words)
        self.twice(passphrase)
        self.button("restore").click()

    # -- an organisation

    def join(self, code: str) -> None:
        """Type the code that came; the home screen follows."""
        self.field("enrol.code").fill(code)
        self.button("enrol.join").click()
        expect(self.heading("home.waiting")).to_be_visible()

    # -- the backup, once its dialog is open

    def write_words(self, passphrase: str = PASSPHRASE) -> list[str]:
        """Have the words shown, and say the three that are asked for."""
        box = self.page.get_by_role("dialog", name=self.words("backup.title"))
        self.field("passphrase").fill(passphrase)
        self.button("backup.words").click()
        expect(box.get_by_role("listitem")).to_have_count(24)
        words = box.get_by_role("listitem").all_inner_texts()
        self.button("backup.words.written").click()
        for asked in box.get_by_role("textbox").all():
            label = asked.evaluate("input => input.labels[0].innerText")
            asked.fill(words[int(re.sub(r"\D", "", label)) - 1])
        box.get_by_role("button", name=self.words("done"), exact=True).click()
        expect(box).to_have_count(0)
        return words

    def save_file(self, passphrase: str = PASSPHRASE) -> Download:
        """Save the file, as the dialog offers it first."""
        self.field("passphrase").fill(passphrase)
        with self.page.expect_download() as saved:
            self.button("backup.file").click()
        return saved.value

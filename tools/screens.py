"""Pictures of the pages for docs/screens/, from a platform that runs with the demo's data.

    python3 dev.py serve --port 8700                     in another terminal
    .venv/bin/python tools/screens.py --port 8700

Each screen in English at 1280 px and light, and in Chinese at 360 px and dark.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.browser import chromium  # noqa: E402 - the tests know where a browser is

VIEWS: dict[str, dict[str, Any]] = {
    "en-1280": {"locale": "en-GB", "viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "zh-360": {"locale": "zh-CN", "viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
}
LISTED = ".list:not(.waiting) tbody tr"


class Taker:
    """Goes through the staff pages and takes a picture of each screen."""

    def __init__(self, page: Page, base: str, accounts: dict[str, Any], save: Callable[[Page, str], None]) -> None:
        self.page, self.base, self.accounts, self.save = page, base, accounts, save

    def sign_in(self, account: str) -> None:
        self.page.context.clear_cookies()
        self.page.goto(f"{self.base}/desk/")
        self.page.reload()
        self.page.locator("[name=account]").fill(account)
        self.page.locator("[name=password]").fill(self.accounts[account]["password"])
        self.page.keyboard.press("Enter")
        self.page.locator(LISTED).first.wait_for()

    def take(self, name: str, *, wait: str) -> None:
        self.page.locator(wait).first.wait_for()
        self.page.wait_for_timeout(400)  # until nothing fades any more
        self.save(self.page, name)

    def desk(self) -> None:
        page = self.page
        page.goto(f"{self.base}/desk/")
        self.take("desk-sign-in", wait="form")
        self.sign_in("mei")
        page.locator(".purpose select").select_option("marketing")
        page.locator(".list td.withheld").first.wait_for(state="attached")
        self.take("desk-customers", wait=LISTED)
        page.locator(".list tbody a").nth(1).click()
        self.take("desk-customer", wait=".group")
        page.locator(".group .chip.lock").nth(2).click()
        self.take("desk-lock", wait="dialog")
        page.locator("dialog .button.primary").click()
        self.take("desk-ask", wait=".notice")
        page.goto(f"{self.base}/desk/#/asks")
        self.take("desk-requests", wait=LISTED)
        self.sign_in("dora")
        page.goto(f"{self.base}/desk/#/grounds")
        self.take("desk-grounds", wait=".ground")
        page.goto(f"{self.base}/desk/#/board")
        self.take("desk-board", wait=".chart")


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8700)
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "screens")
    given = parser.parse_args()
    accounts = json.loads((ROOT / "out" / "serve" / str(given.port) / "accounts.json").read_text(encoding="utf-8"))
    given.to.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium.executable(play), args=chromium.arguments())
        for view, profile in VIEWS.items():
            page = browser.new_context(**profile).new_page()

            def save(page: Page, name: str, view: str = view) -> None:
                page.screenshot(path=given.to / f"{name}-{view}.png")

            Taker(page, f"http://localhost:{given.port}", accounts, save).desk()
        browser.close()


if __name__ == "__main__":
    main()

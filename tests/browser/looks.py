"""A screen looked at in every size, light and dark: what axe finds, what is cut off, what is wider than the window."""

from tests.browser.conftest import Seen

WIDE, HALF, SMALL = (
    {"width": 1280, "height": 800},
    {"width": 640, "height": 400},  # what 200 % leaves of 1280
    {"width": 360, "height": 740},
)
SCHEMES = {"en-GB": ((WIDE, "light"), (SMALL, "dark")), "zh-CN": ((WIDE, "dark"), (SMALL, "light"))}


class Looked:
    """What was found wrong on which screen."""

    def __init__(self, seen: Seen, locale: str) -> None:
        self.seen, self.locale, self.found = seen, locale, list[str]()

    def look(self, screen: str) -> None:
        """The screen as it is now, in every size, light and dark."""
        page = self.seen.page
        for size, scheme in SCHEMES[self.locale]:
            page.set_viewport_size(size)  # type: ignore[arg-type]
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            self._note(f"{screen} {size['width']} {scheme}", [*self.seen.faults(), *self.seen.cut()])
        page.set_viewport_size(HALF)  # type: ignore[arg-type]
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        self._note(f"{screen} 200 %", [*self.seen.cut(), *(["wider than the window"] if wide else [])])
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    def _note(self, where: str, what: list[str]) -> None:
        self.found += [f"{where}: {one}" for one in what]

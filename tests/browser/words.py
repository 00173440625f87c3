"""What the pages say, out of their own texts: the tests follow whoever rewords a screen, in either language."""

import json
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXTS = {"wallet": "wallet/web/src", "desk": "crm_core/web/src", "audit": "audit/web/src"}
SHARED = "crm_core/web/ui"


@cache
def _texts(page: str, locale: str) -> dict[str, str]:
    name = "zh-CN.json" if locale.startswith("zh") else "en.json"
    found: dict[str, str] = {}
    page, _, part = page.partition(".")
    for path in (f"{SHARED}/{name}", f"{TEXTS[page]}/{name}", f"{TEXTS[page]}/{part}.{name}" if part else ""):
        found |= json.loads((ROOT / path).read_text(encoding="utf-8")) if path else {}
    return found


class Words:
    """The words of one page in the language of a browser; `desk.rights`: with those of a part that has its own."""

    def __init__(self, page: str, locale: str) -> None:
        self.locale, self._texts = locale, _texts(page, locale)

    def __call__(self, key: str, **filling: object) -> str:
        """A text with its gaps filled, as `t` of the page has it. KeyError for one that the page does not have."""
        text = self._texts[key]
        if filling.get("n") == 1:
            text = self._texts.get(f"{key}_one", text)
        return re.sub(r"\{(\w+)\}", lambda gap: str(filling.get(gap[1], gap[0])), text)

    def like(self, key: str, gap: str = ".+?") -> re.Pattern[str]:
        """A text with something in its gaps, whichever number it speaks of; nothing before and after it."""
        forms = [text for name, text in self._texts.items() if name in {key, f"{key}_one"}]
        return re.compile("|".join("^" + gap.join(map(re.escape, re.split(r"\{\w+\}", one))) + "$" for one in forms))

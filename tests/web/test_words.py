"""The words of the pages: what can happen has a name in each language, and both languages say the same things."""

import json
import re
from pathlib import Path

import pytest

from protocol import event
from wallet import happened

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.parent for path in ROOT.glob("*/web/*/en.json"))
LANGUAGES = ("en", "zh-CN")


def _words(folder: Path, language: str, name: str = "") -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / f"{name}{language}.json").read_text(encoding="utf-8"))
    return found


def _bare(text: str) -> str:
    return re.sub(r"{\w+}", "", text)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("page", "family"), [("wallet", "event"), ("audit", "type")])
def test_whatever_can_happen_has_a_name(page: str, family: str, language: str) -> None:
    words = _words(ROOT / page / "web" / "src", language)
    assert sorted(one for one in event.TYPES if not words.get(f"{family}.{one}")) == []


@pytest.mark.parametrize("words", [happened.EN, happened.ZH], ids=LANGUAGES)
def test_whatever_can_happen_has_a_name_at_the_terminal(words: dict[str, str]) -> None:
    assert sorted(event.TYPES - set(words)) == []


@pytest.mark.parametrize("folder", PAGES, ids=lambda one: one.parts[-3])
@pytest.mark.parametrize("name", ["", "import.", "catalogue.", "rights."])
def test_both_languages_say_the_same_with_the_same_fillings(folder: Path, name: str) -> None:
    if not (folder / f"{name}en.json").exists():
        return
    english, chinese = (_words(folder, one, name) for one in LANGUAGES)
    keys = {key.removesuffix("_one") for key in english}
    assert keys == {key.removesuffix("_one") for key in chinese}
    blanks = {key: set(re.findall(r"{(\w+)}", english[key])) for key in keys & set(english)}
    odd = {key for key, names in blanks.items() if set(re.findall(r"{(\w+)}", chinese[key])) != names}
    assert odd == set()


@pytest.mark.parametrize("folder", PAGES, ids=lambda one: one.parts[-3])
def test_no_chinese_text_is_left_in_english(folder: Path) -> None:
    for path in folder.glob("*zh-CN.json"):
        words: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        english = json.loads(path.with_name(path.name.replace("zh-CN", "en")).read_text(encoding="utf-8"))
        same = {key for key, text in words.items() if english.get(key) == text and re.search("[a-z]{4}", _bare(text))}
        assert same <= {"product"}, same

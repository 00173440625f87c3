"""`--help` of the wallet in both languages."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from wallet import help as spoken
from wallet.cli import app


def texts(command: Any) -> Iterator[str]:
    for text in (command.help, command.epilog, *(getattr(each, "help", None) for each in command.params)):
        if text and not text.startswith("Example: "):
            yield text
    for each in getattr(command, "commands", {}).values():
        yield from texts(each)


def test_every_text_of_the_help_has_a_chinese_one():
    ours = {text for text in texts(typer.main.get_command(app)) if "completion" not in text}
    assert ours - spoken.ZH.keys() == set()


@pytest.mark.parametrize(("locale", "argv"), [("zh_CN.UTF-8", []), ("C", ["--lang", "zh-CN"]), ("C", ["--lang=zh"])])
def test_the_locale_or_the_option_chooses_chinese(monkeypatch, locale, argv):
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.setattr("sys.argv", ["fieldgrant", "wallet", *argv])
    assert "撤回同意" in CliRunner().invoke(app, ["--help"]).stdout
    shown = CliRunner().invoke(app, ["withdraw", "--help"]).stdout
    assert "同意的编号" in shown
    assert "例：fieldgrant wallet withdraw" in shown


def test_english_stays_english(monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setattr("sys.argv", ["fieldgrant", "wallet", "--lang", "klingon"])
    assert "End a consent" in CliRunner().invoke(app, ["withdraw", "--help"]).stdout

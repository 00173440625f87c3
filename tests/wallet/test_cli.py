"""The terminal: what it asks, what it says, and that it never shows a stack trace."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from tests.wallet.conftest import PASSPHRASE, WEAK
from tests.wallet.organisation import CODE, Organisation
from wallet import cli, desk, happened, keystore, words
from wallet.wallet import Wallet, now
from wallet.words import EN, ZH

SECRETS = {desk.PASSPHRASE: PASSPHRASE, desk.BACKUP_PASSPHRASE: "backup passphrase"}


class Terminal:
    """Runs commands against a real HTTP server on a free port, on the machine's own clock."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        monkeypatch.setattr(keystore.Keystore.create.__func__, "__kwdefaults__", {"strength": WEAK})  # type: ignore[attr-defined]
        monkeypatch.setattr(
            Wallet.create.__func__,  # type: ignore[attr-defined]
            "__kwdefaults__",
            {"strength": WEAK, "clock": now, "transport": None},
        )
        monkeypatch.setattr(keystore.backup, "__kwdefaults__", {"strength": WEAK})
        monkeypatch.setattr(Wallet.backup, "__kwdefaults__", {"strength": WEAK})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Bridge)
        self.organisation = Organisation(f"http://localhost:{self.server.server_port}")
        self.organisation.at = now()
        self.server.organisation = self.organisation  # type: ignore[attr-defined]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __call__(self, *arguments: str, typed: str | None = None, lang: str = "en", secrets: bool = True) -> Result:
        environment = {name: value if secrets else None for name, value in SECRETS.items()}
        environment |= {"FIELDGRANT_WALLET": str(self.path), "LC_ALL": "C.UTF-8", "COLUMNS": "200"}
        return CliRunner().invoke(cli.app, [*arguments, "--lang", lang], input=typed, env=environment)

    def enrolled(self) -> "Terminal":
        assert self("init").exit_code == 0
        assert self("enrol", self.organisation.link, "--code", CODE).exit_code == 0
        return self

    def consented(self, *fields: str) -> str:
        ask = self.organisation.make_ask()
        done = self("consent", ask.id, "--fields", ",".join(fields or ("contact.email", "address.city")), "--json")
        assert done.exit_code == 0, done.output
        return str(json.loads(done.stdout)["consent"]["id"])


class _Bridge(BaseHTTPRequestHandler):
    def _go(self) -> None:
        organisation = self.server.organisation  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = f"{organisation.base}{self.path}"
        answer = organisation.handle(httpx.Request(self.command, url, headers=dict(self.headers), content=body))
        self.send_response(answer.status_code)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = _go  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "wallet", monkeypatch)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_whole_journey_in_both_languages(terminal: Terminal) -> None:
    for lang in ("en", "zh-CN"):
        terminal.path = terminal.path.with_name(f"wallet-{lang}")
        assert terminal("init", lang=lang).exit_code == 0
        done = terminal("enrol", terminal.organisation.link, typed=f"{CODE}\n", lang=lang)
        assert done.exit_code == 0, done.output
        assert "did:key:" in done.stdout
        ask = terminal.organisation.make_ask()
        shown = terminal("asks", lang=lang).stdout
        assert "contact.email" in shown
        assert "我们想给您写信" in shown
        given = terminal("consent", ask.id[9:17], "--fields", "contact.email,address.city", lang=lang)
        assert given.exit_code == 0, given.output
        consent_id = next(iter(terminal.organisation.consents))
        assert terminal("narrow", consent_id, "--fields", "address.city", lang=lang).exit_code == 0
        new_id = [one for one in terminal.organisation.consents if one != consent_id][-1]
        assert "address.city" in terminal("show", lang=lang).stdout
        gone = terminal("withdraw", new_id, "--yes", lang=lang)
        assert gone.exit_code == 0
        assert "address.city" in gone.stderr
        for verb in ("history", "receipts", "show"):
            assert terminal(verb, lang=lang).exit_code == 0
        history = terminal("history", lang=lang).stdout
        assert ("未提供（无依据）：contact.phone" if lang.startswith("zh") else "withheld, no ground:") in history
        assert "{" not in terminal("show", lang=lang).stdout
        assert "PIPL" in terminal("show", "--online", lang=lang).stdout
        terminal.organisation.consents.clear()
        terminal.organisation.receipts.clear()
        terminal.organisation.bits = type(terminal.organisation.bits)()


@pytest.mark.parametrize(
    ("lang", "told"), [("en", "ended for you when you enrolled"), ("zh-CN", "已随您的登记对您终止")]
)
def test_a_ground_for_the_invitation_is_not_told_as_one_that_goes_on(terminal: Terminal, lang: str, told: str) -> None:
    enrolled = terminal.enrolled()
    assert told not in enrolled("show", "--online", lang=lang).stdout
    spent = enrolled.organisation.ground(until_enrolled=True)
    enrolled.organisation.twist["/issuer/wallet/grounds"] = lambda answer: {"items": [{"credential": spent}]}
    assert told in enrolled("show", "--online", lang=lang).stdout


def test_nothing_is_ticked_for_the_owner(terminal: Terminal) -> None:
    terminal.enrolled()
    ask = terminal.organisation.make_ask()
    nothing = terminal("consent", ask.id, typed="\n\n")
    assert nothing.exit_code == 1
    assert "[y/N]:nothing_chosen: no field was chosen" in nothing.stderr
    done = terminal("consent", ask.id, typed="y\nn\n")
    assert done.exit_code == 0, done.output
    (given, _) = next(iter(terminal.organisation.consents.values()))
    assert [sorted(one.fields) for one in given.processes] == [["address.city"]]


def test_a_day_lasts_to_its_end_or_as_long_as_asked(terminal: Terminal) -> None:
    terminal.enrolled()
    ask = terminal.organisation.make_ask()
    last = f"{ask.latest_until:%Y-%m-%d}"
    assert terminal("consent", ask.id, "--fields", "address.city", "--until", "soon").stderr.startswith("bad_date")
    assert terminal("consent", ask.id, "--fields", "address.city", "--until", "2020-01-01").stderr.startswith(
        "bad_until"
    )
    assert terminal("consent", ask.id, "--fields", "address.city", "--until", last).exit_code == 0
    (given, _) = next(iter(terminal.organisation.consents.values()))
    assert given.valid_until == ask.latest_until


def test_a_withdrawal_names_its_consequence_first_and_asks(terminal: Terminal) -> None:
    consent_id = terminal.enrolled().consented()
    kept = terminal("withdraw", consent_id, typed="\n")
    assert kept.exit_code == 0
    assert "address.city, contact.email" in kept.stderr
    assert "Nothing was changed" in kept.stdout
    assert ("POST", "/issuer/wallet/withdrawals") not in terminal.organisation.requests
    assert "Withdrawn" in terminal("withdraw", consent_id, typed="y\n").stdout


def test_a_refusal_asks_too(terminal: Terminal) -> None:
    ask = terminal.enrolled().organisation.make_ask()
    assert "Nothing was changed" in terminal("refuse", ask.id, typed="n\n").stdout
    assert terminal("refuse", ask.id, "--yes").exit_code == 0
    assert "Nothing is asked" in terminal("asks").stdout


def test_a_backup_is_written_and_restored(terminal: Terminal, tmp_path: Path) -> None:
    terminal.enrolled()
    assert terminal("backup", str(tmp_path / "b")).exit_code == 0
    assert terminal("backup", str(tmp_path / "b")).stderr.startswith("file_exists")
    assert terminal("restore", str(tmp_path / "b")).stderr.startswith("wallet_exists")
    assert terminal("restore", str(tmp_path / "b"), "--wallet", str(tmp_path / "new")).exit_code == 0
    shown = json.loads(terminal("show", "--json", "--wallet", str(tmp_path / "new")).stdout)
    assert shown["organisations"][0]["organisation"] == terminal.organisation.did


def test_json_never_holds_a_key(terminal: Terminal) -> None:
    terminal.enrolled().consented()
    seed = Wallet.open(terminal.path, PASSPHRASE)
    secret = seed.holding().to_json()["seed"]
    seed.close()
    terminal.organisation.make_ask()
    for verb in ("show", "asks", "receipts", "history"):
        out = terminal(verb, "--json").stdout
        assert json.loads(out)
        assert secret not in out
        assert "seed" not in out


def test_the_passphrase_is_asked_for_and_confirmed(terminal: Terminal) -> None:
    done = terminal("init", typed="long enough\nlong enough\n", secrets=False)
    assert done.exit_code == 0, done.output
    assert "long enough" not in done.output
    assert terminal("show", typed="long enough\n", secrets=False).exit_code == 0
    assert terminal("show").stderr.startswith("wrong_passphrase: ")
    told = terminal("show", typed="long enough\n", secrets=False).stderr
    assert "Wrong passphrases since this wallet was last opened: 1" in told
    assert "Wrong passphrases" not in terminal("show", typed="long enough\n", secrets=False).stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("show", "--wallet", "/nowhere/wallet"), "no_wallet"),
        (("enrol", "https://evil.example"), "bad_link"),
        (("consent", "12345678", "--fields", "a"), "unknown_ask"),
        (("withdraw", "12345678"), "unknown_consent"),
        (("asks", "--org", "elsewhere"), "not_enrolled"),
    ],
)
def test_every_error_is_one_line_with_its_code(terminal: Terminal, arguments: tuple[str, ...], expected: str) -> None:
    terminal.enrolled()
    for lang, colon in (("en", ": "), ("zh-CN", "：")):
        done = terminal(*arguments, lang=lang)
        assert done.exit_code == 1
        assert done.stderr.startswith(expected + colon)
        assert len(done.stderr.splitlines()) == 1
    told = terminal(*arguments, "--json")
    assert json.loads(told.stderr)["code"] == expected


def test_an_unknown_language_and_an_unwritable_place_are_told_plainly(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal("init", lang="fr").stderr.startswith("unknown_language")
    (tmp_path / "file").write_text("")
    assert terminal("init", "--wallet", str(tmp_path / "file" / "wallet")).stderr.startswith("cannot_write")


def test_foreign_text_cannot_move_the_cursor(terminal: Terminal) -> None:
    ask = terminal.enrolled().organisation.make_ask()
    terminal.organisation.twist["/issuer/wallet/asks"] = lambda answer: {
        "items": [{"credential": {**dict(ask.document), "id": "\x1b[2Jurn:uuid:\u202eevil"}}]
    }
    shown = terminal("asks")
    assert "\x1b" not in shown.output
    assert "\u202e" not in shown.output


def test_an_answer_that_was_lost_is_sent_again_by_the_next_command(terminal: Terminal) -> None:
    ask = terminal.enrolled().organisation.make_ask()
    terminal.organisation.twist["/issuer/wallet/consents"] = lambda answer: httpx.Response(503, json={})
    assert terminal("consent", ask.id, "--fields", "address.city").exit_code == 1
    terminal.organisation.twist.clear()
    assert "sent again: given" in terminal("asks").stderr


def test_both_languages_have_the_same_words_and_places() -> None:
    assert set(EN) == set(ZH)
    for key, text in EN.items():
        assert _places(text) == _places(ZH[key]), key
    assert set(happened.EN) == set(happened.ZH)
    for key, text in happened.EN.items():
        assert _places(text) == _places(happened.ZH[key]), key
    assert happened.said("en", "a strange word") == "a strange word"
    assert [happened.lasting("en", one) for one in ("P1D", "P180D", "PT2H")] == ["1 day", "180 days", "PT2H"]
    assert happened.lasting("zh", "P3Y") == "3 年"


def test_without_a_terminal_the_setting_is_named(terminal: Terminal) -> None:
    done = terminal("init", secrets=False)
    assert done.exit_code == 1
    assert "no_terminal: set FIELDGRANT_WALLET_PASSPHRASE" in done.stderr


def test_an_empty_wallet_says_what_to_do_next(terminal: Terminal) -> None:
    terminal("init")
    assert "fieldgrant wallet enrol" in terminal("show").stdout


def _places(text: str) -> set[str]:
    import string

    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize(("locale", "expected"), [("zh_CN.UTF-8", "zh"), ("de_DE", "en"), ("", "en")])
def test_the_language_follows_the_locale(monkeypatch: pytest.MonkeyPatch, locale: str, expected: str) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", locale)
    assert words.language(None) == expected
    assert words.language("zh-CN") == "zh"


def test_every_command_explains_itself_with_an_example() -> None:
    names = [command.name or command.callback.__name__ for command in cli.app.registered_commands if command.callback]
    names += [
        f"request {one}" for one in ("access", "portability", "explain", "correct", "erase", "object", "restrict")
    ]
    assert len(names) == 23
    for name in names:
        done = CliRunner().invoke(cli.app, [*name.split(), "--help"], env={"COLUMNS": "120"})
        assert done.exit_code == 0
        assert f"Example: fieldgrant wallet {name}" in done.stdout


def test_the_wallet_imports_nothing_of_the_organisation() -> None:
    code = "import sys, wallet.cli; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=os.getcwd())
    packages = {name.partition(".")[0] for name in loaded.stdout.split()}
    assert not packages & {"runtime", "issuer", "verifier", "crm_core", "redaction", "audit", "sqlmodel", "fastapi"}

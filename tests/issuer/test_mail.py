"""Letters go whole to the right channel, and a failure never says to whom."""

import smtplib
import stat
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from issuer.mail import FileCarrier, MailError, SmtpCarrier, post_of
from runtime.clock import FixedClock
from runtime.settings import Settings

CLOCK = FixedClock(datetime(2026, 11, 22, 8, tzinfo=UTC))
URL = "smtps://post:se%40cret@mail.example:4650/desk@example.com"


class FakeServer:
    """A mail server that remembers what it is told, or fails."""

    heard: list[Any] = []  # noqa: RUF012 - shared between the class and its instances on purpose
    fail: Exception | None = None
    offers_starttls = True

    def __init__(self, host: str, port: int, **_more: object) -> None:
        self.heard.append((host, port))
        if self.fail:
            raise self.fail

    def __enter__(self) -> "FakeServer":
        return self

    def __exit__(self, *_error: object) -> None:
        self.heard.append("quit")

    def has_extn(self, name: str) -> bool:
        return self.offers_starttls and name == "starttls"

    def starttls(self, **_more: object) -> None:
        self.heard.append("starttls")

    def login(self, user: str, password: str) -> None:
        self.heard.append((user, password))

    def send_message(self, message: Any) -> None:
        self.heard.append(message)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> type[FakeServer]:
    kind = type("Server", (FakeServer,), {"heard": []})
    monkeypatch.setattr(smtplib, "SMTP", kind)
    monkeypatch.setattr(smtplib, "SMTP_SSL", kind)
    return kind


def test_a_letter_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    link = "fieldgrant://enrol?" + "x" * 400
    FileCarrier(tmp_path / "mail", CLOCK).send("invitation", "li@example.cn", "邀请", f"请打开\n{link}\n")
    (path,) = (tmp_path / "mail").glob("*-invitation-*.eml")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.name.startswith("20261122T080000")
    assert link.encode() in path.read_bytes()
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert (message["To"], message["Subject"]) == ("li@example.cn", "邀请")


def test_a_phone_number_reads_back_as_it_was(tmp_path: Path) -> None:
    FileCarrier(tmp_path, CLOCK).send("code", "+86 138 0000 4271 x371", "Code", "12345678\n")
    (path,) = tmp_path.glob("*.eml")
    assert "+86 138 0000 4271 x371" in str(message_from_bytes(path.read_bytes(), policy=policy.default)["To"])


def test_a_directory_that_cannot_be_written_is_told_without_the_address(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file")
    with pytest.raises(MailError) as caught:
        FileCarrier(tmp_path / "mail", CLOCK).send("code", "li@example.cn", "Code", "1")
    assert "li@" not in str(caught.value)


def test_an_address_cannot_add_headers(tmp_path: Path) -> None:
    with pytest.raises(MailError):
        FileCarrier(tmp_path, CLOCK).send("code", "li@example.cn\r\nBcc: x@example.cn", "Code", "1")
    assert list(tmp_path.iterdir()) == []


def test_smtp_signs_in_and_sends(server: type[FakeServer]) -> None:
    SmtpCarrier(URL).send("invitation", "li@example.cn", "Hello", "text")
    assert server.heard[0] == ("mail.example", 4650)
    assert server.heard[1] == ("post", "se@cret")
    assert server.heard[2]["From"] == "desk@example.com"


@pytest.mark.parametrize("offers", [True, False])
def test_plain_smtp_takes_starttls_where_it_is_offered(server: type[FakeServer], offers: bool) -> None:
    server.offers_starttls = offers
    SmtpCarrier("smtp://mail.example/desk@example.com").send("invitation", "li@example.cn", "Hello", "text")
    assert server.heard[0] == ("mail.example", 25)
    assert ("starttls" in server.heard) == offers


@pytest.mark.parametrize("error", [OSError("li@example.cn"), smtplib.SMTPRecipientsRefused({})])
def test_a_server_that_refuses_is_told_without_the_address(server: type[FakeServer], error: Exception) -> None:
    server.fail = error
    with pytest.raises(MailError) as caught:
        SmtpCarrier(URL).send("invitation", "li@example.cn", "Hello", "text")
    assert "li@" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://mail.example/a@b", "smtp:///a@b", "smtp://mail.example/nobody"])
def test_an_unusable_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="smtp_url"):
        SmtpCarrier(url)


def test_codes_never_go_by_mail(tmp_path: Path) -> None:
    by_file = post_of(Settings(home=tmp_path, mail_dir=tmp_path), CLOCK)
    by_smtp = post_of(Settings(home=tmp_path, mail_dir=tmp_path, smtp_url=URL), CLOCK)
    assert isinstance(by_file.email, FileCarrier)
    assert isinstance(by_smtp.email, SmtpCarrier)
    assert isinstance(by_smtp.phone, FileCarrier)

"""A page's sign-in, and what a stranger's page, a planted cookie or a hand in the database can do with it."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import text

from runtime import outbox, problem, staff, staff_app, staff_session
from runtime.clock import FixedClock
from runtime.platform import Platform
from runtime.settings import Settings
from runtime.staff_session import COOKIE, Ticket

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"


class Browser:
    """A browser that holds one cookie, or the one that somebody planted."""

    def __init__(self, client: TestClient, planted: str = "") -> None:
        self.client, self.cookie, self.csrf = client, planted, ""

    def enter(self, account: str = "mei", **headers: str) -> Response:
        body = {"account": account, "password": PASSWORD, "cookie": True}
        answer = self.call("POST", "/staff/sessions", json=body, **headers)
        if answer.status_code == 201:
            self.cookie, self.csrf = SimpleCookie(answer.headers["set-cookie"])[COOKIE].value, answer.json()["csrf"]
        return answer

    def call(self, method: str, path: str, *, json: Any = None, **headers: str | bytes) -> Response:
        """Header names with `_` for `-`."""
        sent = [(name.replace("_", "-").encode(), _bytes(value)) for name, value in headers.items()]
        cookie = [(b"cookie", f"{COOKIE}={self.cookie}".encode())] if self.cookie else []
        self.client.cookies.clear()
        return self.client.request(method, path, json=json, headers=[*cookie, *sent])  # type: ignore[arg-type]


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, FixedClock, TestClient]]:
    home: Path = tmp_path_factory.mktemp("home")
    clock = FixedClock(START)
    settings = Settings(home=home, mail_dir=home / "mail", sign_in_rate="1000/minute")
    platform = Platform.create(settings, clock)
    with platform.database.write("owner") as session:
        for account, role in (("mei", "marketing"), ("dora", "dpo"), ("ende", "sales")):
            staff.create_account(
                session, platform.keyring, account=account, name="X", role=role, password=PASSWORD, at=START
            )
    app = FastAPI()
    problem.install(app)
    app.include_router(staff_app.router(platform))
    caller = staff.signed_in(platform)
    changed: list[str] = []

    @app.post("/change")
    def change(who: Annotated[staff.Staff, Depends(caller)]) -> int:
        changed.append(who.account)
        return len(changed)

    yield platform, clock, TestClient(app, base_url="http://localhost:8700")
    platform.close()


@pytest.fixture
def platform(place: tuple[Platform, FixedClock, TestClient]) -> Platform:
    return place[0]


@pytest.fixture
def clock(place: tuple[Platform, FixedClock, TestClient]) -> FixedClock:
    return place[1]


@pytest.fixture
def client(place: tuple[Platform, FixedClock, TestClient]) -> TestClient:
    return place[2]


@pytest.fixture
def browser(client: TestClient) -> Browser:
    made = Browser(client)
    assert made.enter().status_code == 201
    return made


def code(answer: Response) -> str:
    return str(answer.json()["code"])


def test_a_page_gets_a_cookie_that_no_script_reads_and_no_token(client: TestClient) -> None:
    answer = Browser(client).enter()
    assert set(answer.json()) == {"csrf", "expires_at", "role", "name", "account"}
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert part in cookie
    assert "domain" not in cookie.lower()
    assert SimpleCookie(cookie)[COOKIE].value not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_the_cookie_signs_in_and_its_token_lets_something_change(browser: Browser) -> None:
    told = browser.call("GET", "/staff/session").json()
    assert (told["account"], told["role"]) == ("mei", "marketing")
    assert told["csrf"] != browser.csrf  # masked anew
    assert browser.call("POST", "/change", X_CSRF_Token=browser.csrf).status_code == 200
    assert browser.call("POST", "/change", X_CSRF_Token=told["csrf"]).status_code == 200


def test_without_the_token_of_this_session_a_cookie_changes_nothing(browser: Browser, client: TestClient) -> None:
    other = Browser(client)
    other.enter("dora")
    again = Browser(client)
    again.enter()
    mask, _, ours = browser.csrf.partition(".")
    wrong = [
        "",
        "x",
        mask,
        f".{ours}",
        f"{mask}.",
        f"{'0' * 32}.{ours}",
        ours,
        other.csrf,
        again.csrf,
        browser.cookie,
        "é",
    ]
    for said in wrong:
        answer = browser.call("POST", "/change", **({"X_CSRF_Token": said.encode().decode("latin-1")} if said else {}))
        assert (answer.status_code, code(answer)) == (403, "csrf"), said
    assert code(browser.call("DELETE", "/staff/sessions/current")) == "csrf"
    assert browser.call("GET", "/staff/me").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},  # the wallet's page on another port of localhost, or whatever runs there
        {"origin": "http://localhost:8701"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_a_page_of_another_origin_gets_nothing_with_a_cookie(browser: Browser, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/staff/me"), ("GET", "/staff/session"), ("POST", "/change")):
        answer = browser.call(method, path, X_CSRF_Token=browser.csrf, **headers)
        assert (answer.status_code, code(answer)) == (403, "foreign_origin")
        assert "access-control-allow-origin" not in answer.headers
    assert code(browser.enter("dora", **headers)) == "foreign_origin"  # nor signs the victim in as somebody else


@pytest.mark.parametrize(
    "headers", [{"sec_fetch_site": "same-origin"}, {"origin": "http://localhost:8700"}, {"sec_fetch_site": "none"}]
)
def test_control_our_own_page_is_let_in(browser: Browser, headers: dict[str, str]) -> None:
    assert browser.call("POST", "/change", X_CSRF_Token=browser.csrf, **headers).status_code == 200


def test_a_preflight_of_another_origin_is_not_answered(browser: Browser) -> None:
    asked = {"origin": "http://localhost:8701", "access_control_request_method": "POST"}
    answer = browser.call("OPTIONS", "/change", access_control_request_headers="x-csrf-token", **asked)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_planted_cookie_is_not_what_one_is_signed_in_with(client: TestClient) -> None:
    planted = secrets.token_urlsafe(32)
    browser = Browser(client, planted)
    assert code(browser.call("GET", "/staff/me")) == "not_signed_in"
    browser.enter()
    assert browser.cookie != planted
    assert code(Browser(client, planted).call("GET", "/staff/me")) == "not_signed_in"


def test_a_living_cookie_that_somebody_planted_ends_at_the_sign_in(browser: Browser, client: TestClient) -> None:
    victim = Browser(client, browser.cookie)
    victim.enter("dora")
    assert code(browser.call("GET", "/staff/me")) == "not_signed_in"
    assert victim.call("GET", "/staff/me").json()["account"] == "dora"


def test_a_cookie_is_no_bearer_token_and_a_bearer_token_no_cookie(
    browser: Browser, client: TestClient, platform: Platform
) -> None:
    token = staff.sign_in(platform, "mei", PASSWORD, START).token
    assert code(Browser(client).call("GET", "/staff/me", authorization=f"Bearer {browser.cookie}")) == "not_signed_in"
    assert code(Browser(client, token).call("GET", "/staff/me")) == "not_signed_in"


def test_a_request_with_both_is_judged_by_the_bearer_token_alone(browser: Browser, platform: Platform) -> None:
    token = staff.sign_in(platform, "dora", PASSWORD, START).token
    assert browser.call("GET", "/staff/me", authorization=f"Bearer {token}").json()["account"] == "dora"
    for bad in ("Bearer nonsense", "Basic bWVpOg==", "Bearer ", "", "Bearer"):
        answer = browser.call("POST", "/change", authorization=bad, X_CSRF_Token=browser.csrf)
        assert code(answer) == "not_signed_in", bad
    assert browser.call("DELETE", "/staff/sessions/current", authorization=f"Bearer {token}").status_code == 204
    assert browser.call("GET", "/staff/me").json()["account"] == "mei"  # only the token ended


def test_a_bearer_token_needs_no_csrf_token_and_gets_none(client: TestClient, platform: Platform) -> None:
    headers = {"authorization": f"Bearer {staff.sign_in(platform, 'mei', PASSWORD, START).token}"}
    assert Browser(client).call("POST", "/change", **headers).status_code == 200
    assert Browser(client).call("GET", "/staff/session", **headers).json()["csrf"] is None


def test_after_signing_out_a_kept_cookie_opens_nothing(browser: Browser, client: TestClient) -> None:
    kept = Browser(client, browser.cookie)
    answer = browser.call("DELETE", "/staff/sessions/current", X_CSRF_Token=browser.csrf)
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert code(kept.call("GET", "/staff/session")) == "not_signed_in"
    assert code(kept.call("POST", "/change", X_CSRF_Token=browser.csrf)) == "not_signed_in"


def test_a_cookie_ends_after_eight_hours_and_with_its_account(
    browser: Browser, client: TestClient, platform: Platform, clock: FixedClock
) -> None:
    leaving = Browser(client)
    leaving.enter("ende")
    with platform.database.write("owner") as session:
        staff.end_account(session, platform, "ende", clock.now())
    assert code(leaving.call("GET", "/staff/session")) == "not_signed_in"
    clock.advance(timedelta(hours=8) - timedelta(seconds=1))
    assert browser.call("GET", "/staff/session").status_code == 200
    clock.advance(timedelta(seconds=1))
    assert code(browser.call("GET", "/staff/session")) == "not_signed_in"
    assert code(browser.call("POST", "/change", X_CSRF_Token=browser.csrf)) == "not_signed_in"


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE staff_session SET account = 'dora'",
        "UPDATE staff_session SET expires_at = '2999-01-01T00:00:00.000Z'",
        "UPDATE staff_session SET token_hash = :digest",  # as if this cookie had been handed out as a bearer token
    ],
)
def test_whoever_writes_to_the_database_makes_no_cookie_count(
    browser: Browser, client: TestClient, platform: Platform, forgery: str
) -> None:
    digest = Ticket("token", browser.cookie).digest(platform.keyring)
    with platform.database.write("owner") as session:
        session.execute(text("DELETE FROM staff_session"))
    browser.enter()
    with platform.database.write("owner") as session:
        session.execute(text(forgery), {"digest": digest} if ":digest" in forgery else {})
    assert code(browser.call("GET", "/staff/session")) == "not_signed_in"
    as_token = Browser(client).call("GET", "/staff/session", authorization=f"Bearer {browser.cookie}")
    assert code(as_token) == "not_signed_in"


def test_neither_the_cookie_nor_its_csrf_token_is_stored(browser: Browser, platform: Platform) -> None:
    with platform.database.read() as session:
        stored = str(session.execute(text("SELECT * FROM staff_session")).all())
    assert browser.cookie not in stored
    assert browser.csrf.partition(".")[2] not in stored
    assert not staff_session.csrf_fits(platform.keyring, Ticket("token", browser.cookie), browser.csrf)


def test_what_is_refused_to_a_cookie_is_on_record(browser: Browser, platform: Platform) -> None:
    browser.call("POST", "/change")
    browser.call("POST", "/change", sec_fetch_site="same-site")
    with platform.database.read() as session:
        told = [data["code"] for one in outbox.pending(session, 0, 10_000) for _, data in one.records if "code" in data]
    assert told[-2:] == ["csrf", "foreign_origin"]

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text

from runtime import problem, staff, staff_app
from runtime.clock import FixedClock
from runtime.limits import RateLimit
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.settings import Settings
from runtime.staff import StaffAccount, StaffSession

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def platform(tmp_path: Path, clock: FixedClock) -> Iterator[Platform]:
    platform = Platform.create(Settings(home=tmp_path, mail_dir=tmp_path / "mail", sign_in_rate="3/minute"), clock)
    with platform.database.write("owner") as session:
        for account, role in (("mei", "marketing"), ("dora", "dpo")):
            staff.create_account(
                session, platform.keyring, account=account, name="X", role=role, password=PASSWORD, at=START
            )
    yield platform
    platform.close()


@pytest.fixture
def client(platform: Platform) -> TestClient:
    app = FastAPI()
    problem.install(app)
    app.include_router(staff_app.router(platform))
    only_dpo = staff.signed_in(platform, {"dpo"})
    slow = staff.signed_in(platform, limit=RateLimit("2/minute"))

    @app.get("/dpo")
    def dpo(who: Annotated[staff.Staff, Depends(only_dpo)]) -> str:
        return who.account

    @app.get("/slow")
    def slowly(who: Annotated[staff.Staff, Depends(slow)]) -> str:
        return who.account

    return TestClient(app)


def enter(client: TestClient, account: str = "mei", password: str = PASSWORD) -> dict[str, str]:
    answer = client.post("/staff/sessions", json={"account": account, "password": password})
    assert answer.status_code == 201, answer.text
    return {"authorization": f"Bearer {answer.json()['token']}"}


def test_a_password_buys_a_token_that_says_who_one_is(client: TestClient, platform: Platform) -> None:
    me = client.get("/staff/me", headers=enter(client)).json()
    assert (me["account"], me["role"]) == ("mei", "marketing")
    assert me["did"] == platform.keyring.signer("staff/mei").did


def test_a_wrong_password_and_an_unknown_account_get_the_same_answer(client: TestClient) -> None:
    wrong = client.post("/staff/sessions", json={"account": "mei", "password": "wrong"})
    unknown = client.post("/staff/sessions", json={"account": "nobody", "password": "wrong"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["code"] == "bad_sign_in"


def test_an_unknown_account_costs_the_same_work(platform: Platform) -> None:
    staff.nobody()

    def seconds(account: str) -> float:
        began = time.process_time()
        with pytest.raises(Problem):
            staff.sign_in(platform, account, "wrong", START)
        return time.process_time() - began

    known, unknown = (min(seconds(account) for _ in range(3)) for account in ("mei", "nobody"))
    assert unknown > known / 2


def test_neither_password_nor_token_is_stored(client: TestClient, platform: Platform) -> None:
    token = enter(client)["authorization"].split()[1]
    with platform.database.read() as session:
        stored = str(session.execute(text("SELECT * FROM staff")).all())
        stored += str(session.execute(text("SELECT * FROM staff_session")).all())
    assert PASSWORD not in stored
    assert token not in stored
    assert "$argon2id$" in stored


def test_a_token_ends_after_eight_hours(client: TestClient, clock: FixedClock) -> None:
    headers = enter(client)
    clock.advance(timedelta(hours=8) - timedelta(seconds=1))
    assert client.get("/staff/me", headers=headers).status_code == 200
    clock.advance(timedelta(seconds=1))
    assert client.get("/staff/me", headers=headers).json()["code"] == "not_signed_in"


def test_an_expired_session_is_swept_away_at_the_next_sign_in(
    client: TestClient, platform: Platform, clock: FixedClock
) -> None:
    enter(client)
    clock.advance(timedelta(hours=9))
    enter(client)
    with platform.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM staff_session")).scalar_one() == 1


def test_signing_out_ends_the_token(client: TestClient) -> None:
    headers = enter(client)
    assert client.delete("/staff/sessions/current", headers=headers).status_code == 204
    assert client.get("/staff/me", headers=headers).status_code == 401


def test_an_ended_account_has_no_sessions_and_gets_none(client: TestClient, platform: Platform) -> None:
    headers = enter(client)
    with platform.database.write("owner") as session:
        staff.end_account(session, platform, "mei", START)
    assert client.get("/staff/me", headers=headers).status_code == 401
    answer = client.post("/staff/sessions", json={"account": "mei", "password": PASSWORD})
    assert answer.json()["code"] == "bad_sign_in"
    with pytest.raises(Problem, match="no such account"), platform.database.write("owner") as session:
        staff.end_account(session, platform, "nobody", START)


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Bearer ", "Basic bWVpOg==", "nonsense"])
def test_without_a_token_of_ours_nobody_is_signed_in(client: TestClient, header: str | None) -> None:
    answer = client.get("/staff/me", headers={"authorization": header} if header is not None else {})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_role_opens_only_what_is_open_to_it(client: TestClient) -> None:
    assert client.get("/dpo", headers=enter(client, "dora")).json() == "dora"
    answer = client.get("/dpo", headers=enter(client, "mei"))
    assert (answer.status_code, answer.json()["code"]) == (403, "role")


def test_guessing_is_slowed_down_even_with_the_right_password(client: TestClient) -> None:
    for _ in range(3):
        client.post("/staff/sessions", json={"account": "mei", "password": "wrong"})
    answer = client.post("/staff/sessions", json={"account": "mei", "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert int(answer.headers["retry-after"]) >= 1
    enter(client, "dora")


def test_a_token_has_a_rate_of_its_own(client: TestClient) -> None:
    mei, dora = enter(client), enter(client, "dora")
    assert [client.get("/slow", headers=mei).status_code for _ in range(3)] == [200, 200, 429]
    assert client.get("/slow", headers=dora).status_code == 200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"account": "Mei Li"}, "bad_account"),
        ({"account": "../mei"}, "bad_account"),
        ({"role": "owner"}, "unknown_role"),
        ({"password": "short"}, "weak_password"),
        ({"account": "mei"}, "account_exists"),
    ],
)
def test_an_account_that_cannot_be_says_why(platform: Platform, change: dict[str, str], code: str) -> None:
    wanted = {"account": "tom", "name": "Tom", "role": "sales", "password": PASSWORD} | change
    with pytest.raises(Problem) as caught, platform.database.write("owner") as session:
        staff.create_account(session, platform.keyring, at=START, **wanted)
    assert caught.value.code == code


def _forge(platform: Platform, statement: str) -> None:
    with platform.database.write("owner") as session:
        session.execute(text(statement))


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE staff SET role = 'dpo' WHERE account = 'mei'",
        "UPDATE staff SET password_hash = (SELECT x.password_hash FROM staff x WHERE x.account = 'mei')"
        " WHERE account = 'dora'",
        "UPDATE staff SET did = (SELECT did FROM staff WHERE account = 'dora') WHERE account = 'mei'",
    ],
)
def test_whoever_writes_to_the_database_cannot_change_an_account(platform: Platform, forgery: str) -> None:
    before = staff.sign_in(platform, "mei", PASSWORD, START).token
    _forge(platform, forgery)
    account = "dora" if "'dora'" in forgery.rsplit("WHERE", 1)[1] else "mei"
    with pytest.raises(Problem, match="wrong"):
        staff.sign_in(platform, account, PASSWORD, START)
    if account == "mei":
        with platform.database.read() as session, pytest.raises(Problem, match="sign in"):
            staff.staff_of(session, platform, before, START)


def test_whoever_writes_to_the_database_cannot_hand_a_session_to_another_account(platform: Platform) -> None:
    token = staff.sign_in(platform, "mei", PASSWORD, START).token
    with platform.database.read() as session:
        assert staff.staff_of(session, platform, token, START).account == "mei"
    _forge(platform, "UPDATE staff_session SET account = 'dora'")
    with platform.database.read() as session, pytest.raises(Problem, match="sign in"):
        staff.staff_of(session, platform, token, START)


def test_whoever_writes_to_the_database_cannot_make_a_session_last(platform: Platform) -> None:
    token = staff.sign_in(platform, "mei", PASSWORD, START).token
    _forge(platform, "UPDATE staff_session SET expires_at = '2999-01-01T00:00:00.000Z'")
    with platform.database.read() as session, pytest.raises(Problem, match="sign in"):
        staff.staff_of(session, platform, token, START)


def test_an_ended_account_whose_older_row_is_put_back_stays_ended(platform: Platform) -> None:
    token = staff.sign_in(platform, "mei", PASSWORD, START).token
    with platform.database.read() as session:
        tables = [table.__table__ for table in (StaffAccount, StaffSession)]
        before = [session.connection().execute(table.select()).mappings().all() for table in tables]
    with platform.database.write("owner") as session:
        staff.end_account(session, platform, "mei", START)
    with platform.database.write("owner") as session:
        for table, rows in zip(tables, before, strict=True):
            session.connection().execute(table.delete())
            session.connection().execute(table.insert(), [dict(row) for row in rows])
    with pytest.raises(Problem) as refused:
        staff.sign_in(platform, "mei", PASSWORD, START)
    assert refused.value.code == "bad_sign_in"
    with platform.database.read() as session, pytest.raises(Problem) as unknown:
        staff.staff_of(session, platform, token, START)
    assert unknown.value.code == "not_signed_in"


def test_control_an_older_row_of_an_account_that_goes_on_signs_in(platform: Platform) -> None:
    with platform.database.write("owner") as session:
        row = session.get_one(StaffAccount, "mei")
        kept = row.model_dump()
        session.delete(row)
        session.flush()
        session.add(StaffAccount(**kept))
    assert staff.sign_in(platform, "mei", PASSWORD, START).role

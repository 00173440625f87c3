"""Plain reads answered together: the same bytes and the same record as the routes', and nothing beside."""

import asyncio
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from crm_core import records
from crm_core.reading import front
from crm_core.reading.front import Front
from crm_core.reading.plain import Plans
from crm_core.reading.together import Asked, Together
from protocol import event
from runtime import staff
from runtime.problem import Problem
from runtime.staff_session import Ticket
from verifier.drain import DrainTimeoutError
from verifier.recorder import Recorder
from verifier.response import GatedResponse

CITY, NAME, EMAIL = "address.city", "contact.given_name", "contact.email"
LIST = "/crm/customers"
PARAMS = {"purpose": "marketing"}


@pytest.fixture
def people(stage):
    """Everything granted; one field; nothing; a granted field without a value; text that JSON writes otherwise."""
    made = [stage.customer(contact__given_name=f'Zoë "{n}"\n\u2028', address__city="Leeds") for n in range(5)]
    stage.grant(made[0], CITY, NAME)
    stage.grant(made[1], CITY)
    stage.grant(made[3], CITY, EMAIL)
    stage.grant(made[4], CITY, NAME)
    return made


@pytest.fixture
def fast(stage, monkeypatch):
    """How many answers were not the routes'."""
    given = []
    answer = Together.answer

    def counting(self, asked):
        answers = answer(self, asked)
        given.extend(one for one in answers if one is not None)
        return answers

    monkeypatch.setattr(Together, "answer", counting)
    return given


def slow(monkeypatch, client, path, params):
    """The route's own answer."""
    with monkeypatch.context() as patch:
        patch.setattr(Front, "_asked", lambda self, scope: None)
        return client.get(path, params=params)


def alike(answer):
    """Without what is another one each time."""
    content = re.sub(rb"urn:uuid:[0-9a-f-]{36}", b"U", answer.content)
    return answer.status_code, dict(answer.headers), re.sub(rb'"next":"[^"]+"', b'"next":"N"', content)


def ticket(stage, client):
    return Ticket("token", client.headers["Authorization"].split()[1])


def test_a_page_and_a_customer_are_those_of_the_routes_byte_for_byte(stage, people, fast, monkeypatch):
    client = stage.client("marketing")
    asked = [
        (LIST, PARAMS),
        (LIST, PARAMS | {"select": f"{NAME},{CITY}", "limit": "2"}),
        (LIST, PARAMS | {"select": EMAIL, "limit": "5"}),
        *((f"{LIST}/{subject}", PARAMS) for subject in people),
        (f"{LIST}/{people[1]}", PARAMS | {"select": f"{CITY},{NAME}"}),
    ]
    for count, (path, params) in enumerate(asked, 1):
        answer = client.get(path, params=params)
        assert (answer.status_code, len(fast)) == (200, count)
        assert alike(answer) == alike(slow(monkeypatch, client, path, params))
        ours, theirs = stage.events(event.RELEASE)[-2:]
        assert (ours.header, ours.records) == (theirs.header, theirs.records)
        assert ours.event_id in answer.text


def test_the_page_after_it_goes_on_where_it_ended(stage, people, fast):
    client = stage.client("marketing")
    first = client.get(LIST, params=PARAMS | {"limit": "3"}).json()
    rest = client.get(LIST, params=PARAMS | {"limit": "3", "cursor": first["next"]}).json()
    assert len(fast) == 1
    assert [each["subject"] for each in first["items"] + rest["items"]] == sorted(people)


def test_an_empty_page_is_on_record_and_names_nobody(stage, fast):
    assert stage.client("marketing").get(LIST, params=PARAMS).json() == {"items": [], "next": None}
    assert len(fast) == 1
    assert stage.events(event.RELEASE)[-1].records == ((None, {"released": []}),)


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        (LIST, {}, 422),
        (LIST, {"purpose": "none.such"}, 404),
        (LIST, {"purpose": "support"}, 403),
        (LIST, PARAMS | {"limit": "0"}, 400),
        (LIST, PARAMS | {"limit": "1e3"}, 400),
        (LIST, PARAMS | {"select": "no.such"}, 400),
        (LIST, PARAMS | {"cursor": "x"}, 400),
        (f"{LIST}/sub_{'a' * 26}", PARAMS, 404),
        (f"{LIST}/nobody@example.org", PARAMS, 404),
    ],
)
def test_what_is_wrong_the_route_says(stage, fast, path, params, status):
    assert stage.client("marketing").get(path, params=params).status_code == status
    assert fast == []


def test_who_is_not_signed_in_or_may_not_is_refused(stage, people, fast):
    client = stage.client("service")
    assert client.get(LIST, params=PARAMS).json()["code"] == "role"
    assert stage.events(event.REFUSAL)
    for held in ("", "Bearer ", "Bearer nobody", "Basic eDp4"):
        client.headers["Authorization"] = held
        assert client.get(LIST, params=PARAMS).status_code == 401
    assert fast == []


def test_more_requests_than_the_rate_allows_are_refused(stage, people, fast):
    client = stage.client("marketing")
    together = Together(stage.platform, stage.gate, {})
    together._limit._most = 3
    held = [Asked(ticket(stage, client), b"purpose=marketing", None)] * 5
    answers = together.answer(held)
    assert [isinstance(answer, GatedResponse) for answer in answers] == [True] * 3 + [False] * 2
    assert all(isinstance(answer, Problem) and answer.status == 429 for answer in answers[3:])
    for answer in answers[:3]:
        answer.drop()
    stage.gate.turnstile.drain(1.0)


def test_what_was_withdrawn_is_withheld(stage, fast):
    subject = stage.customer(address__city="Leeds")
    consent, client = stage.grant(subject, CITY), stage.client("marketing")
    assert client.get(f"{LIST}/{subject}", params=PARAMS).json()["fields"][CITY] == "Leeds"
    stage.withdraw(subject, consent)
    for path in (LIST, f"{LIST}/{subject}"):
        answer = client.get(path, params=PARAMS)
        assert "Leeds" not in answer.text
    assert answer.json()["withheld"][CITY] == "withdrawn"
    assert len(fast) == 3


def test_a_standing_that_is_being_changed_is_waited_for_by_the_route(stage, people, fast):
    client = stage.client("marketing")
    stage.platform.journal.append({"kind": "narrowing", "subject": people[0], "version": 99, "ended": []})
    answer = client.get(f"{LIST}/{people[0]}", params=PARAMS)
    assert fast == []
    assert "Leeds" not in answer.text
    assert client.get(f"{LIST}/{people[1]}", params=PARAMS).json()["fields"] == {CITY: "Leeds"}
    stage.gate.turnstile.drain(1.0)


@pytest.mark.sqlite("columns that take any type")
@pytest.mark.parametrize("column", ["cells", "wrapped", "generation"])
@pytest.mark.parametrize("value", ["'text'", "7", "x'00'"])
def test_what_somebody_writes_into_a_record_lets_nothing_out_and_stops_nobody(stage, people, column, value):
    client = stage.client("marketing")
    with stage.platform.database.write("owner") as session:
        statement = f"UPDATE record SET {column} = {value} WHERE subject = '{people[0]}'"  # noqa: S608
        session.connection().exec_driver_sql(statement)
    answers = [client.get(f"{LIST}/{subject}", params=PARAMS) for subject in people[:2]]
    assert "Leeds" not in answers[0].text
    assert answers[1].json()["fields"] == {CITY: "Leeds"}
    stage.gate.turnstile.drain(1.0)


def test_nothing_leaves_without_its_record_and_nobody_is_left_inside(stage, people, monkeypatch):
    client = stage.client("marketing")
    monkeypatch.setattr(Recorder, "_emitted", lambda *_: 1 / 0)
    answer = client.get(LIST, params=PARAMS)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_recorded")
    assert stage.events(event.RELEASE) == []
    stage.gate.turnstile.drain(1.0)


def test_an_error_of_ours_is_the_routes_to_answer(stage, people, monkeypatch):
    client = stage.client("marketing")
    monkeypatch.setattr(Together, "_read", lambda *_: 1 / 0)
    assert client.get(LIST, params=PARAMS).status_code == 200
    stage.gate.turnstile.drain(1.0)


def test_those_who_come_together_share_one_commit_and_one_place(stage, people, fast, monkeypatch):
    client = stage.client("marketing")
    together = Together(stage.platform, stage.gate, {})
    held = [Asked(ticket(stage, client), b"purpose=marketing", subject) for subject in (None, *people)]
    commits, commit = [], Recorder._commit
    monkeypatch.setattr(Recorder, "_commit", lambda self: (commits.append(1), commit(self)))
    answers = together.answer(held)
    assert len(commits) == 1
    assert len({each.event_id for each in stage.events(event.RELEASE)}) == len(held)
    for answer in answers:
        with pytest.raises(DrainTimeoutError):
            stage.gate.turnstile.drain(0.05)
        answer.drop()
        answer.drop()
    stage.gate.turnstile.drain(1.0)


def test_a_request_that_is_given_up_leaves_nobody_inside(stage, people, monkeypatch):
    client = stage.client("marketing")
    together = Together(stage.platform, stage.gate, {})
    going, answer = threading.Event(), together.answer
    monkeypatch.setattr(together, "answer", lambda asked: (going.set(), time.sleep(0.2), answer(asked))[2])
    layer = Front(lambda *_: None, together, stage.platform.settings)

    async def given_up() -> None:
        scope = {
            "type": "http", "method": "GET", "path": LIST, "query_string": b"purpose=marketing",
            "headers": [(b"authorization", client.headers["Authorization"].encode())],
        }  # fmt: skip
        waiting = asyncio.ensure_future(layer(scope, None, None))
        while not going.is_set():
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.sleep(0.5)

    asyncio.run(given_up())
    assert stage.events(event.RELEASE)
    stage.gate.turnstile.drain(1.0)


WRITTEN = [
    (b"", 50), (b"&limit=7", 7), (b"&limit=500", 500), (b"&limit=00500", 500), (b"&limit=00000500", 500),
    (b"&%6cimit=500", 500), (b"&li%6Dit=500", 500), (b"&limit=%3500", 500), (b"&limit=5%30%30", 500),
    (b"&select=address.city%2Ccontact.email", 50), (b"&select=address.city&limit=12", 12),
]  # fmt: skip


@pytest.mark.parametrize(("text", "most"), WRITTEN)
def test_however_a_limit_is_written_it_counts_for_no_less_in_its_round(stage, text, most):
    text = b"purpose=marketing" + text
    plan = Plans(stage.catalogue).of(text, one=False)
    assert plan is None or plan.query.limit <= most
    assert front._size(Asked(Ticket("token", "t"), text, None)) == most


def test_a_round_looks_at_no_more_customers_than_its_bound(stage):
    together = Together(stage.platform, stage.gate, {})
    layer = Front(lambda *_: None, together, stage.platform.settings)
    layer._rounds = 1
    for text in (b"limit=1", b"limit=00500", b"limit=500", b"", b"", b"%6cimit=20"):
        asked = Asked(Ticket("token", "t"), b"purpose=marketing&" + text, None)
        layer._waiting[0].append((asked, front._size(asked), None))
    rounds = []
    while taken := layer._taken():
        rounds.append([size for _, size, _ in taken])
    assert rounds == [[1], [500], [500], [50, 50], [500]]


def test_a_cookie_that_another_page_sends_along_is_refused(stage, people, fast):
    client = stage.client("marketing")
    del client.headers["Authorization"]
    at = stage.clock.now()
    made = staff.sign_in(stage.platform, "marketing-1", "correct horse battery", at, kind="cookie")
    client.cookies.set("__Host-fieldgrant", made.token)
    assert client.get(LIST, params=PARAMS, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert len(fast) == 1
    refused = client.get(LIST, params=PARAMS, headers={"Sec-Fetch-Site": "cross-site"})
    assert (refused.status_code, refused.json()["code"]) == (403, "foreign_origin")
    assert len(fast) == 1


def test_keys_that_were_unwrapped_go_with_their_buckets(stage, people):
    keyring = stage.platform.keyring
    with stage.platform.database.read() as session:
        record = records.load(session, people[0])
    records.data_key(stage.platform, record)
    place = (record.bucket, record.epoch)
    assert keyring._unwrapped[place]
    new = keyring.begin_rotation(record.bucket)
    with stage.platform.database.write("owner") as session:
        records.rewrap_bucket(session, stage.platform, record.bucket, new)
    keyring.destroy(*place)
    assert place not in keyring._unwrapped
    with pytest.raises(Exception, match="no key of epoch"):
        records.data_key(stage.platform, record)
    assert place not in keyring._unwrapped


def late(stage, *, drain):
    """How many values reached a client of the layer after a withdrawal was acknowledged."""
    subject = stage.customer(address__city="Leeds")
    consent, client = stage.grant(subject, CITY), stage.client("marketing", f"reader-{drain}".lower())
    together = Together(stage.platform, stage.gate, {})
    held = [Asked(ticket(stage, client), b"purpose=marketing", one) for one in (subject, None)]
    stop, returned = threading.Event(), []

    def reading():
        while not stop.is_set():
            answers = together.answer(held)
            time.sleep(0.02)  # bytes on their way
            returned.append((time.monotonic(), any(b"Leeds" in answer.body for answer in answers)))
            for answer in answers:
                answer.drop()

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(reading)
        until = time.monotonic() + 30
        while len(returned) < 20 and time.monotonic() < until:
            time.sleep(0.01)
        stage.withdraw(subject, consent)
        if drain:
            stage.gate.turnstile.drain(10.0)
        acknowledged = time.monotonic()
        time.sleep(0.3)
        stop.set()
    after = [value for at, value in returned if at > acknowledged]
    assert after
    return sum(after)


def test_nothing_leaves_after_the_acknowledgement_and_without_the_drain_something_does(stage):
    assert late(stage, drain=True) == 0
    assert late(stage, drain=False) > 0

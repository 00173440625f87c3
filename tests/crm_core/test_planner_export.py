"""Exports: three forms, chunks that are each decided anew, the list of the data protection officer."""

import asyncio
import contextlib
import csv
import io
import socket
import threading
import time
from types import SimpleNamespace

import httpx
import pytest
import vobject
from fastapi import Response

from crm_core import records
from crm_core.imports import importer
from crm_core.reading import export, export_app, exporting, exports, vcards
from crm_core.reading.query import Where
from crm_core.reading.scan import NOBODY
from issuer import catalogue as catalogues
from runtime import serve, staff
from runtime.problem import Problem
from verifier.drain import DrainTimeoutError

EMAIL, CITY, NAME, NOTE = "contact.email", "address.city", "contact.given_name", "interaction.note"
PATH = "/crm/exports"
CATALOGUE = catalogues.load()


def people(stage, count, *, granted=(CITY, NAME), **values):
    consents = {}
    for number in range(count):
        subject = stage.customer(address__city=f"City {number}", contact__given_name=f"N{number}", **values)
        consents[subject] = stage.grant(subject, *granted)
    return consents


def ask(client, format_="csv", **body):
    return client.post(PATH, json={"purpose": "marketing", "select": [NAME, CITY], "format": format_} | body)


def rows(answer):
    return list(csv.reader(io.StringIO(answer.text, newline="")))


def test_a_csv_has_each_customer_of_whom_a_selected_field_is_released(stage):
    consents = people(stage, 3)
    stage.customer(address__city="Nowhere")
    stage.grant(stage.customer(), CITY)
    answer = ask(stage.client("marketing"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["cache-control"] == "no-store"
    head, *lines = rows(answer)
    assert head == ["subject", NAME, CITY]
    assert {line[0] for line in lines if line[1]} == set(consents)
    assert [line[1:] for line in lines if not line[1]] == [["", ""]]  # granted, and nothing stored
    assert "Nowhere" not in answer.text


def test_each_chunk_is_on_record_under_the_export_before_it_is_sent(stage, monkeypatch):
    monkeypatch.setattr(exporting, "CHUNK", 2)
    consents = people(stage, 5)
    answer = ask(stage.client("marketing"), filters=[{"field": CITY, "operator": "ne", "value": "City 1"}])
    events = stage.events("release")
    queries = [event.header["query"] for event in events]
    assert {query["export"] for query in queries} == {answer.headers["fieldgrant-export"]}
    assert [query["part"] for query in queries] == [1, 2, 3]
    assert sum(query["examined"] for query in queries) == 5
    told = {subject: data["released"] for event in events for subject, data in event.records if subject}
    assert len(told) == 4
    assert set(told) < set(consents)
    assert all(released == [CITY, NAME] for released in told.values())
    assert "city 1" not in str(queries).lower()


def test_jsonl_and_vcard_name_what_is_released_and_nothing_else(stage):
    (subject,) = people(stage, 1, contact__email="wei@example.com")
    client = stage.client("marketing")
    line = ask(client, "jsonl", select=[CITY, EMAIL])
    assert line.text == f'{{"subject":"{subject}","fields":{{"address.city":"City 0"}}}}\n'
    card = vobject.readOne(ask(client, "vcard", select=[NAME, CITY, EMAIL]).text)
    assert card.contents["uid"][0].value == subject
    assert card.fn.value == "N0"
    assert "email" not in card.contents


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_chunks_put_together_are_the_whole(stage, monkeypatch, count):
    monkeypatch.setattr(exporting, "CHUNK", 2)
    consents = people(stage, count)
    assert [line[0] for line in rows(ask(stage.client("marketing")))[1:]] == sorted(consents)


def test_a_chunk_ends_when_it_is_large_enough_for_a_slow_line(stage, monkeypatch):
    monkeypatch.setattr(exporting, "MAX_BYTES", 80)
    consents = people(stage, 4)
    assert len(rows(ask(stage.client("marketing")))) == 1 + len(consents)
    assert len(stage.events("release")) > 2


def test_the_list_of_exports_is_the_officers_alone(stage):
    people(stage, 2)
    answer = ask(stage.client("marketing"), search="N0")
    (listed,) = stage.client("dpo").get(PATH).json()["items"]
    assert listed["id"] == answer.headers["fieldgrant-export"]
    assert (listed["rows"], listed["state"], listed["format"]) == (1, "complete", "csv")
    assert set(listed["fields"]) >= {NAME, CITY}
    assert listed["account"] == "marketing-1"
    assert "n0" not in str(listed).lower()
    refused = stage.client("sales").get(PATH)
    assert (refused.status_code, refused.json()["code"]) == (403, "role")
    assert stage.events("attempt.refused")[-1].records[0][1] == {"code": "role"}


def test_only_roles_of_the_purpose_export(stage):
    refused = ask(stage.client("service"))
    assert (refused.status_code, refused.json()["code"]) == (403, "role")
    assert stage.events("release") == []


@pytest.mark.parametrize(
    ("body", "code", "member"),
    [
        ({"format": "xlsx"}, "bad_export", "format"),
        ({"format": ["csv"]}, "bad_export", "format"),
        ({"recipient": "wei@example.com"}, "bad_export", "recipient"),
        ({"jurisdiction": "Mars"}, "bad_export", "jurisdiction"),
        ({"sort": ["address.city"]}, "bad_request", "sort"),
        ({"select": ["ticket.body"]}, "item_field", "select[0]"),
        ({"filters": [{"field": CITY, "operator": "eq"}]}, "bad_filter", "filters[0].value"),
    ],
)
def test_an_export_that_is_not_understood_names_its_member(body, code, member):
    with pytest.raises(Problem) as caught:
        export_app.order_of(CATALOGUE, {"format": "csv"} | body, "marketing")
    assert (caught.value.code, caught.value.field) == (code, member)


def test_an_export_that_is_not_understood_is_on_record_and_listed_nowhere(stage):
    people(stage, 1)
    answer = ask(stage.client("marketing"), "xlsx")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_export")
    assert stage.client("dpo").get(PATH).json()["items"] == []
    assert stage.events("attempt.refused")


def test_a_third_party_gets_only_what_was_granted_to_it(stage):
    """The recipient is one of the catalogue's; nobody here granted it anything."""
    people(stage, 2)
    partner = "did:web:delivery.example"
    body = {"purpose": "partner-delivery", "select": [CITY], "recipient": partner}
    answer = ask(stage.client("service"), **body)
    assert answer.status_code == 200
    assert rows(answer)[1:] == []
    assert stage.events("release")[-1].header["recipient"] == partner


def test_a_third_party_that_the_catalogue_does_not_list_gets_nothing(stage):
    people(stage, 2)
    answer = ask(stage.client("marketing"), recipient="did:web:stranger.example")
    assert (answer.status_code, answer.json()["code"]) == (403, "transfer_not_allowed")
    assert stage.events("release") == []


FORMULAS = ["=cmd|'/c calc'!A0", "+1+1", "-2", "@SUM(A1)", "＝1", "\t=1", "\r=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_of_a_csv_begins_as_a_formula_does(text):
    types = {NOTE: "text", "contact.phone": "phone", "vehicle.mileage": "number", "interaction.tags": "tags"}
    values = {NOTE: text, "contact.phone": "+8613800138000", "vehicle.mileage": -5, "interaction.tags": text}
    line = next(csv.reader(io.StringIO(export.FORMS["csv"].row("sub_a", values, types).decode(), newline="")))
    assert line == ["sub_a", f"'{text}", "+8613800138000", "-5", f"'{text}"]


@pytest.mark.parametrize("text", ["a;=cmd|' /C calc'!A0", 'a;"=1+1', ["a@x.cn", "=cmd@x.cn"], "a; +1"])
def test_no_formula_hides_behind_what_parts_cells_elsewhere(text):
    """Where numbers have a comma, a spreadsheet parts the cells of any CSV at semicolons, quotes or not."""
    line = export.FORMS["csv"].row("sub_a", {NOTE: text}, {NOTE: "text"}).decode()
    for cell in line.replace('"', "").split(";")[1:]:
        assert not cell.strip().startswith(("=", "+", "-", "@")), line


def test_a_csv_keeps_quotes_newlines_and_several_values():
    types = {NOTE: "text", "contact.other_emails": "email", "preference.newsletter": "boolean", CITY: "text"}
    values = {NOTE: 'a "b",\nc', "contact.other_emails": ["a@x.cn", "b@x.cn"], "preference.newsletter": False}
    line = next(csv.reader(io.StringIO(export.FORMS["csv"].row("sub_a", values, types).decode(), newline="")))
    assert line == ["sub_a", 'a "b",\nc', "a@x.cn;b@x.cn", "false", ""]


def test_our_own_import_takes_a_csv_back_and_keeps_the_mark_before_a_formula(stages):
    """Only a spreadsheet knows whether the `'` was ours, so the importer keeps it; all else comes back as it was."""
    here, there = stages
    values = {
        NAME: "=1+1", "contact.family_name": "李", EMAIL: "wei@example.com", "contact.phone": "+8613800138000",
        "contact.other_emails": ["a@x.cn", "b@x.cn"], "preference.newsletter": True, CITY: 'Bad "Ems", \'26',
    }  # fmt: skip
    subject = here.customer(**{field.replace(".", "__"): value for field, value in values.items()})
    here.grant(subject, *values)
    data = ask(here.client("marketing"), select=list(values)).content
    importer.run(there.platform, there.catalogue, data, source="test", importer=there.platform.controller)
    with there.platform.database.read() as session:
        (found,) = session.connection().execute(records.TABLE.select().with_only_columns(records.TABLE.c.subject)).all()
    assert there.stored(found.subject) == values | {NAME: "'=1+1"}


NASTY = "Zeile 1\nZeile 2; \\n, 李伟 👩‍👩‍👧 \u2028 END:VCARD\r\nBEGIN:VCARD" + "很" * 60


def test_a_card_of_anything_is_one_well_formed_card():
    values = {
        "contact.given_name": "伟,;\\",
        "contact.family_name": "李",
        NOTE: NASTY,
        "contact.other_emails": ["a@x.cn", "b@x.cn"],
        "contact.phone": "+8613800138000",
        "interaction.tags": "vip, a;b",
        "preference.newsletter": True,
        "employment.company": "A;B",
        "employment.department": "C,D",
        "address.city": "上海",
        "contact.birth_date": "1990-01-01",
    }
    text = vcards.write("sub_a", values)
    lines = text.split("\r\n")
    assert all(len(line.encode()) <= 75 for line in lines)
    assert (lines.count("BEGIN:VCARD"), lines.count("END:VCARD"), lines[1]) == (1, 1, "VERSION:4.0")
    assert "\n" not in text.replace("\r\n", "")
    (card,) = vobject.readComponents(text)
    assert card.n.value.family == "李"
    assert card.n.value.given == "伟,;\\"
    assert card.note.value == NASTY.replace("\r\n", "\n")
    assert [mail.value for mail in card.contents["email"]] == ["a@x.cn", "b@x.cn"]
    assert card.contents["x-preference-newsletter"][0].value == "true"


def test_a_card_without_a_name_is_called_by_its_reference():
    assert "\r\nFN:sub_a\r\n" in vcards.write("sub_a", {})
    assert "\r\nFN:Acme\r\n" in vcards.write("sub_a", {"employment.company": "Acme"})


class Line:
    """An export over real HTTP, taken chunk by chunk."""

    def __init__(self, stage, client):
        listening, ports = threading.Event(), []
        self.server = serve.server(client.app, 0, ready=lambda port: (ports.append(port), listening.set()))
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        assert listening.wait(30)
        self.url = f"http://127.0.0.1:{ports[0]}{PATH}"
        self.headers = dict(client.headers)

    def close(self):
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture
def line(stage):
    lines = []

    def opened(client):
        lines.append(Line(stage, client))
        return lines[-1]

    yield opened
    for each in lines:
        each.close()


def withdrawn_between_chunks(stage, line, monkeypatch):
    """The cities of an export during which everybody withdraws, once the first chunk has been taken."""
    monkeypatch.setattr(exporting, "CHUNK", 2)
    consents = people(stage, 8)
    chunk = exporting.Run.chunk

    def slow(self, after):
        if self.parts == 1:
            for subject, consent in consents.items():
                stage.withdraw(subject, consent)
            stage.gate.turnstile.drain(5.0)
        return chunk(self, after)

    monkeypatch.setattr(exporting.Run, "chunk", slow)
    served = line(stage.client("marketing"))
    body = {"purpose": "marketing", "select": [CITY], "format": "csv"}
    answer = httpx.post(served.url, json=body, headers=served.headers, timeout=30)
    return len(rows(answer)) - 1


def test_who_withdrew_meanwhile_is_not_in_later_chunks(stage, line, monkeypatch):
    assert withdrawn_between_chunks(stage, line, monkeypatch) == 2


def test_with_a_verdict_that_is_kept_for_the_whole_export_they_are(stage, line, monkeypatch):
    """The control: one snapshot for all chunks."""
    kept = {}
    read = exporting.Run._read

    def stale(self, snapshot, after):
        with stage.platform.database.engine.connect() as connection:
            if not kept:
                kept.update({seen.subject: seen for seen in snapshot.every("")})
            del connection
        every = type(snapshot).every
        monkeypatch.setattr(
            type(snapshot), "every", lambda _self, after, _step: (kept[key] for key in sorted(kept) if key > after)
        )
        try:
            return read(self, snapshot, after)
        finally:
            monkeypatch.setattr(type(snapshot), "every", every)

    monkeypatch.setattr(exporting.Run, "_read", stale)
    assert withdrawn_between_chunks(stage, line, monkeypatch) == 8


def test_a_withdrawal_waits_for_the_chunk_under_way_and_no_longer(stage, line, monkeypatch):
    monkeypatch.setattr(exporting, "CHUNK", 1)
    people(stage, 30)
    served = line(stage.client("marketing"))
    body = {"purpose": "marketing", "select": [CITY], "format": "jsonl"}
    with httpx.stream("POST", served.url, json=body, headers=served.headers, timeout=30) as answer:
        taken = 0
        for _ in answer.iter_lines():
            taken += 1
            stage.gate.turnstile.drain(5.0)
    assert taken == 30


@pytest.mark.parametrize("ending", ["account", "session"])
def test_whoever_may_sign_in_no_more_gets_no_further_chunk(stage, line, monkeypatch, ending):
    monkeypatch.setattr(exporting, "CHUNK", 2)
    people(stage, 6)
    client = stage.client("marketing", "mallory")
    chunk = exporting.Run.chunk

    def dismissed(self, after):
        if self.parts == 1:
            with stage.platform.database.write("owner") as session:
                if ending == "account":
                    staff.end_account(session, stage.platform, "mallory", stage.clock.now())
                else:
                    token = client.headers["authorization"].split()[1]
                    staff.sign_out(session, stage.platform.keyring, token)
        return chunk(self, after)

    monkeypatch.setattr(exporting.Run, "chunk", dismissed)
    served = line(client)
    body = {"purpose": "marketing", "select": [CITY], "format": "csv"}
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("POST", served.url, json=body, headers=served.headers) as answer,
    ):
        answer.read()
    assert sum(len(event.records) for event in stage.events("release")) == 2
    stage.gate.turnstile.drain(5.0)


def test_an_export_that_breaks_off_is_seen_to_and_listed_as_broken(stage, line, monkeypatch):
    monkeypatch.setattr(exporting, "CHUNK", 1)
    people(stage, 3)
    chunk = exporting.Run.chunk

    def failing(self, after):
        if self.parts == 2:
            raise Problem(503, "not_recorded", "The record of this read could not be kept.")
        return chunk(self, after)

    monkeypatch.setattr(exporting.Run, "chunk", failing)
    served = line(stage.client("marketing"))
    body = {"purpose": "marketing", "select": [CITY], "format": "csv"}
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("POST", served.url, json=body, headers=served.headers) as answer,
    ):
        answer.read()
    stage.gate.turnstile.drain(5.0)
    served.close()
    with stage.platform.database.read() as session:
        (listed,) = exports.listed(session)
    assert (listed.state, listed.rows) == ("broken", 2)


BIG = 64 * 2**20  # far beyond what sockets buffer


def test_a_client_that_takes_nothing_of_what_came_before_is_cut_at_the_deadline(stage, line):
    """Two requests on one connection: the answer to the first fills it, so the export's head has no room."""
    people(stage, 2)
    client = stage.client("marketing")
    client.app.get("/big")(lambda: Response(b"x" * BIG))
    body = b'{"purpose": "marketing", "select": ["address.city"], "format": "csv"}'
    head = f"Authorization: {client.headers['authorization']}\r\nContent-Length: {len(body)}\r\n"
    served = line(client)
    with socket.create_connection(("127.0.0.1", int(served.url.split(":")[2].split("/")[0]))) as silent:
        silent.settimeout(30)
        silent.sendall(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
        silent.sendall(f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode())
        silent.sendall(f"{head}\r\n".encode() + body)
        assert held(stage)
        begun = time.monotonic()
        stage.gate.turnstile.drain(20.0)
        assert time.monotonic() - begun < stage.platform.settings.send_deadline + 2.0
        got = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while data := silent.recv(2**20):
                got += data
    assert b"City" not in got
    served.close()
    with stage.platform.database.read() as session:
        (listed,) = exports.listed(session)
    assert (listed.state, listed.rows) == ("broken", 0)


def held(stage):
    """Does a reader stay inside, before ten seconds are over?"""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            stage.gate.turnstile.drain(0.3)
        except DrainTimeoutError:
            return True
        time.sleep(0.02)
    return False


def test_an_export_whose_place_at_the_gate_was_lost_sends_nothing(stage):
    people(stage, 2)
    planner, sent = stage.planner, []

    async def never(*_):
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    def exported(lost):
        order = exporting.order(stage.catalogue, (CITY,), Where(), "csv")
        run = exporting.Run(planner, order, stage.visit)
        run.begin(stage.visit())
        passage, chunk = run.chunk(NOBODY)
        response = export_app.ExportResponse(run, passage, chunk)
        hold = passage._hold
        passage._hold = SimpleNamespace(held=lambda: not lost, release=hold.release)
        asyncio.run(
            response({"type": "http", "extensions": {"fieldgrant.cut": lambda: sent.append("cut")}}, never, send)
        )

    exported(lost=True)
    assert set(sent) == {"cut"}
    sent.clear()
    stage.gate.turnstile.drain(5.0)
    exported(lost=False)
    assert [message["type"] for message in sent] == ["http.response.start"] + ["http.response.body"] * 3


def test_an_export_that_cannot_begin_is_a_problem_and_listed_as_broken(stage, monkeypatch):
    def failing(_self, _after):
        raise Problem(503, "not_recorded", "The record of this read could not be kept.")

    monkeypatch.setattr(exporting.Run, "chunk", failing)
    assert ask(stage.client("marketing")).json()["code"] == "not_recorded"
    assert stage.client("dpo").get(PATH).json()["items"][0]["state"] == "broken"


def test_a_client_that_goes_away_ends_the_export(stage, line, monkeypatch):
    monkeypatch.setattr(exporting, "CHUNK", 1)
    people(stage, 3)
    chunk, left, waited = exporting.Run.chunk, threading.Event(), []

    def waiting(self, after):
        if self.parts == 1:
            waited.append(left.wait(10))
        return chunk(self, after)

    monkeypatch.setattr(exporting.Run, "chunk", waiting)
    served = line(stage.client("marketing"))
    body = {"purpose": "marketing", "select": [CITY], "format": "csv"}
    with httpx.stream("POST", served.url, json=body, headers=served.headers):
        pass
    time.sleep(0.3)  # until the server has heard of it
    left.set()
    served.close()
    assert waited == [True]
    with stage.platform.database.read() as session:
        (listed,) = exports.listed(session)
    assert listed.state == "broken"
    assert listed.rows < 3

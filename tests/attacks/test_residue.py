"""200 markers go in at every door of a real server; afterwards none of them lies in clear in anything that it wrote.

Doors: imports of each kind, staff's writes, items, touchpoints (stored, held, refused), reads, filters, searches,
aggregates, exports, the archive, a withdrawal, a customer's own requests, and every route with a marker in the wrong
place. The server is then ended by a crash in the middle of an upload, with core files allowed by the system.
"""

import base64
import json
import os
import random
import resource
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from fieldgrant.demo import residue
from fieldgrant.demo.residue import ENCODINGS, forms
from issuer import sealing
from protocol import canonical, proof, request, sealed, signature
from protocol.consent import fresh_id
from protocol.keys import Ed25519Signer
from protocol.times import iso
from redaction.archive import Archived
from runtime import staff
from tests.attacks.house import CITY, EMAIL, GIVEN, PASSWORD, PHONE, House, Person, Signed, built
from tests.attacks.test_crashes import settle
from tests.engine import hand, mapping

MARKERS = 200
NOTE, SUBJECT, BODY = "interaction.note", "interaction.subject", "interaction.body"
ELSEWHERE = "mail"  # letters on their way to their owners: addresses must be in them
LATIN = "bcdfghjkmnpqrstvwxz23456789"


def make_markers() -> list[str]:
    """Every other one in Chinese; all of them long enough that chance does not make one."""
    chance = random.Random()  # noqa: S311 - markers, not secrets
    latin = {"qz" + "".join(chance.choices(LATIN, k=10)) for _ in range(MARKERS)}
    chinese = {"".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(5)) for _ in range(MARKERS)}
    return [one for pair in zip(latin, chinese, strict=False) for one in pair][:MARKERS]


@dataclass(slots=True)
class Doors:
    """The server, and the markers: each is used at least once, and then again."""

    house: House
    markers: list[str]
    used: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60, trust_env=False))

    def next(self) -> str:
        self.used += 1
        return self.markers[self.used % MARKERS]

    def latin(self) -> str:
        """The next one that an e-mail address or a header can hold."""
        while not (marker := self.next()).isascii():
            pass
        return marker

    def mail(self) -> str:
        return f"{self.latin()}@example.org"

    def send(self, door: str, method: str, path: str, **more: Any) -> httpx.Response:
        """One request; how it was answered is counted by door."""
        at = more.pop("account", None)
        headers = {**(self.house.desk(at) if at else {}), **more.pop("headers", {})}
        with self.http.stream(method, f"{self.house.url(0)}{path}", headers=headers, **more) as answer:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):  # that one never ends
                answer.read()
        key = f"{door} {'ok' if answer.is_success else 'refused'}"
        self.answers[key] = self.answers.get(key, 0) + 1
        return answer


def hire(house: House, account: str, role: str) -> None:
    """An account beyond those of the house."""
    with house.platform.database.write("owner") as session:
        at = house.platform.clock.now()
        staff.create_account(
            session, house.platform.keyring, account=account, name=account, role=role, password=PASSWORD, at=at
        )
    house.tokens[account] = staff.sign_in(house.platform, account, PASSWORD, at).token


# -- the doors


def imports(doors: Doors) -> str:
    """Rows of each kind, broken ones among them; the subject of one of the customers."""
    line = ["First Name,Last Name,Email,Phone Number,City,Note," + doors.next()]
    for number in range(12):
        mail = doors.mail() if number % 3 else f"broken {doors.next()}"
        row = [doors.next(), doors.next(), mail, f"+86138001{number:05}", doors.next(), f"said {doors.next()} to us"]
        line.append(",".join([*row, doors.next()]))
    for encoding in ("utf-8", "gb18030"):
        headers = {"content-type": "text/csv"}
        body = "\n".join(line if encoding == "utf-8" else [line[0], *line[-4:]]).encode(encoding)
        named = {"encoding": encoding}
        made = doors.send("import", "POST", "/crm/imports", content=body, params=named, headers=headers, account="dora")
        assert made.status_code == 200, made.text
    assert made.json()["left_out"]
    cards = [
        "\r\n".join(["BEGIN:VCARD", "VERSION:4.0", f"FN:{doors.next()} {name}", f"N:{name};{doors.next()};;;",
                     f"EMAIL:{doors.mail()}", f"NOTE:{doors.next()}", f"X-ODD:{doors.next()}", "END:VCARD", ""])
        for name in (doors.next(), doors.next())
    ]  # fmt: skip
    for text in ("".join(cards), cards[0][:60], f"BEGIN:VCARD\r\n{doors.next()}"):
        vcard = {"content-type": "text/vcard"}
        doors.send("import", "POST", "/crm/imports", content=text.encode(), headers=vcard, account="dora")
    rows = [{GIVEN: doors.next(), EMAIL: doors.mail(), CITY: doors.next(), doors.next(): doors.next()} for _ in "123"]
    text = "\n".join([*(json.dumps(one, ensure_ascii=False) for one in rows), f'{{"{doors.next()}": '])
    kind = {"content-type": "application/jsonl"}
    doors.send("import", "POST", "/crm/imports", content=text.encode(), headers=kind, account="dora")
    columns = {"map": f"{doors.next()}={doors.next()}"}
    csv = {"content-type": "text/csv"}
    doors.send("import", "POST", "/crm/imports", content=b"a\nb", params=columns, headers=csv, account="dora")
    rows_ = doors.house.sql("SELECT subject FROM record ORDER BY created_at DESC LIMIT 1")
    return str(rows_[0][0])


def customer(doors: Doors, subject: str) -> tuple[Signed, dict[str, Any], dict[str, Any]]:
    """One of them enrols and consents; staff correct and note what they hear."""
    wallet = doors.house.enrol_by_hand(Person(subject, "", ""))  # type: ignore[arg-type]
    first = wallet.give([EMAIL, CITY, GIVEN])
    second = wallet.give([GIVEN, PHONE, SUBJECT, BODY, NOTE], "service")
    path = f"/crm/customers/{subject}"
    values = {GIVEN: doors.next(), NOTE: doors.next()}
    body = {"purpose": "service", "values": values}
    assert doors.send("staff", "PATCH", path, json=body, account="sina").status_code == 204
    for _ in range(3):
        body = {"purpose": "service", "values": {SUBJECT: doors.next(), BODY: f"{doors.next()} {doors.next()}"}}
        made = doors.send("staff", "POST", f"{path}/items", json=body, account="sina")
        assert made.status_code == 201, made.text
    item = f"{path}/items/{made.json()['item']}"
    body = {"purpose": "service", "values": {BODY: doors.next()}}
    assert doors.send("staff", "PATCH", item, json=body, account="sina").status_code == 204
    doors.send("staff", "DELETE", item, params={"purpose": "service"}, account="sina")
    for values in (
        {EMAIL: doors.next()},
        {doors.next(): 1},
        {"contact.birth_date": doors.next()},
        {GIVEN: [doors.next()]},
    ):
        body = {"purpose": "service", "values": values}
        assert doors.send("staff", "PATCH", path, json=body, account="sina").is_client_error
        doors.send("staff", "POST", f"{path}/items", json=body, account="sina")
    org = {"name": doors.next(), "domain": f"{doors.latin()}.example", "website": doors.next()}
    doors.send("staff", "POST", "/crm/organisations", json=org, account="sina")
    doors.send("staff", "POST", "/crm/organisations", json={"name": doors.next()}, account="sina")
    doors.send("staff", "GET", "/crm/organisations", params={"q": doors.next()}, account="sina")
    return wallet, first, second


def touchpoints(doors: Doors, wallet: Signed, given: dict[str, Any]) -> None:
    """Uploads that are stored, held and refused."""
    house, signer = doors.house, Ed25519Signer.generate()
    until = house.platform.clock.now() + timedelta(days=30)
    body = {
        "did": signer.did, "name": "Web form", "rate": 6000, "ungrounded": "hold", "valid_until": iso(until),
        "processes": [{"purpose": "service", "fields": [GIVEN, EMAIL, NOTE]}],
    }  # fmt: skip
    made = doors.send("touchpoint", "POST", "/crm/touchpoints", json=body, account="ada")
    assert made.status_code == 201, made.text
    doors.send("touchpoint", "POST", f"/crm/touchpoints/{made.json()['id']}/approval", json={}, account="dora")
    subject, states = wallet.person.subject, set()
    uploads: list[dict[str, Any]] = [
        {"ground": given["id"], "values": {GIVEN: doors.next(), NOTE: doors.next()}},
        {"values": {EMAIL: doors.mail()}},
        {"values": {EMAIL: f"broken {doors.next()}"}},
        {"values": {doors.next(): doors.next()}},
        {"values": {GIVEN: [doors.next()]}, "purpose": doors.next()},
        {"values": {GIVEN: doors.next()}, "subject": doors.next()},
        {"values": {GIVEN: doors.next()}, "ground": doors.next()},
        {"values": {GIVEN: doors.next()}, "ground": {"id": doors.next()}},
        {"values": {GIVEN: doors.next()}, "collected_at": doors.next()},
        {"values": {GIVEN: doors.next()}, "id": doors.next()},
        {"values": {GIVEN: doors.next()}, doors.next(): doors.next()},
    ]
    for members in uploads:
        at = iso(house.platform.clock.now())
        one = {"id": fresh_id(), "subject": subject, "purpose": "service", "collected_at": at, **members}
        answer = by_key(doors, signer, "touchpoint", "/crm/ingest", {"uploads": [one]})
        states |= {
            kind for kind in ("stored", "held") for result in answer.json().get("results", []) if result.get(kind)
        }
        states |= {str(answer.status_code // 100)}
    assert states >= {"stored", "held", "4"}
    by_key(doors, signer, "touchpoint", "/crm/ingest", {"uploads": doors.next(), "delegation": doors.next()})


def by_key(doors: Doors, signer: Ed25519Signer, door: str, path: str, body: Any) -> httpx.Response:
    """A post signed as wallets and touchpoints do."""
    data = canonical.jcs(body)
    headers = {"content-type": "application/json"}
    headers |= signature.sign_request(
        "POST", f"{doors.house.url(0)}{path}", headers, data, signer, created=doors.house.platform.clock.now(),
        nonce=secrets.token_urlsafe(16),
    )  # fmt: skip
    return doors.send(door, "POST", path, content=data, headers=headers)


def reading(doors: Doors, wallet: Signed) -> None:
    """Reads, filters, searches, aggregates and exports whose operands are values."""
    path = f"/crm/customers/{wallet.person.subject}"
    for account, purpose in (("mei", "marketing"), ("sina", "service")):
        one = doors.send("read", "GET", path, params={"purpose": purpose}, account=account)
        assert any(marker in one.text for marker in doors.markers), one.text
        doors.send("read", "GET", f"{path}/items", params={"purpose": purpose}, account=account)
        for names in ({"filter": f"{CITY}:prefix:{doors.next()}"}, {"filter": doors.next()}, {"sort": doors.next()},
                      {"select": doors.next()}, {"cursor": doors.next()}, {"limit": doors.next()},
                      {doors.next(): doors.next()}, {"purpose": doors.next()}):  # fmt: skip
            query = {"purpose": purpose, **names}
            doors.send("filter", "GET", "/crm/customers", params=query, account=account)
        for told in (
            {"filters": [{"field": CITY, "operator": "eq", "value": doors.next()}]},
            {"filters": [{"field": GIVEN, "operator": "in", "value": [doors.next(), doors.next()]}]},
            {"filters": [{"field": doors.next(), "operator": doors.next(), "value": doors.next()}]},
            {"search": doors.next()}, {"search": [doors.next()]}, {"order": doors.next()},
        ):  # fmt: skip
            for place in ("query", "aggregate"):
                body = {"purpose": purpose, **told}
                doors.send("query", "POST", f"/crm/customers/{place}", json=body, account=account)
        for kind in ("csv", "jsonl", "vcard", doors.next()):
            body = {"purpose": purpose, "format": kind, "select": [GIVEN, EMAIL if purpose == "marketing" else NOTE]}
            doors.send("export", "POST", "/crm/exports", json=body, account=account)


def everywhere(doors: Doors) -> int:
    """Every route, with a marker in each place where one can stand; how many requests."""
    described = doors.http.get(f"{doors.house.url(0)}/openapi.json").json()
    count = 0
    for template, methods in described["paths"].items():
        for method, told in methods.items():
            if (template, method) == ("/staff/sessions/current", "delete"):
                continue  # she is needed again
            path = template
            for one in [part for part in template.split("/") if part.startswith("{")]:
                path = path.replace(one, doors.next())
            names = [one["name"] for one in told.get("parameters", []) if one["in"] == "query"]
            query = {name: doors.next() for name in [*names, doors.next()]}
            bodies: list[dict[str, Any]] = [{}]
            if "requestBody" in told:
                members = properties(described, told["requestBody"])
                bodies = [
                    {"json": {name: doors.next() for name in [*members, doors.next()]}},
                    {"content": f'{{"a": "{doors.next()}'.encode(), "headers": {"content-type": "application/json"}},
                ]
            for number, body in enumerate(bodies):
                headers = {"x-name": doors.latin(), "idempotency-key": doors.latin(), **body.pop("headers", {})}
                doors.send("misuse", method.upper(), path, params=query, headers=headers, account="dora", **body)
                count += 1
                if number == 0 and len(bodies) > 1:  # and by nobody
                    headers |= {"authorization": f"Bearer {doors.latin()}", "signature": doors.latin()}
                    doors.send("misuse", method.upper(), path, params=query, headers=headers, **body)
                    count += 1
    for path in (f"/{doors.next()}", f"/crm/{doors.next()}?{doors.next()}={doors.next()}"):
        doors.send("misuse", "POST", path, json={})
    doors.send("misuse", doors.latin().upper(), "/crm/customers")
    for account, password in ((doors.latin(), PASSWORD), ("mei", doors.next()), (doors.next(), doors.next())):
        doors.send("misuse", "POST", "/staff/sessions", json={"account": account, "password": password})
    raw(doors, f"GET /{doors.next()} HTTP/9.9\r\n{doors.next()}\r\n\r\n".encode())
    return count


def raw(doors: Doors, data: bytes) -> None:
    """Bytes that are no request."""
    with socket.create_connection(("localhost", doors.house.ports[0]), timeout=10) as line:
        line.sendall(data)
        line.recv(1000)


def properties(described: dict[str, Any], body: dict[str, Any]) -> list[str]:
    """The members that a body is said to have."""
    schema = next(iter(body["content"].values())).get("schema", {})
    if "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return list(schema.get("properties", {}))


def rights(doors: Doors, wallet: Signed) -> None:
    """A customer's own requests: a copy, and a correction that staff take in."""
    house = doors.house
    at = house.platform.clock.now()
    public = house.platform.keyring.archive.public(sealing.period_of(at))
    box = sealed.seal(public, sealing.inside(house.platform.controller, wallet.signer.did, {CITY: doors.next()}))
    for kind, more in (("access", {}), ("rectification", {"fields": [CITY], "correction": canonical.digest(box)})):
        unsigned = request.build_request(
            kind, id=fresh_id(), controller=house.platform.controller, issuer=wallet.signer.did, at=at, **more
        )  # type: ignore[arg-type]
        body = {"request": proof.sign(unsigned, wallet.signer, created=at)}
        body |= {"sealed": base64.b64encode(box).decode()} if more else {}
        made = by_key(doors, wallet.signer, "rights", "/issuer/wallet/requests", body)
        assert made.status_code == 201, made.text
        id_ = made.json()["id"]
        if more:
            path = f"/crm/rights/requests/{id_}/correction"
            assert doors.send("rights", "POST", path, json={}, account="sina").status_code == 200
        else:
            told = by_key(doors, wallet.signer, "rights", "/crm/rights/answers", {"request": id_})
            assert told.status_code == 200, told.text
    for path in ("requests", "consents", "withdrawals", "refusals", "narrowings"):
        body = {"request": {"id": doors.next()}, "consent": {"id": doors.next(), "name": doors.next()}}
        body |= {"withdrawal": {doors.next(): doors.next()}, "refusal": doors.next(), "sealed": doors.next()}
        by_key(doors, wallet.signer, "rights", f"/issuer/wallet/{path}", body)


def ending(doors: Doors, wallet: Signed, *given: dict[str, Any]) -> None:
    """The withdrawals, what redaction makes of them, and the archive opened by two."""
    for one in given:
        told = wallet.send("/issuer/wallet/withdrawals", {"withdrawal": wallet.withdrawal(one)}, doors.http)
        assert told.is_success, told.text
    settle(doors.house, limit=150)
    with doors.house.platform.database.read() as session:
        row = session.exec(select(Archived).where(Archived.subject == wallet.person.subject)).first()
    assert row is not None
    paper = {"reason": "legal_claim", "legal_ground": "GDPR art. 17(3)(e)", "evidence": "Court file 7 O 12/26"}
    body = {"kind": "open", "subject": row.subject, "field": row.field, **paper}
    path = "/redaction/archive/requests"
    made = doors.send("archive", "POST", path, json=body, account="dora")
    assert made.status_code == 201, made.text
    path = f"{path}/{made.json()['id']}"
    doors.send("archive", "POST", f"{path}/approval", json={}, account="dan")
    opened = doors.send("archive", "POST", f"{path}/opening", json={}, account="dora")
    assert any(marker in opened.text for marker in doors.markers), opened.text


def crash(doors: Doors) -> None:
    """End the server as a fault in C would, while a file with values is on its way in."""
    head = ["First Name,Email"]
    lines = [f"{doors.next()},{doors.mail()}" for _ in range(4000)]
    data = "\n".join(head + lines).encode()
    request_ = (
        f"POST /crm/imports HTTP/1.1\r\nHost: localhost:{doors.house.ports[0]}\r\nContent-Type: text/csv\r\n"
        f"Content-Length: {len(data)}\r\nAuthorization: {doors.house.desk('dora')['authorization']}\r\n\r\n"
    ).encode()
    with socket.create_connection(("localhost", doors.house.ports[0]), timeout=10) as line:
        line.sendall(request_ + data[: len(data) * 3 // 4])
        time.sleep(0.3)
        process = doors.house.processes.pop(0)
        process.send_signal(signal.SIGABRT)
        assert process.wait(30) == -signal.SIGABRT


@contextmanager
def cores_allowed() -> Iterator[None]:
    """What is started meanwhile may leave core files, as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """A home in which all of it happened; nobody runs any more."""
    home = tmp_path_factory.mktemp("residue")
    with built(home, customers=2) as house, pytest.MonkeyPatch.context() as patch:
        for name in ("tmp", "cwd"):
            (home / name).mkdir()
        patch.setenv("TMPDIR", str(home / "tmp"))
        house.cwd = home / "cwd"
        hire(house, "ada", "admin")
        with cores_allowed():
            house.start(0)
        doors = Doors(house, make_markers())
        wallet, first, second = customer(doors, imports(doors))
        touchpoints(doors, wallet, second)
        reading(doors, wallet)
        rights(doors, wallet)
        doors.answers["requests of every route"] = everywhere(doors)
        ending(doors, wallet, first, second)
        crash(doors)
        doors.http.close()
        yield doors


def found(doors: Doors) -> set[str]:
    """Where markers lie, and in which form."""
    home = doors.house.home
    hits = residue.search(home, doors.markers)
    places = ((hit.path.relative_to(home), hit.encoding) for hit in hits)
    own = {f"{path}: {encoding}" for path, encoding in places if path.parts[0] != ELSEWHERE}
    servers = (hit for place in hand.resting(doors.house.file) for hit in residue.search(place, doors.markers))
    return own | {f"{SERVER}: {hit.encoding}" for hit in servers}


def test_no_marker_lies_in_clear_in_anything_that_a_served_platform_wrote(lived: Doors) -> None:
    assert (len(set(lived.markers)), lived.used >= MARKERS) == (MARKERS, True)
    for door in ("import", "staff", "touchpoint", "read", "filter", "query", "export", "rights"):
        assert lived.answers[f"{door} ok"] >= 2, lived.answers
        assert door == "read" or lived.answers[f"{door} refused"] >= 2, lived.answers
    print(json.dumps(lived.answers))
    home = lived.house.home
    assert mapping.on() or lived.house.file.with_name("fieldgrant.db-wal").stat().st_size > 0
    for written in ("data/journal/journal.jsonl", "server-0.log", "data/log/checkpoint"):
        assert (home / written).exists(), written
    assert not list((home / "cwd").iterdir())  # no core file
    assert found(lived) == set()


SERVER = "the server's database"
PLACES = ("data/db", "data/journal", "data/log/tile", "data/spool", "data", "keys", "tmp", "cwd", ".")


def test_control_markers_planted_in_each_kind_of_place_are_found_in_every_encoding(lived: Doors) -> None:
    """In each place where a server writes, one of both alphabets, in each form."""
    home, planted, wanted = lived.house.home, [], set()
    for place in PLACES:
        for number, marker in enumerate(lived.markers[:2]):
            path = home / place / f"planted-{number}.bin"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"\0".join([os.urandom(64), *forms(marker).values(), os.urandom(64)]))
            planted.append(path)
            wanted |= {f"{path.relative_to(home)}: {encoding}" for encoding in forms(marker)}
    try:
        assert found(lived) == wanted
    finally:
        for path in planted:
            path.unlink()
    shapes = {one.rsplit(": ", 1)[1] for one in wanted}
    assert shapes >= {*ENCODINGS, "json", *(f"base64+{shift}" for shift in range(3))}
    assert len(wanted) >= 2 * len(PLACES) * 10


def test_control_a_value_written_to_log_database_and_wal_is_found(lived: Doors) -> None:
    marker = lived.markers[1]
    with (lived.house.home / "server-0.log").open("a") as log:
        log.write(f"INFO read {json.dumps(marker)}\n")
    lived.house.sql("CREATE TABLE leak (value TEXT)")
    lived.house.sql("INSERT INTO leak VALUES (?)", marker)
    try:
        seen = found(lived)
    finally:
        lived.house.sql("DROP TABLE leak")
        path = lived.house.home / "server-0.log"
        path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    database = SERVER if mapping.on() else "data/db/fieldgrant.db-wal"
    assert {"server-0.log: json", f"{database}: utf-8"} <= seen


def test_control_a_process_that_does_not_forbid_it_leaves_its_values_in_a_core_file(lived: Doors) -> None:
    """What the same crash leaves of a program like ours without `cores.forbid`."""
    home = lived.house.home
    program = "import os, sys; value = sys.stdin.read(); os.abort()"
    for forbidden in (False, True):
        text = ("from fieldgrant import cores; cores.forbid(); " if forbidden else "") + program
        with cores_allowed():
            command = [sys.executable, "-c", text]
            subprocess.run(command, input=lived.markers[0], text=True, cwd=home / "cwd", check=False)
        left = list((home / "cwd").glob("core*"))
        seen = residue.search(home / "cwd", lived.markers[:1])
        for core in left:
            core.unlink()
        if not (left or forbidden):
            pytest.skip("this system leaves no core files, or leaves them elsewhere")
        assert (bool(left), bool(seen)) == (not forbidden, not forbidden)

"""The whole platform for attacks on what lies beneath it: real servers, real wallets, and a hand in the database."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import httpx

from crm_core.imports import importer
from fieldgrant import compose
from fieldgrant.demo.cast import CODE, LINK, letter
from issuer import asks, grounds, signed
from issuer.asks import Wish
from issuer.grounds import Declaration
from protocol import answers, canonical, consent, enrolment, presentation, proof, signature
from protocol.consent import Ask, SubjectId
from protocol.keys import Ed25519Signer
from runtime import serve, staff
from runtime.clock import Clocks
from runtime.platform import Platform
from runtime.settings import Settings
from runtime.staff import Staff
from tests.attacks.pieces import narrowed
from tests.engine import hand
from verifier import allowance
from wallet.keystore import Strength
from wallet.wallet import Wallet

EMAIL, CITY, GIVEN, PHONE = "contact.email", "address.city", "contact.given_name", "contact.phone"
PASSWORD = "a password of some length"
ROLES = {"mei": "marketing", "sina": "service", "dora": "dpo", "dan": "dpo"}
WEAK = Strength(1, 8192)


class Served(Protocol):
    """A server process: `subprocess.Popen`, or what is like it."""

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int | None: ...
    def send_signal(self, number: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


Starts = Callable[[list[str], dict[str, str], Path], Served]


@dataclass(slots=True)
class Person:
    """A customer and their wallet."""

    subject: SubjectId
    email: str
    phone: str
    wallet: Wallet | None = None

    @property
    def app(self) -> Wallet:
        assert self.wallet is not None
        return self.wallet


@dataclass
class House:
    """One organisation. `ports[0]` is the issuer's; every further one is another process of the same platform."""

    home: Path
    ports: tuple[int, ...]
    people: list[Person] = field(default_factory=list)
    processes: dict[int, Served] = field(default_factory=dict)
    cwd: Path | None = None  # of the servers
    clock: Clocks | None = None  # None: the machine's

    @cached_property
    def settings(self) -> Settings:
        return Settings(home=self.home, mail_dir=self.home / "mail", base_url=self.url(0), sign_in_rate="1000/minute")

    @cached_property
    def platform(self) -> Platform:
        return Platform.open(self.settings, self.clock)

    @cached_property
    def own(self) -> compose.House:
        """This test's own share of the platform, as any process has one."""
        return compose.house(self.platform)

    def url(self, n: int) -> str:
        return f"http://localhost:{self.ports[n]}"

    # -- the organisation

    def build(self, customers: int) -> None:
        """Make it: accounts, contacts, and the two grounds of law that every organisation has."""
        platform = self.__dict__["platform"] = Platform.create(self.settings, self.clock)
        with platform.database.write("owner") as session:
            for account, role in ROLES.items():
                staff.create_account(
                    session, platform.keyring, account=account, name=account, role=role, password=PASSWORD,
                    at=platform.clock.now(),
                )  # fmt: skip
        rows = [f"Given{n},Family{n},person{n}@example.org,+861380000{1000 + n},City {n}" for n in range(customers)]
        data = "\n".join(["First Name,Last Name,Email,Phone Number,City", *rows]).encode()
        importer.run(platform, self.own.catalogue, data, source="crm", importer=platform.controller)
        rows = self.sql("SELECT subject, fields FROM origin")
        found = {json.loads(fields)[EMAIL]: subject for subject, fields in rows}
        self.people = [
            Person(SubjectId(found[n + 1]), f"person{n}@example.org", f"+861380000{1000 + n}") for n in range(customers)
        ]
        self.ground("administration", GIVEN, "contact.family_name")
        self.ground("invitation", EMAIL, PHONE, roles=frozenset({"mailer"}), until_enrolled=True)

    def staff(self, account: str) -> Staff:
        did = self.platform.keyring.signer(f"staff/{account}").did
        return Staff(account=account, name=account, role=ROLES[account], did=did)

    def ground(self, purpose: str, *fields: str, **more: Any) -> str:
        """A statutory ground that two officers signed; its id."""
        declared = Declaration(
            key=f"contract-{secrets.token_hex(4)}", basis="dpv:Contract", citation="GDPR art. 6(1)(b)",
            evidence="The terms that every customer signed.",
            wishes=(Wish(purpose=purpose, fields=frozenset(fields)),), subjects=more.get("subjects"),
            until_enrolled=more.get("until_enrolled", False), roles=more.get("roles"),
            valid_until=self.platform.clock.now() + timedelta(days=365),
        )  # fmt: skip
        row = grounds.declare(self.own.registry, self.staff("dora"), declared)
        grounds.approve(self.own.registry, self.staff("dan"), row.id)
        return row.id

    @cached_property
    def tokens(self) -> dict[str, str]:
        at = self.platform.clock.now()
        return {account: staff.sign_in(self.platform, account, PASSWORD, at).token for account in ROLES}

    def desk(self, account: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens[account]}"}

    # -- over HTTP

    def get(self, account: str, path: str, *, at: int = 0, **query: Any) -> httpx.Response:
        return httpx.get(f"{self.url(at)}{path}", params=query, headers=self.desk(account), timeout=60)

    def post(self, account: str, path: str, body: Any) -> httpx.Response:
        return httpx.post(f"{self.url(0)}{path}", json=body, headers=self.desk(account), timeout=60)

    def shown(self, person: Person, account: str = "mei", purpose: str = "marketing", *, at: int = 0) -> dict[str, Any]:
        """The fields that staff get of one customer."""
        answer = self.get(account, f"/crm/customers/{person.subject}", purpose=purpose, at=at)
        assert answer.status_code == 200, answer.text
        return {name: value for name, value in answer.json()["fields"].items() if value is not None}

    def reasons(self, person: Person, account: str = "mei", purpose: str = "marketing") -> dict[str, str]:
        return dict(self.get(account, f"/crm/customers/{person.subject}", purpose=purpose).json()["withheld"])

    def enrol(self, person: Person) -> Person:
        """The whole way: invitation, link, code."""
        answer = self.post("sina", "/issuer/invitations", {"subject": person.subject})
        assert answer.status_code == 201, answer.text
        person.wallet = self.wallet()
        person.wallet.enrol(
            letter(self.settings.mail_dir, person.email, LINK),
            lambda _: letter(self.settings.mail_dir, person.phone, CODE),
        )
        return person

    def wallet(self) -> Wallet:
        return Wallet.create(self.home / f"wallet-{secrets.token_hex(6)}", "a long passphrase", strength=WEAK)

    def newcomer(self) -> Person:
        """A customer who has just enrolled."""
        return self.enrol(self.people.pop())

    def ask(self, person: Person, fields: Iterable[str] = (EMAIL, CITY), purpose: str = "marketing") -> str:
        body = {"subject": person.subject, "processes": [{"purpose": purpose, "fields": sorted(fields)}]}
        answer = self.post("sina" if purpose == "service" else "mei", "/issuer/asks", body)
        assert answer.is_success, answer.text
        return str(answer.json()["credential"]["id"])

    def give(self, person: Person, fields: Iterable[str] = (EMAIL, CITY), purpose: str = "marketing") -> str:
        """Ask and have it granted; the id of the consent."""
        person.app.consent(self.ask(person, fields, purpose), list(fields))
        return [one.id for one in person.app.holding().consents if one.standing == "living"][-1]

    # -- many customers at once: the same statements, without mail and without a wallet's file

    def enrol_by_hand(self, person: Person) -> "Signed":
        """What the registry does once link and code are right."""
        registry, at = self.own.registry, self.platform.clock.now()
        signer = Ed25519Signer.generate()
        shown = presentation.present(
            [], signer, challenge=secrets.token_hex(8), domain=self.settings.base_url, created=at
        )
        digest = canonical.digest(canonical.jcs(shown))
        unsigned = enrolment.build_enrolment(
            self.platform.controller, person.subject, signer.did, digest, shown, id=consent.fresh_id(), at=at
        )
        with self.platform.database.write("owner") as session:
            row = signed.issue(
                session, unsigned, "enrolment", signers=(self.platform.signer,), subject=person.subject,
                did=signer.did, at=at,
            )  # fmt: skip
            version = registry.raised(session, person.subject)
            registry.journal(session, person.subject, version, [], {"enrolment": signed.document(row)}, at=at)
        return Signed(self, person, signer)

    # -- the hand in the database

    @property
    def file(self) -> Path:
        return self.settings.db_dir / "fieldgrant.db"

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What somebody does who may write anything into the database, and has no key and no journal."""
        with closing(hand.connect(self.file, timeout=20)) as connection:
            rows = connection.execute(statement, values).fetchall()
            connection.commit()
            return rows

    def put_back(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Write old rows of a table over the present ones."""
        for row in rows:
            self.sql(f"REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", *row)  # noqa: S608 - ours

    def compiled(self, person: Person) -> None:
        """Have the worker compile somebody from what the database says: who writes to it can bring that about."""
        self.sql("UPDATE allowance SET next_change_at = '2000-01-01T00:00:00.000Z' WHERE subject = ?", person.subject)
        allowance.compile_due(self.platform, self.own.catalogue)

    def told(self, person: Person, type_: str) -> list[dict[str, Any]]:
        """What events of a type say of a customer."""
        rows = self.sql("SELECT records FROM outbox WHERE type = ? ORDER BY id", type_)
        return [one["data"] for (records,) in rows for one in json.loads(records) if one["subject"] == person.subject]

    def quarantined(self, person: Person) -> list[str]:
        return [cause for (cause,) in self.sql("SELECT cause FROM quarantine WHERE subject = ?", person.subject)]

    # -- processes

    def start(
        self, n: int, *parties: str, command: Sequence[str] = ("-m", "fieldgrant"), process: Starts | None = None
    ) -> None:
        """A server process of these parties (none named: all) on port `n`; returns when it answers."""
        only = [word for party in parties for word in ("--only", party)]
        words = ["serve", *only, "--port", str(self.ports[n]), "--no-seed"]
        environment = {
            **os.environ, "FIELDGRANT_HOME": str(self.home), "FIELDGRANT_MAIL_DIR": str(self.settings.mail_dir),
            "FIELDGRANT_BASE_URL": self.url(0),
        }  # fmt: skip
        log = self.home / f"server-{n}.log"
        if process is not None:
            self.processes[n] = process(words, environment, log)
        else:
            with log.open("ab") as out:
                self.processes[n] = subprocess.Popen(
                    [sys.executable, *command, *words], env=environment, stdout=out, stderr=subprocess.STDOUT,
                    cwd=self.cwd,
                )  # fmt: skip
        until = time.monotonic() + 180  # a busy machine
        with httpx.Client(timeout=2) as client:  # one: to make them costs more than to ask
            while time.monotonic() < until:
                if self.processes[n].poll() is not None:
                    raise RuntimeError((self.home / f"server-{n}.log").read_text()[-2000:])
                try:
                    if client.get(f"{self.url(n)}/health").status_code == 200:
                        return
                except httpx.HTTPError:
                    time.sleep(0.05)
        raise RuntimeError("the server did not answer")

    def kill(self, n: int) -> None:
        """Pull the plug."""
        process = self.processes.pop(n)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """End all server processes as an operator does."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:  # a pass of redaction under way; to kill it does no harm
                process.kill()
                process.wait()
        self.processes.clear()

    def close(self) -> None:
        self.stop()
        for person in self.people:
            if person.wallet is not None:
                person.wallet.close()
        self.platform.close()


@dataclass(slots=True)
class Signed:
    """An enrolled wallet in its barest form: a key that signs statements and requests."""

    house: House
    person: Person
    signer: Ed25519Signer

    def asked(self, fields: Iterable[str] = (EMAIL,), purpose: str = "marketing") -> Ask:
        """Marketing or service asks (past HTTP)."""
        house = self.house
        wish = Wish(purpose=purpose, fields=frozenset(fields))
        staff = house.staff("mei" if purpose == "marketing" else "sina")
        with house.platform.database.write("owner") as session:
            row, _ = asks.make(
                session, house.platform, house.own.catalogue, staff, subject=self.person.subject, wishes=[wish]
            )
            return asks.parse(row, house.platform)

    def consent(self, ask: Ask, fields: Iterable[str] | None = None, until: datetime | None = None) -> dict[str, Any]:
        """A signed consent to all of it, or to some fields and until then."""
        at = self.house.platform.clock.now()
        unsigned = consent.build_consent(
            ask, processes=[narrowed(one, None if fields is None else list(fields)) for one in ask.processes],
            valid_from=at, valid_until=until or ask.latest_until, id=consent.fresh_id(),
        )  # fmt: skip
        return proof.sign(unsigned, self.signer, created=at, challenge=ask.challenge, domain=ask.domain)

    def withdrawal(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A signed withdrawal."""
        at = self.house.platform.clock.now()
        digest = canonical.digest(canonical.jcs(dict(given)))
        unsigned = answers.build_withdrawal(
            given["id"], digest, self.signer.did, self.house.platform.controller, id=consent.fresh_id(), at=at
        )
        return proof.sign(unsigned, self.signer, created=at)

    def give(self, fields: Iterable[str] = (EMAIL,), purpose: str = "marketing") -> dict[str, Any]:
        """Ask and consent (past HTTP)."""
        document = self.consent(self.asked(fields, purpose))
        self.house.own.registry.consent(canonical.jcs(document), self.signer.did)
        return document

    def send(self, path: str, body: Mapping[str, Any], client: httpx.Client) -> httpx.Response:
        """A request as a wallet signs it."""
        data, url = canonical.jcs(dict(body)), f"{self.house.url(0)}{path}"
        headers = {"content-type": "application/json"}
        headers |= signature.sign_request(
            "POST", url, headers, data, self.signer, created=self.house.platform.clock.now(),
            nonce=secrets.token_urlsafe(16),
        )  # fmt: skip
        return client.post(url, content=data, headers=headers)


def free_ports(count: int) -> tuple[int, ...]:
    held = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = tuple(one.getsockname()[1] for one in held)
    for one in held:
        one.close()
    return ports


@contextmanager
def built(home: Path, *, customers: int, processes: int = 1) -> Iterator[House]:
    """A house that nobody serves yet."""
    house = House(home, free_ports(processes))
    house.build(customers)
    try:
        yield house
    finally:
        house.close()


@contextmanager
def served(home: Path, *, customers: int) -> Iterator[House]:
    """A house that a thread of this process serves, workers and all."""
    with built(home, customers=customers) as house:
        listening = threading.Event()
        app = compose.app(house.own, compose.PARTIES)
        server = serve.server(app, house.ports[0], "localhost", ready=lambda _: listening.set())
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        assert listening.wait(30)
        try:
            yield house
        finally:
            server.should_exit = True
            thread.join(30)

"""One organisation as it is served: a real server on a loopback port, staff who signed in, wallets of the project."""

import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import httpx
from sqlmodel import func, select

from fieldgrant import compose
from protocol import canonical, consent, credential, presentation, signature
from protocol.consent import Ask
from protocol.keys import Ed25519Signer
from protocol.times import iso
from runtime import serve
from runtime.clock import FixedClock
from runtime.outbox import Outbox, OutboxEvent, pending
from runtime.platform import Platform
from runtime.settings import Settings
from runtime.staff import ROLES, create_account
from tests.attacks.holder import Customer, Held
from tests.attacks.pieces import ASKED, CODE, CUSTOMERS, EMAIL, GIVEN, LINK, PASSWORD, PHONE, START, free_port, token_of
from wallet.keystore import Strength
from wallet.wallet import Wallet

TABLES = (
    "standing", "status_entry", "status_list", "challenge", "settling", "invitation", "allowance", "ground_subject",
    "quarantine", "staff", "credential WHERE kind <> 'certificate'",
)  # fmt: skip
"""What a refused attempt may not change. Left out: nonces, sessions and the outbox, which it does change, and what the
workers are doing meanwhile about earlier acts: the log, dispositions and their certificates."""


class Place:
    """The organisation, served."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.base = f"http://localhost:{self.port}"
        # the audit has an address of its own, so that a request signed for one party can be sent to another
        self.settings = Settings(
            home=home, mail_dir=home / "mail", base_url=self.base, sign_in_rate="10/minute",
            service_urls={"audit": f"http://127.0.0.1:{self.port}"},
        )  # fmt: skip
        self.clock = FixedClock(START)
        self.platform = Platform.create(self.settings, self.clock)
        with self.platform.database.write("owner") as session:
            for account in (*sorted(ROLES), "dan"):
                role = "dpo" if account == "dan" else account
                create_account(
                    session, self.platform.keyring, account=account, name="Staff", role=role, password=PASSWORD,
                    at=self.now,
                )  # fmt: skip
        self.http = httpx.Client(timeout=30, trust_env=False)
        self._tokens: dict[str, str] = {}
        self._free: list[Customer] = []
        self._lock = threading.Lock()
        self._server: serve.Server | None = None
        self._thread: threading.Thread | None = None
        self.start()
        self._populate()

    # -- the server

    def start(self) -> None:
        """Serve all parties from one process."""
        listening = threading.Event()
        app = compose.app(compose.house(self.platform), compose.PARTIES)
        self._server = serve.server(app, self.port, "localhost", ready=lambda _: listening.set())
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        assert listening.wait(30)

    def stop(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = True
        self._thread.join(30)

    def restart(self) -> None:
        """As after a crash of the process: nothing that was only in memory is left."""
        self.stop()
        self.platform.close()
        self.platform = Platform.open(self.settings, self.clock)
        self.start()

    def close(self) -> None:
        self.http.close()
        self.stop()
        self.platform.close()

    @property
    def now(self) -> datetime:
        return self.clock.now()

    # -- staff

    def desk(self, account: str) -> dict[str, str]:
        """Headers of a member of staff who signed in."""
        if account not in self._tokens:
            body = {"account": account, "password": PASSWORD}
            answer = self.http.post(f"{self.base}/staff/sessions", json=body)
            assert answer.status_code == 201, answer.text
            self._tokens[account] = answer.json()["token"]
        return {"authorization": f"Bearer {self._tokens[account]}"}

    def post(self, account: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.http.post(
            f"{self.base}{path}", json={} if body is None else body, headers=self.desk(account), **more
        )

    def get(self, account: str, path: str, **query: Any) -> httpx.Response:
        return self.http.get(f"{self.base}{path}", params=query, headers=self.desk(account))

    def ground(self, key: str, purpose: str, fields: Sequence[str], **more: Any) -> str:
        """A statutory ground that two officers signed; its id."""
        body = {
            "key": key, "citation": "GDPR art. 6(1)(b)", "evidence": "General terms 2026, clause 4",
            "processes": [{"purpose": purpose, "fields": list(fields)}],
            "valid_until": iso(self.now + timedelta(days=365)), **more,
        }  # fmt: skip
        made = self.post("dpo", "/issuer/grounds", body)
        assert made.status_code == 201, made.text
        approved = self.post("dan", f"/issuer/grounds/{made.json()['id']}/approval")
        assert approved.status_code == 200, approved.text
        return str(made.json()["id"])

    def _populate(self) -> None:
        people = [
            (f"Given{n}", f"Family{n}", f"person{n}@example.org", f"+86 138 0000 {1000 + n}") for n in range(CUSTOMERS)
        ]
        rows = ["First Name,Last Name,Email,Phone Number,City", *(",".join((*one, "Xiamen")) for one in people)]
        headers = {**self.desk("admin"), "content-type": "text/csv"}
        made = self.http.post(f"{self.base}/crm/imports", content="\n".join(rows), headers=headers)
        assert made.json()["created"] == CUSTOMERS, made.text
        self.ground("contract", "administration", (GIVEN, "contact.family_name"))
        self.ground("invitation", "invitation", (EMAIL, PHONE), until_enrolled=True, roles=["mailer"])
        listed = self.get("service", "/crm/customers", purpose="administration", limit=100).json()["items"]
        by_name = {item["fields"][GIVEN]: item["subject"] for item in listed}
        self._free = [Customer(by_name[given], email, phone) for given, _, email, phone in people]

    # -- customers

    def customer(self) -> Customer:
        """One who has no wallet yet."""
        with self._lock:
            return self._free.pop()

    def letters(self, to: str, pattern: re.Pattern[str]) -> list[str]:
        """What the letters to an address say, oldest first."""
        found = []
        for path in sorted(self.settings.mail_dir.glob("*.eml")):
            message = message_from_bytes(path.read_bytes(), policy=policy.default)
            if to.replace(" ", "") in str(message["To"]).replace(" ", ""):
                body = message.get_body(("plain",))
                match = pattern.search(str(body.get_content()) if body else "")
                found += [match[0]] if match else []
        return found

    def invited(self, customer: Customer) -> str:
        """Invite; the link in the customer's mail."""
        self.clock.advance(timedelta(milliseconds=1))  # file names sort by time
        answer = self.post("service", "/issuer/invitations", {"subject": customer.subject})
        assert answer.status_code == 201, answer.text
        return self.letters(customer.email, LINK)[-1]

    def opened(self, customer: Customer, link: str) -> tuple[str, str, str]:
        """Open an invitation: (token, challenge, code)."""
        self.clock.advance(timedelta(milliseconds=1))
        token = token_of(link)
        answer = self.http.post(f"{self.base}/issuer/enrolments/challenge", json={"token": token})
        assert answer.status_code == 200, answer.text
        return token, str(answer.json()["challenge"]), self.letters(customer.phone, CODE)[-1]

    def present(self, signer: Ed25519Signer, challenge: str, **bent: Any) -> dict[str, Any]:
        return presentation.present(
            bent.get("credentials", []),
            signer,
            challenge=challenge,
            domain=bent.get("domain", self.base),
            created=self.now,
        )

    def enrolled(self) -> Held:
        """A customer whose own wallet enrolled, the whole way."""
        customer = self.customer()
        link = self.invited(customer)
        self.clock.advance(timedelta(milliseconds=1))
        path = self.home / f"wallet-{secrets.token_hex(4)}"
        app = Wallet.create(path, "a long passphrase", strength=Strength(1, 8192), clock=lambda: self.now)
        app.enrol(link, lambda _: self.letters(customer.phone, CODE)[-1])
        return Held(self, customer, app)

    def asked(self, held: Held, fields: Sequence[str] = ASKED, purpose: str = "marketing", **more: Any) -> Ask:
        body = {"subject": held.subject, "processes": [{"purpose": purpose, "fields": list(fields)}], **more}
        answer = self.post({"third-party-sharing": "marketing"}.get(purpose, purpose), "/issuer/asks", body)
        assert answer.is_success, answer.text
        return self.read_ask(answer.json()["credential"])

    def read_ask(self, document: Mapping[str, Any]) -> Ask:
        data = canonical.jcs(dict(document))
        return consent.parse_ask(
            credential.verify(data, self.platform.keys, at=self.now, expected_type=consent.ASK_TYPE, check_dates=False)
        )

    def shown(self, subject: str, account: str = "marketing", purpose: str = "marketing") -> dict[str, Any]:
        """What staff see of one customer."""
        answer = self.get(account, f"/crm/customers/{subject}", purpose=purpose)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    # -- wallets' requests

    def signed(
        self,
        signer: Ed25519Signer,
        method: str,
        path: str,
        body: Any = None,
        *,
        base: str | None = None,
        **signing: Any,
    ) -> httpx.Response:
        """Send a request signed as a wallet does, bent as told: sign_base, nonce, created, headers, sent (bytes)."""
        data = b"" if body is None else body if isinstance(body, bytes) else canonical.jcs(body)
        headers = {} if body is None else {"content-type": "application/json"}
        headers |= signing.get("headers", {})
        base = base or (self.settings.urls["audit"] if path.startswith("/audit") else self.base)
        extra = signature.sign_request(
            method, f"{signing.get('sign_base', base)}{path}", headers, data, signer,
            created=signing.get("created", self.now), nonce=signing.get("nonce") or secrets.token_urlsafe(16),
        )  # fmt: skip
        return self.http.request(
            method, f"{base}{path}", content=signing.get("sent", data), headers={**headers, **extra}
        )

    # -- what is left behind

    def state(self) -> dict[str, list[str]]:
        """Every row of the tables that a refused attempt may not touch."""
        with self.platform.database.read() as session:
            connection = session.connection()
            return {
                name: sorted(str(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name}"))  # noqa: S608 - ours
                for name in TABLES
            }

    def events(self, *types: str, since: int = 0) -> list[OutboxEvent]:
        """Those after the outbox's row `since`."""
        with self.platform.database.read() as session:
            found = pending(session, since, 100_000)
        return [one for one in found if not types or one.type in types]

    def newest(self) -> int:
        """The outbox's newest row."""
        with self.platform.database.read() as session:
            return session.exec(select(func.max(Outbox.id))).one() or 0

    def attempts(self, since: int = 0) -> list[str]:
        """The codes of all refused attempts on record, oldest first."""
        return [
            str(data.get("code") or one.header.get("code"))
            for one in self.events("attempt.refused", "refusal", since=since)
            for _, data in one.records
        ]

    def refused(self, code: str, act: Callable[[], httpx.Response], *, status: int | None = None) -> dict[str, Any]:
        """The act is refused with this code as a problem, changes nothing, and is on record under the same code."""
        before, seen = self.state(), self.newest()
        answer = act()
        problem = self.problem(answer, code, status=status)
        assert self.state() == before
        assert self.attempts(seen) == [code]
        return problem

    @staticmethod
    def problem(answer: httpx.Response, code: str, *, status: int | None = None) -> dict[str, Any]:
        """The answer is a problem with this code."""
        assert answer.headers.get("content-type") == "application/problem+json", (answer.status_code, answer.text)
        found = dict(answer.json())
        assert found["code"] == code, found
        assert 400 <= answer.status_code < 500
        assert answer.status_code == found["status"]
        assert status is None or answer.status_code == status
        return found


@contextmanager
def served(home: Path) -> Iterator[Place]:
    place = Place(home)
    try:
        yield place
    finally:
        place.close()

"""What `fieldgrant serve` starts, as its users find it: a process of its own, two origins, letters in a folder."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx
from fastapi import FastAPI

from runtime.serve import Server, server
from tests.attacks.pieces import CODE, LINK, free_port

T = TypeVar("T")
STARTING = 120.0  # seconds, on a machine that is busy with other things


@dataclass
class House:
    """The demo's organisation and what it printed when it started."""

    home: Path
    port: int
    process: subprocess.Popen[str] | None
    lines: list[str]
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, trust_env=False))
    _tokens: dict[str, str] = field(default_factory=dict)

    @classmethod
    def standing(cls, home: Path, port: int) -> "House":
        """One that somebody else started in `home`, with the wallet's page beside it."""
        return cls(home, port, None, [f"wallet http://localhost:{port + 1}/"])

    @property
    def base(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def wallet(self) -> str:
        """The wallet's address as it was printed."""
        return next(one.split()[1] for one in self.lines if one.startswith("wallet "))

    @property
    def invitation(self) -> str:
        """The address that was printed for a new customer."""
        return next(one.strip() for one in self.lines if "/#fieldgrant://enrol?" in one)

    def password(self, account: str) -> str:
        path = self.home / "out" / "serve" / str(self.port) / "accounts.json"
        return str(json.loads(path.read_text(encoding="utf-8"))[account]["password"])

    # -- as staff, without a browser

    def call(self, account: str, method: str, path: str, body: Any = None) -> httpx.Response:
        if account not in self._tokens:
            given = {"account": account, "password": self.password(account)}
            self._tokens[account] = self.http.post(f"{self.base}/staff/sessions", json=given).json()["token"]
        headers = {"authorization": f"Bearer {self._tokens[account]}"}
        return self.http.request(method, f"{self.base}{path}", json=body, headers=headers)

    def invite(self) -> "Invited":
        """A member of staff invites a customer who has no wallet; the link lies in their letter.

        The last of the list: the first has the invitation that was printed, and a new one would end it.
        """
        for subject in self._without_wallet():
            known = self.letters()
            if self.call("sina", "POST", "/issuer/invitations", {"subject": subject}).status_code == 201:
                return self._invited(self.letter(LINK, known))
        raise AssertionError("no customer without a wallet is left")

    def without_wallet(self) -> str:
        """A customer who has none."""
        return next(self._without_wallet())

    def _without_wallet(self) -> Iterator[str]:
        for subject in reversed(self._customers()):
            # whoever is invited all the same finds a refused attempt in their history
            if not self.call("sina", "GET", f"/issuer/enrolments?subject={subject}").json()["enrolled"]:
                yield subject

    def invited(self) -> "Invited":
        """The customer of the invitation that was printed."""
        return self._invited(self.invitation.partition("#")[2])

    def newest(self) -> str:
        """The customer who enrolled last."""
        told = [self.call("sina", "GET", f"/issuer/enrolments?subject={one}").json() for one in self._customers()]
        return str(max((one for one in told if one["enrolled"]), key=lambda one: one["since"])["subject"])

    def _customers(self) -> list[str]:
        listed = self.call("sina", "GET", "/crm/customers?purpose=administration&limit=50").json()["items"]
        return [item["subject"] for item in listed]

    def _invited(self, link: str) -> "Invited":
        token = parse_qs(urlsplit(link).query)["token"][0]
        for path in self.letters():
            if token in path.read_text(encoding="utf-8"):
                address = str(message_from_bytes(path.read_bytes(), policy=policy.default)["To"])
                return Invited(address, f"{self.wallet}#{link}")
        raise AssertionError("no letter has this invitation")

    # -- letters

    def letters(self) -> set[Path]:
        return set((self.home / "out" / "mail").glob("*.eml"))

    def letter(self, pattern: re.Pattern[str], known: set[Path]) -> str:
        """What a letter says that came after the known ones."""

        def look() -> str:
            for path in sorted(self.letters() - known, reverse=True):
                body = message_from_bytes(path.read_bytes(), policy=policy.default).get_body(("plain",))
                if found := pattern.search(str(body.get_content()) if body else ""):
                    return found[0]
            return ""

        return until(look)

    def code(self, known: set[Path]) -> str:
        return self.letter(CODE, known)


@dataclass(frozen=True)
class Invited:
    """A customer with an invitation; which row of the organisation they are, nobody outside knows."""

    email: str
    link: str


def until(look: Callable[[], T], patience: float = 20.0) -> T:
    """What `look` finds, once it is something. AssertionError when it never is."""
    end = time.monotonic() + patience
    while not (found := look()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
    return found


@contextmanager
def served(home: Path) -> Iterator[House]:
    """`fieldgrant serve` with the demo's data, in a process of its own that ends with the block."""
    command = [sys.executable, "-m", "fieldgrant", "serve", "--port", str(_pair())]
    process = subprocess.Popen(
        command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    lines: list[str] = []
    reading = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
    reading.start()
    house = House(home, int(command[-1]), process, lines)
    try:
        until(lambda: process.poll() is not None or any("second letter" in one for one in lines), STARTING)
        assert process.poll() is None, "".join(lines)
        yield house
    finally:
        house.http.close()
        process.terminate()
        process.wait(30)


def _pair() -> int:
    """A free port whose successor is free as well: the wallet's."""
    while True:
        port = free_port()
        with socket.socket() as probe:
            if port < 65_535 and probe.connect_ex(("127.0.0.1", port + 1)):
                return port


@dataclass
class Origin:
    """An app alone on a port of this machine, until it is stopped."""

    address: str
    server: Server
    thread: threading.Thread

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)


@contextmanager
def alone(app: FastAPI) -> Iterator[Origin]:
    """An app on an origin of its own, in a thread."""
    listening, port = threading.Event(), free_port()
    made = server(app, port, "localhost", ready=lambda _: listening.set())
    origin = Origin(f"http://localhost:{port}", made, threading.Thread(target=made.run, daemon=True))
    origin.thread.start()
    assert listening.wait(30)
    try:
        yield origin
    finally:
        origin.stop()

"""The stage: a home directory, its accounts, and one real server process per party."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from fieldgrant.compose import PARTIES
from runtime.platform import Platform
from runtime.settings import Settings
from runtime.staff import create_account

# account → (name, role). Two officers, because a statutory ground needs a second approver.
ACCOUNTS = {
    "sam": ("Sam Li", "sales"),
    "sina": ("Sina Weber", "service"),
    "mei": ("Mei Zhou", "marketing"),
    "dora": ("Dora Lindt", "dpo"),
    "dan": ("Dan Huang", "dpo"),
    "ada": ("Ada Novak", "admin"),
    "aron": ("Aron Stein", "auditor"),
}
OURS = ("data", "keys", "wallets", "mail", "logs", "earlier-copy", "bundle.zip", "bundle-broken.zip", "log.vkey",
        "journey.json", "accounts.json")  # fmt: skip
STARTING = 60.0  # seconds that a server may take to answer


class StageError(Exception):
    """The stage could not be set: the message says what to do."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on just now."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


@dataclass(slots=True)
class Stage:
    """Where a journey plays. `command` starts the product; tests hand in one with a protection broken.

    `ports` names a port per party. Parties on the same port run in one process.
    """

    home: Path
    mail: Path
    ports: Mapping[str, int]
    command: Sequence[str] = (sys.executable, "-m", "fieldgrant")
    passwords: dict[str, str] = field(default_factory=dict)
    servers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def url(self, party: str) -> str:
        """Base URL of a party."""
        return f"http://localhost:{self.ports[party]}"

    @property
    def settings(self) -> Settings:
        """The settings that every process of this stage runs with."""
        urls = {party: self.url(party) for party in PARTIES}
        return Settings(home=self.home, mail_dir=self.mail, base_url=urls["issuer"], service_urls=urls)

    @property
    def environment(self) -> dict[str, str]:
        """The same settings for a process of its own."""
        mine = self.settings
        named = {"HOME": str(mine.home), "MAIL_DIR": str(mine.mail_dir), "BASE_URL": mine.base_url}
        named["SERVICE_URLS"] = json.dumps(mine.service_urls)
        return {**os.environ, **{f"FIELDGRANT_{name}": value for name, value in named.items()}}

    def clear(self) -> None:
        """Take away what an earlier journey left here, and nothing else."""
        for name in OURS:
            path = self.home / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if self.mail.is_dir():
            for letter in self.mail.glob("*.eml"):
                letter.unlink()

    def build(self) -> None:
        """Make the organisation: directories, keys, schema and the accounts of its staff, with passwords made here."""
        platform = Platform.create(self.settings)
        try:
            with platform.database.write() as session:
                for account, (name, role) in ACCOUNTS.items():
                    self.passwords[account] = secrets.token_urlsafe(12)
                    create_account(
                        session,
                        platform.keyring,
                        account=account,
                        name=name,
                        role=role,
                        password=self.passwords[account],
                        at=platform.clock.now(),
                    )
        finally:
            platform.close()
        path = self.home / "accounts.json"
        roles = {account: {"password": word, "role": ACCOUNTS[account][1]} for account, word in self.passwords.items()}
        path.touch(mode=0o600)
        path.write_text(json.dumps(roles, indent=2) + "\n", encoding="utf-8")

    def start(self) -> None:
        """Start a process per port and wait until each answers."""
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        for port in sorted(set(self.ports.values())):
            parties = [party for party in PARTIES if self.ports[party] == port]
            only = [word for party in parties for word in ("--only", party)] if len(parties) < len(PARTIES) else []
            log = (self.home / "logs" / f"{'+'.join(parties)}.log").open("wb")
            with log:
                self.servers[port] = subprocess.Popen(  # noqa: S603
                    [*self.command, "serve", *only, "--port", str(port), "--no-seed"],
                    env=self.environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
        for port, server in self.servers.items():
            self._wait(port, server)

    def _wait(self, port: int, server: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + STARTING
        while time.monotonic() < until:
            if server.poll() is not None:
                raise StageError(f"the server on port {port} ended with {server.returncode}; see {self.home / 'logs'}")
            try:
                if httpx.get(f"http://localhost:{port}/health", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise StageError(f"the server on port {port} did not answer within {STARTING:.0f} s; see {self.home / 'logs'}")

    def stop(self) -> None:
        """End the servers that this stage started: asked first, then made to."""
        for server in self.servers.values():
            server.terminate()
        for server in self.servers.values():
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        self.servers.clear()

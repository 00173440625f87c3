"""The journey: eight steps, each believed only from what HTTP answered and what lies on disk."""

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from fieldgrant.demo.cast import Cast, Person
from fieldgrant.demo.stage import Stage
from protocol.errors import EvidenceError
from wallet.errors import WalletError
from wallet.keystore import MODERATE, Strength
from wallet.wallet import Wallet


class StepFailed(Exception):  # noqa: N818 - what happened, and no error of ours
    """What was expected of a step and what was seen instead."""


def expect(condition: object, otherwise: str) -> None:
    """Raise StepFailed(otherwise) unless the condition holds."""
    if not condition:
        raise StepFailed(otherwise)


@dataclass(slots=True)
class Step:
    """One line of journey.json."""

    step: int
    title: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How hard and how patiently a journey is played; tests that break a protection take less of all of it."""

    strength: Strength = MODERATE  # of the wallets' passphrases
    seen_before: int = 20  # reads that each reader has had of the value before the withdrawal
    afterwards: float = 1.0  # seconds that the readers go on after the acknowledgement
    patience: float = 60.0  # seconds to wait for letters, history, certificate, restored values


@dataclass(slots=True)
class Play:
    """What the steps share. `figures` goes to journey.json; `memory` carries what a later step compares with."""

    stage: Stage
    contacts: Path
    console: Console
    pace: Pace = Pace()
    figures: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    cast: Cast = field(default_factory=Cast)
    _clients: dict[str, httpx.Client] = field(default_factory=dict)
    _wallets: dict[str, Wallet] = field(default_factory=dict)

    def staff(self, account: str) -> httpx.Client:
        """An HTTP client signed in as a member of staff."""
        if account not in self._clients:
            answer = httpx.post(
                f"{self.stage.url('crm')}/staff/sessions",
                json={"account": account, "password": self.stage.passwords[account]},
                timeout=30,
            )
            expect(answer.status_code in (200, 201), f"{account} could not sign in: {problem(answer)}")
            token = answer.json()["token"]
            self._clients[account] = httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60)
        return self._clients[account]

    def get(self, account: str, party: str, path: str, **query: str | int) -> httpx.Response:
        """GET as a member of staff."""
        return self.staff(account).get(f"{self.stage.url(party)}{path}", params=query)

    def post(self, account: str, party: str, path: str, body: object) -> httpx.Response:
        """POST a JSON body as a member of staff."""
        return self.staff(account).post(f"{self.stage.url(party)}{path}", json=body)

    def one(self, account: str, subject: str, purpose: str) -> dict[str, Any]:
        """One customer as a member of staff sees them for a purpose."""
        answer = self.get(account, "crm", f"/crm/customers/{subject}", purpose=purpose)
        expect(answer.status_code == 200, f"{account} could not read for {purpose}: {problem(answer)}")
        return dict(answer.json())

    def token(self, account: str) -> str:
        """The bearer token of a member of staff, for a client that is not httpx."""
        return self.staff(account).headers["Authorization"].removeprefix("Bearer ")

    def wallet(self, person: Person) -> Wallet:
        """A customer's own wallet."""
        return self.wallet_of(f"customer-{self.cast.people.index(person) + 1}")

    def wallet_of(self, name: str) -> Wallet:
        """An open wallet below the stage's home; made, with a passphrase that is thrown away, at the first call."""
        if name not in self._wallets:
            path = self.stage.home / "wallets" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._wallets[name] = Wallet.create(path, secrets.token_urlsafe(18), strength=self.pace.strength)
        return self._wallets[name]

    @contextmanager
    def progress(self, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """A progress bar on the terminal; yields a function that takes how much is done."""
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as bar:
            task: TaskID = bar.add_task(title, total=total)
            yield lambda done: bar.update(task, completed=done)

    def close(self) -> None:
        """Close the connections and the wallets."""
        for wallet in self._wallets.values():
            wallet.close()
        self._wallets.clear()
        for client in self._clients.values():
            client.close()
        self._clients.clear()


def problem(answer: httpx.Response) -> str:
    """Status and stable code of an answer, for a step's report."""
    try:
        return f"{answer.status_code} {answer.json().get('code', '')}".strip()
    except (ValueError, AttributeError):
        return str(answer.status_code)


Act = Callable[[Play], str]


def run(play: Play, acts: Sequence[tuple[str, Act]]) -> list[Step]:
    """Play the acts in order and tell each; the first that fails ends the journey."""
    told: list[Step] = []
    for number, (title, act) in enumerate(acts, start=1):
        play.console.print(f"[bold]{number}[/] {title} …", highlight=False)
        try:
            detail, ok = act(play), True
        except (StepFailed, WalletError, EvidenceError, httpx.HTTPError, OSError) as failure:
            detail, ok = f"{failure}" or type(failure).__name__, False
        except (ValueError, LookupError, TypeError, AttributeError) as failure:  # the shape of somebody's answer
            detail, ok = f"an answer was not of the shape that was expected ({type(failure).__name__})", False
        told.append(Step(number, title, ok, detail))
        play.console.print(f"  [{'green' if ok else 'red'}]{'✓' if ok else '✗'}[/] {detail}", highlight=False)
        if not ok:
            break
    return told


def write(path: Path, steps: list[Step], figures: dict[str, Any]) -> None:
    """journey.json, whole or not at all."""
    draft = path.with_suffix(".tmp")
    text = json.dumps({"steps": [asdict(step) for step in steps], "figures": figures}, indent=2, ensure_ascii=False)
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(path)

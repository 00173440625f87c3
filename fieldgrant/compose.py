"""Composition: the parties wired together. What has to run against the order of the house is handed in here.

The registry (issuer) is given the compiler of allowances, which shares its transaction, and the drain, which follows
its commit (both verifier); the mailer (issuer) is given a gated way to a customer's channels (crm_core); the audit is
given the wallets' sign-in and the signed credentials (issuer); the history of a value (crm_core) is given what the
log has of it (audit).
"""

import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from sqlmodel import Session, col, or_, select

import audit.app
import audit.export_worker
import audit.worker
import crm_core.app
import crm_core.gateway.held_worker
import crm_core.imports.worker
import crm_core.reading.channels
import issuer.app
import issuer.worker
import redaction.app
import redaction.delivery
import redaction.worker
import verifier.app
import verifier.worker
from audit import events
from audit.log import Log
from fieldgrant import VERSION, beyond, glance, openapi, origins, pages, recovery
from issuer import wallet_auth
from issuer.catalogue import Catalogue
from issuer.catalogue_app import Counts
from issuer.credentials import Credential
from issuer.live import LiveCatalogue
from issuer.registry import Registry
from protocol.consent import Field, SubjectId
from runtime import problem, staff_app
from runtime.platform import Platform
from runtime.settings import SERVICES as PARTIES
from verifier import allowance, impact, reconcile
from verifier.gate import Gate

__all__ = ["PARTIES", "House", "app", "credentials", "house", "log_of"]

Work = Callable[[threading.Event], None]
PAGES = {"crm": "crm", "audit": "audit"}  # party → the page beside it; the wallet's has an origin of its own
EVERYONE = "*"  # subject of a credential that concerns every customer

_ABOUT = """
A customer's own signature in front of every field that a CRM holds about them.

- **issuer**: where consent is asked for, given and ended
- **verifier**: who may see what
- **crm**: the records; every read passes the gate
- **redaction**: what became of withdrawn fields
- **audit**: history, log and evidence

Staff sign in at `POST /staff/sessions` and send the token as `Authorization: Bearer …`. Wallets sign each request
(RFC 9421). Errors are `application/problem+json` (RFC 9457) with a stable `code`.
"""


@dataclass(frozen=True, slots=True)
class House:
    """One process's share of one organisation's platform."""

    platform: Platform
    catalogue: Catalogue
    gate: Gate
    registry: Registry


def house(platform: Platform) -> House:
    """Wire a platform. Raises verifier.reconcile.Disagreement while database, journal, log and keys disagree."""
    recovery.check(platform)
    catalogue = LiveCatalogue(platform)
    gate = Gate.open(platform, catalogue)
    compile_ = partial(_compile, platform, catalogue)
    return House(platform, catalogue, gate, Registry(platform, catalogue, compile_, gate.turnstile.drain))


def _compile(platform: Platform, catalogue: Catalogue, session: Session, subject: SubjectId) -> None:
    allowance.compile(session, platform, catalogue, subject)


def credentials(session: Session, subject: SubjectId) -> Iterable[tuple[str, bytes]]:
    """Every signed credential that concerns a subject: (kind, the exact bytes), oldest first."""
    mine = or_(col(Credential.subject) == subject, col(Credential.subject) == EVERYONE)
    for row in session.exec(select(Credential).where(mine).order_by(col(Credential.at), col(Credential.id))):
        yield row.kind, row.body


def told(session: Session, subject: SubjectId, field: Field, type_: str) -> list[Mapping[str, Any]]:
    """What the log has of a customer's field: the newest records of one type of event."""
    wanted = events.Filter(subject=subject, field=field, type=type_)
    return [item for item in events.find(session, wanted, limit=events.MAX_PAGE).items if "data" in item]


def app(home: House, parties: Collection[str]) -> FastAPI:
    """One HTTP application with the routes and the workers of these parties."""
    routers, works = _parts(home, frozenset(parties))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with _working(works):
            yield

    # FastAPI's own pages load scripts from a stranger's server: `glance` and /openapi.json take their place
    whole = FastAPI(
        title="Fieldgrant", version=VERSION, description=_ABOUT, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    statuses = {**issuer.app.STATUSES, **verifier.app.STATUSES, **crm_core.app.STATUSES, **redaction.app.STATUSES}
    larger = {**crm_core.app.BODY_LIMITS, **issuer.app.BODY_LIMITS, **audit.app.BODY_LIMITS}
    problem.install(whole, larger=larger, statuses=statuses)
    whole.add_middleware(origins.Origins)  # outermost: what is refused carries its headers too
    if "crm" in parties:
        crm_core.app.front(whole, home.platform, home.gate, origins.OURS)  # further out: it needs nothing of the rest
    # a request looks at one route after the other: what is called most lies in front
    for router in sorted((staff_app.router(home.platform), *routers), key=lambda one: one.prefix != "/crm"):
        whole.include_router(router)

    @whole.get("/health", tags=["health"], summary="Is this process up, and which parties does it run?")
    def health() -> dict[str, object]:
        """Its parties and whose data it serves."""
        return {"parties": sorted(parties), "controller": home.platform.controller}

    openapi.add(whole)
    glance.add(whole, _doors(home.platform, parties))
    for party, page in PAGES.items():
        if party in parties:
            pages.add(whole, page)
    return whole


def _doors(platform: Platform, parties: Collection[str]) -> dict[str, str]:
    """Where people go in: the pages that were built, and the wallet's where the settings name it."""
    beside = {"crm": "desk", "audit": "auditor"}
    built = {beside[party]: pages.place(page) for party, page in PAGES.items() if party in parties}
    wallet = platform.settings.wallet_url
    return {name: at for name, at in built.items() if at != "/"} | ({} if wallet is None else {"wallet": wallet})


def _parts(home: House, parties: frozenset[str]) -> tuple[list[APIRouter], list[Work]]:
    platform, catalogue = home.platform, home.catalogue
    routers: list[APIRouter] = []
    works: list[Work] = []
    if "issuer" in parties:
        channels = crm_core.reading.channels.channels(platform, home.gate)
        counts = Counts(partial(impact.measure, platform, catalogue), partial(impact.abroad, platform, catalogue))
        routers.append(issuer.app.router(home.registry, channels, counts=counts))
        works.append(partial(issuer.worker.run, home.registry))
    if "verifier" in parties:
        routers.append(verifier.app.router(platform, catalogue, home.gate))
        works.append(partial(verifier.worker.run, platform, catalogue))
    if "crm" in parties:
        works.append(partial(crm_core.imports.worker.run, platform))
        routers.append(crm_core.app.router(platform, catalogue, home.gate, told, beyond.BEYOND))
        works.append(partial(crm_core.gateway.held_worker.run, platform, catalogue))
    if "redaction" in parties:
        routers.append(redaction.app.router(platform))
        works.append(partial(redaction.worker.run, platform, catalogue))
        works.append(partial(redaction.delivery.run, platform, catalogue))
    if "audit" in parties:
        log = log_of(platform)
        caller = wallet_auth.wallet_caller(platform, service="audit")
        routers.append(audit.app.build_router(platform, log, wallet_caller=caller, credentials=credentials))
        works.append(partial(audit.worker.run, log))
        works.append(partial(audit.export_worker.run, log, credentials))
    return routers, works


def log_of(platform: Platform) -> Log:
    """The log, for whoever drains it: told how far the database has what the journal says was given."""
    return Log(platform, answered=partial(reconcile.answered, platform))


@contextmanager
def _working(works: Iterable[Work]) -> Iterator[None]:
    """Run each worker in a thread of its own; all are told to stop, and waited for, at the end."""
    stop = threading.Event()
    threads = [threading.Thread(target=work, args=(stop,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)

"""The servers of the rows about HTTP, each a process: `python -m bench.serve kind home port`.

- `ours`: the product, its desk alone;
- `unrecorded`: the same, but nothing is put on record;
- `open`: the same way, sign-in and sealed records, without gate and record;
- `tutorial`: SQLModel, `select` and a response model over clear columns, as the tutorials show it;
- `handwritten`: the fastest that we can write over the same clear columns: `text()` and orjson.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import uvicorn
from fastapi import Depends, FastAPI, Response
from sqlalchemy import create_engine, text
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, select

from bench import engine, scene
from bench.scene import FIELDS, PURPOSE, Scene
from crm_core import records
from crm_core.reading import writing
from crm_core.reading.front import Front
from crm_core.reading.plain import Plan
from crm_core.reading.together import Asked, Together
from fieldgrant import compose, origins
from fieldgrant.compose import House
from issuer.catalogue import Catalogue
from runtime import serve
from runtime.outbox import Written
from verifier.gate import Gate, Reader, Verdict
from verifier.recorder import Recorder
from verifier.response import GatedResponse

_NO_RELEASE = "urn:uuid:00000000-0000-4000-8000-000000000000"
_MARK = "%s" if engine.postgresql() else "?"
_PAGE = f"SELECT * FROM record WHERE subject > {_MARK} ORDER BY subject LIMIT {_MARK}"  # noqa: S608 - our own
_ONE = f"SELECT * FROM record WHERE subject = {_MARK}"  # noqa: S608
COLUMNS = tuple(field.replace(".", "_") for field in FIELDS)


class _Silent(Recorder):
    """Puts nothing on record. Only ever here."""

    def record(self, type_: str, *, header: Mapping[str, Any], records: Any) -> str:
        return _NO_RELEASE

    def record_all(self, events: Sequence[Written]) -> list[str]:
        return [_NO_RELEASE] * len(events)


class Clear(SQLModel, table=True):
    """A customer as most put them down: in clear columns."""

    __tablename__ = "clear_customer"

    subject: str = Column(primary_key=True)
    contact_given_name: str | None
    contact_family_name: str | None
    contact_email: str | None
    contact_phone: str | None
    contact_gender: str | None
    address_city: str | None = Column(index=True)
    address_country: str | None
    employment_job_title: str | None
    employment_company: str | None
    contact_language: str | None


class ClearAnswer(SQLModel):
    """What the tutorial's route answers, item by item."""

    subject: str
    contact_given_name: str | None
    contact_family_name: str | None
    contact_email: str | None
    contact_phone: str | None
    contact_gender: str | None
    address_city: str | None
    address_country: str | None
    employment_job_title: str | None
    employment_company: str | None
    contact_language: str | None


def clear_url(home: Path) -> str:
    """Where the clear columns lie."""
    return engine.url(home / "clear.db")


def fill_clear(made: Scene, home: Path) -> None:
    """The same customers and values in clear columns."""
    clear = create_engine(clear_url(home))
    if not engine.postgresql():
        with clear.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    Clear.__table__.create(clear, checkfirst=True)  # type: ignore[attr-defined]
    with clear.begin() as connection:
        if connection.exec_driver_sql("SELECT 1 FROM clear_customer LIMIT 1").first() is None:
            rows = [
                {"subject": subject, **dict(zip(COLUMNS, scene.person(number).values(), strict=True))}
                for number, subject in enumerate(made.subjects)
            ]
            connection.execute(Clear.__table__.insert(), rows)  # type: ignore[attr-defined]
    clear.dispose()


class _Free:
    """Stands where a passage would: nobody waits for it. Only ever here."""

    send_deadline = 2.0

    def hand_over(self) -> None:
        pass

    def release(self) -> None:
        pass

    def unlost(self) -> None:
        pass


class _Open(Together):
    """Plain reads in the product's own way, without gate and record, still sealed. Only ever here."""

    def answer(self, asked: Sequence[Asked]) -> list[Any]:
        platform, found = self._platform, []
        with platform.database.read() as session:
            cursor = session.connection().connection.cursor()
            door = SimpleNamespace(at=platform.clock.now())
            now: Any = SimpleNamespace(session=session, readers={}, door=door)
            plans = self._plans_of(self._edition)
            for one in asked:
                plan = plans.of(one.text, one=one.subject is not None)
                if plan is None or not isinstance(self._reader(now, one.ticket), Reader):
                    raise RuntimeError("the bench asks for nothing else")
                if one.subject is None:
                    cursor.execute(_PAGE, ("", plan.query.limit + 1))
                else:
                    cursor.execute(_ONE, (one.subject,))
                items = [self._shown(row, plan) for row in cursor.fetchall()[: plan.query.limit]]
                end = writing.tail(plan.purpose, _NO_RELEASE)
                body = writing.page(items, end, None) if one.subject is None else writing.one(items[0], end, None)
                found.append(GatedResponse(body, _Free(), headers=self._headers))  # type: ignore[arg-type]
        return found

    def _shown(self, row: Any, plan: Plan) -> bytes:
        fields = plan.query.select
        verdict = Verdict(row[0], plan.asked, {}, 1, {})
        return writing.item(verdict, fields, records.open_texts(self._platform, records.Record._make(row), fields))

    @property
    def _edition(self) -> Catalogue:
        return self._gate._catalogue.current()


def open_app(made: Scene) -> FastAPI:
    """The list and one customer with gate and record switched off, still sealed."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    together = _Open(made.platform, made.gate, origins.OURS)
    app.add_middleware(Front, together=together, settings=made.platform.settings)
    return app


def tutorial_app(home: Path) -> FastAPI:
    """FastAPI with SQLModel as the tutorial of SQLModel shows it."""
    app = FastAPI()
    options = {} if engine.postgresql() else {"check_same_thread": False}
    clear = create_engine(clear_url(home), connect_args=options)

    def session() -> Iterator[Session]:
        with Session(clear) as made:
            yield made

    @app.get("/crm/customers", response_model=list[ClearAnswer])
    def page(*, session: Session = Depends(session), limit: int = 50) -> Any:
        return session.exec(select(Clear).order_by(Clear.subject).limit(limit)).all()

    @app.get("/crm/customers/{subject}", response_model=ClearAnswer)
    def one(subject: str, session: Session = Depends(session)) -> Any:
        return session.get(Clear, subject)

    return app


def handwritten_app(home: Path) -> FastAPI:
    """The same with nothing that is not needed."""
    app = FastAPI(openapi_url=None)
    clear = create_engine(clear_url(home))
    listed = ", ".join(("subject", *COLUMNS))
    many = text(f"SELECT {listed} FROM clear_customer ORDER BY subject LIMIT :limit")  # noqa: S608 - our own names
    single = text(f"SELECT {listed} FROM clear_customer WHERE subject = :subject")  # noqa: S608
    names = ("subject", *COLUMNS)

    @app.get("/crm/customers")
    def page(limit: int = 50) -> Response:
        with clear.connect() as connection:
            rows = connection.execute(many, {"limit": limit}).all()
        items = [dict(zip(names, row, strict=True)) for row in rows]
        return Response(orjson.dumps({"items": items}), media_type="application/json")

    @app.get("/crm/customers/{subject}")
    def one(subject: str) -> Response:
        with clear.connect() as connection:
            row = connection.execute(single, {"subject": subject}).one()
        return Response(orjson.dumps(dict(zip(names, row, strict=True))), media_type="application/json")

    return app


def main(kind: str, home: Path, port: int) -> None:
    """Serve until told to stop."""
    if kind in ("tutorial", "handwritten"):
        app = tutorial_app(home) if kind == "tutorial" else handwritten_app(home)
        uvicorn.run(app, port=port, access_log=False, log_level="warning")
        return
    with scene.opened(home, 0) as made:
        house = made.house
        if kind == "unrecorded":
            gate = Gate(made.platform, made.catalogue, house.gate.turnstile, _Silent(made.platform))
            house = House(made.platform, house.catalogue, gate, house.registry)
        parties = ("issuer", "crm") if kind == "issuer" else ("crm",)
        serve.run(open_app(made) if kind == "open" else compose.app(house, parties), port)


def paths(subject: str) -> tuple[str, str]:
    """The page of 50 by 10 fields, and the one customer, as both sides are asked for them."""
    selected = ",".join(FIELDS)
    return (
        f"/crm/customers?purpose={PURPOSE}&limit=50&select={selected}",
        f"/crm/customers/{subject}?purpose={PURPOSE}&select={selected}",
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
